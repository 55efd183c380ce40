"""What a target on the command line names: `module:registry`, `module:application`, `module:factory()`.

Owns the loading of the user's code and each sentence said when that fails. It knows no server.
"""

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gjrpc.errors import SettingsError
from gjrpc.registry import Registry

_FORM = "expected MODULE:NAME or MODULE:FACTORY(), as in app:registry"


def load(target: str) -> Registry | Callable[..., Any]:
    """Import what a target names; the current folder is searched first.

    Raises:
        SettingsError: there is no such module or name, its code fails, or it is neither a Registry nor callable.
    """
    module_name, colon, name = target.partition(":")
    if not module_name or not colon or not name:
        raise SettingsError(f"target {target!r}: {_FORM}")
    if (here := str(Path.cwd())) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    found: Any = _attribute(_import(module_name, target), name.removesuffix("()"), target)
    if name.endswith("()"):
        found = _run(found, target)
    if not isinstance(found, Registry) and not callable(found):
        raise SettingsError(f"target {target!r}: it is a {type(found).__name__}; expected a Registry or a WSGI callable")
    return found  # type: ignore[no-any-return]  # looked at above


def _import(module_name: str, target: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise SettingsError(f"target {target!r}: there is no module {error.name!r} here or on the path; {_FORM}") from error
        raise _failed("importing it", target, error) from error
    except (Exception, SystemExit) as error:
        raise _failed("importing it", target, error) from error


def _attribute(module: Any, name: str, target: str) -> Any:
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            offered = [known for known, value in vars(module).items() if isinstance(value, Registry)]
            hint = f"; it has the registry {offered[0]!r}" if offered else ""
            raise SettingsError(f"target {target!r}: module {module.__name__!r} has no {name!r}{hint}") from error
    return found


def _run(factory: Any, target: str) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _failed("calling it", target, error) from error


def _failed(doing: str, target: str, error: BaseException) -> SettingsError:
    """One line for a failure in the user's own code, with its place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return SettingsError(f"target {target!r}: {doing} failed: {type(error).__name__}: {error}{place}")

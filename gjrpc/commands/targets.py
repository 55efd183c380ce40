"""Loads what a target on the command line names: `module:registry`, `module:application`, `module:factory()`.

Owns how the user's code is imported, the check of what the target names, and the sentence of every error in it. It knows no
server.
"""

import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from gjrpc.calls.registry import Registry
from gjrpc.errors import SettingsError

_FORM = "expected MODULE:NAME or MODULE:FACTORY(), for example app:registry"
_EXPECTED = "expected a Registry, or a WSGI callable with two arguments (environ, start_response)"
_REGISTER = "to serve it as a method, register it: registry = Registry(); registry.register({})"
_ASGI = "it is an ASGI application or a coroutine function, but this server serves WSGI: wrap it, for example with a2wsgi"

# Types that an environ is not: a function whose first argument has one of them was probably meant to be registered.
_NO_ENVIRON = frozenset({"int", "float", "str", "bool", "bytes", "list", "tuple", "set", "date", "datetime", "Decimal", "UUID"})

_OURS = str(Path(__file__).parent.parent)
_OTHERS = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def load(target: str, folder: str | None = None) -> Registry | Callable[..., Any]:
    """Import what a target names, and call it if it is a factory.

    Args:
        target: as on the command line.
        folder: where to search for modules first; by default the current folder.

    Raises:
        SettingsError: there is no such module or name, its code fails, or it is neither a Registry nor a WSGI callable.
    """
    module_name, colon, name = target.partition(":")
    if not module_name or not colon or not name:
        raise SettingsError(f"target {target!r}: {_FORM}")
    if (here := folder or str(Path.cwd())) not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    module = _import(module_name, target)
    found: Any = _attribute(module, name.removesuffix("()"), target)
    if name.endswith("()"):
        found = _run(found, target)
    if not isinstance(found, Registry) and (reason := _unfit(found, module)):
        raise SettingsError(f"target {target!r}: {reason}")
    return found  # type: ignore[no-any-return]  # checked above


def _unfit(found: Any, module: Any) -> str | None:
    """Why an object can't be served as a WSGI application; None if it can."""
    if isinstance(found, ModuleType):
        return f"it is a module{_offer(found)}; {_FORM}"
    if _is_async(found):
        return _ASGI
    if not callable(found):
        kind = "None; did its factory forget to return it?" if found is None else f"{_a(type(found).__name__)}; {_EXPECTED}"
        return f"it is {kind}"
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # written in C, for example: only a call can show whether it fits
        return None
    if _takes(signature, None, None) and not _forgotten(found, signature):
        return None
    if _takes(signature, None, None, None) and not _takes(signature, None, None) and not inspect.isroutine(found):
        return _ASGI
    return _remedy(found, signature, module)


def _remedy(found: Any, signature: inspect.Signature, module: Any) -> str:
    name = getattr(found, "__name__", None) or "it"
    if isinstance(found, type):
        return f"it is a class; name an instance (app = {name}(…)), or write {name}() here if it needs no arguments"
    kind = "a function" if inspect.isroutine(found) else _a(type(found).__name__)
    registry = next((known for known, value in _registries(module) if name in {method.name for method in value}), None)
    if registry is not None:
        return f"it is a function that is registered in {registry!r}: serve {module.__name__}:{registry}"
    factory = f"; if it returns a Registry or a WSGI callable, write {name}()" if _takes(signature) else ""
    return f"it is {kind} with the arguments {signature}; {_EXPECTED}; {_REGISTER.format(name)}{factory}"


def _forgotten(found: Any, signature: inspect.Signature) -> bool:
    """Whether it is a function whose first argument has an annotation that no environ fits."""
    first = next(iter(signature.parameters.values()), None)
    if first is None or not inspect.isroutine(found):
        return False
    kind = first.annotation
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.partition("[")[0].rpartition(".")[2] in _NO_ENVIRON


def _is_async(found: Any) -> bool:
    """Whether an object is a coroutine, or returns one when it is called."""
    if inspect.iscoroutine(found):
        found.close()  # nothing will await it
        return True
    while isinstance(found, partial):
        found = found.func
    called = found if inspect.isroutine(found) or isinstance(found, type) else getattr(found, "__call__", None)  # noqa: B004  the method itself is needed
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)


def _takes(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiouAEIOU" else f"a {noun}"


def _import(module_name: str, target: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise SettingsError(
                f"target {target!r}: there is no module {error.name!r} in this folder or on Python's path; {_FORM}"
            ) from error
        raise _failed("importing it", target, error) from error
    except (Exception, SystemExit) as error:
        raise _failed("importing it", target, error) from error


def _attribute(module: Any, name: str, target: str) -> Any:
    found = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise SettingsError(f"target {target!r}: module {module.__name__!r} has no {name!r}{_offer(module)}") from error
    return found


def _offer(module: Any) -> str:
    offered = next(_registries(module), None)
    return f"; it has the registry {offered[0]!r}" if offered else ""


def _registries(module: Any) -> Iterator[tuple[str, Registry]]:
    return ((known, value) for known, value in vars(module).items() if isinstance(value, Registry))


def _run(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise SettingsError(f"target {target!r}: it is {_a(type(factory).__name__)}, which can't be called: leave out the ()")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise _failed("calling it", target, error) from error


def _failed(doing: str, target: str, error: BaseException) -> SettingsError:
    """Make the one-line error for a failure in the user's own code, with its file and line."""
    place = _place(error)
    return SettingsError(f"target {target!r}: {doing} failed{f' at {place}' if place else ''}: {type(error).__name__}: {error}")


def _place(error: BaseException) -> str:
    """The file and line in the user's code that led to an error: the innermost that are neither gjrpc's nor a library's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen", _OURS)) and frame.lineno is not None
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_OTHERS)] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""

"""Authorization: which methods a caller may call, by patterns of their names and by scopes.

Owns the words that grant rights, and the file that grants them to names. It knows neither requests nor how a caller was
authenticated.

Rights are words. A word is a pattern of method names, as for file names (`ping`, `stats.*`), or a scope after an `@` (`@admin`,
or `@*` for every scope). Without a pattern the rights are for every method. A method with a scope always needs that scope too.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gjrpc.auth import exposure
from gjrpc.calls.rights import Rights
from gjrpc.errors import SettingsError


class Permissions:
    """The rights of callers, by name.

    Args:
        rights: by name; those of `*` are for all other names. Without `*`, other names have no rights.
    """

    def __init__(self, rights: Mapping[str, Rights]) -> None:
        self._rights = dict(rights)
        self._others = self._rights.get("*", Rights(()))

    def of(self, name: str) -> Rights:
        """Return the rights of a name."""
        return self._rights.get(name, self._others)


def read_permissions(path: str | None) -> Permissions:
    """Read the file, whose lines have a name and its rights; without a file, each name may call every method without a scope.

    Raises:
        SettingsError: the file can't be read, or a line is not valid.
    """
    if path is None:
        return Permissions({"*": Rights()})
    found: dict[str, Rights] = {}
    for where, (name, *words) in read_lines(path):
        if name in found:
            raise SettingsError(f"{where}: {name!r} already has a line; put all its rights on one line")
        found[name] = read_rights(where, words)
    exposure.warn("permissions file", path, secret=False)
    return Permissions(found)


def read_rights(where: str, words: Iterable[str]) -> Rights:
    """Read the words of a line.

    Raises:
        SettingsError: a word is not valid; the message begins with `where`.
    """
    patterns, scopes = [], []
    for word in words:
        if not word.strip("@") or not word.isprintable():
            raise SettingsError(f"{where}: {word!r}: expected a pattern of method names (stats.*) or a scope (@admin)")
        if word.startswith("@"):
            scopes.append(word[1:])
        else:
            patterns.append(word)
    return Rights(patterns or ["*"], scopes)


def read_lines(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the words of each line that has any; `#` begins a comment, and quotes enclose words with blanks.

    Raises:
        SettingsError: the file can't be read, or a closing quote is missing.
    """
    for where, line in text_lines(path):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise SettingsError(f"{where}: {str(error).lower()}") from error
        if words:
            yield where, words


def text_lines(path: str) -> Iterator[tuple[str, str]]:
    """Yield the place (`FILE:LINE`) and the text of each line of a file.

    Raises:
        SettingsError: the file can't be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected text in UTF-8: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        yield f"{path}:{number}", line

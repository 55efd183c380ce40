"""Who may call what: patterns of method names, and scopes.

Owns what a caller is, the words that grant rights, and the file that gives them to names. It knows neither requests nor how a
caller was found out.

A line of rights is words: a pattern of method names as of file names (`ping`, `stats.*`), or a scope behind an `@` (`@admin`,
`@*` for all). Without a pattern all methods are meant. A method with a scope also needs that scope, whatever the patterns say.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gjrpc.auth import exposure
from gjrpc.calls.rights import Rights
from gjrpc.errors import SettingsError


class Permissions:
    """The rights of names.

    Args:
        rights: by name; `*` stands for all others. Without it others have none.
    """

    def __init__(self, rights: Mapping[str, Rights]) -> None:
        self._rights = dict(rights)
        self._others = self._rights.get("*", Rights(()))

    def of(self, name: str) -> Rights:
        """What this name may call."""
        return self._rights.get(name, self._others)


def read_permissions(path: str | None) -> Permissions:
    """Read the file: a name a line, and its rights behind it; without a file each name may call all that has no scope.

    Raises:
        SettingsError: it can't be read, or a line can't be understood.
    """
    if path is None:
        return Permissions({"*": Rights()})
    found: dict[str, Rights] = {}
    for where, (name, *words) in read_lines(path):
        if name in found:
            raise SettingsError(f"{where}: {name!r} stands here a second time; put its rights on one line")
        found[name] = read_rights(where, words)
    exposure.warn("permissions file", path, secret=False)
    return Permissions(found)


def read_rights(where: str, words: Iterable[str]) -> Rights:
    """Read the words of a line.

    Raises:
        SettingsError: a word can't be understood; `where` begins the text.
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
    """The words of each line that has any, with where it stands; `#` begins a comment, quotes hold words with blanks.

    Raises:
        SettingsError: it can't be read, or a quotation does not end.
    """
    for where, line in text_lines(path):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise SettingsError(f"{where}: {str(error).lower()}") from error
        if words:
            yield where, words


def text_lines(path: str) -> Iterator[tuple[str, str]]:
    """The lines of a text file, each with where it stands: `FILE:LINE`.

    Raises:
        SettingsError: it can't be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not a text in UTF-8: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        yield f"{path}:{number}", line

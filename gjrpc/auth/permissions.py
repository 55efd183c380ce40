"""Who may call what: patterns of method names, and scopes.

Owns what a caller is, the words that grant rights, and the file that gives them to names. It knows neither requests nor how a
caller was found out.

A line of rights is words: a pattern of method names as of file names (`ping`, `stats.*`), or a scope behind an `@` (`@admin`,
`@*` for all). Without a pattern all methods are meant. A method with a scope also needs that scope, whatever the patterns say.
"""

import fnmatch
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from gjrpc import exposure
from gjrpc.errors import Forbidden, SettingsError
from gjrpc.excerpts import quoted

ALWAYS = frozenset({"list_methods", "method_signature", "method_help", "rpc.discover"})
"""Whoever is let in may ask what there is; the answers show what that caller may call."""


class Rights:
    """What may be called.

    Args:
        patterns: of method names, in upper and lower case as they are.
        scopes: held ones; `*` for all.
    """

    __slots__ = ("_all", "_match", "patterns", "scopes")

    def __init__(self, patterns: Iterable[str] = ("*",), scopes: Iterable[str] = ()) -> None:
        self.patterns = frozenset(patterns)
        self.scopes = frozenset(scopes)
        self._all = "*" in self.patterns
        self._match = re.compile("|".join(map(fnmatch.translate, self.patterns)) or r"(?!)").match

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rights) and (self.patterns, self.scopes) == (other.patterns, other.scopes)

    def __hash__(self) -> int:
        return hash((self.patterns, self.scopes))

    def __repr__(self) -> str:
        return f"<Rights {' '.join([*sorted(self.patterns), *(f'@{scope}' for scope in sorted(self.scopes))])}>"

    def names(self, method: str) -> bool:
        """Whether a pattern has this method's name."""
        return self._all or method in ALWAYS or self._match(method) is not None

    def holds_all(self, scopes: AbstractSet[str]) -> bool:
        """Whether the caller holds each of these scopes, so that no method is closed for lack of one."""
        return "*" in self.scopes or scopes <= self.scopes

    def holds(self, scope: str | None) -> bool:
        """Whether a method's scope is held; None is a method without one."""
        return scope is None or scope in self.scopes or "*" in self.scopes


class Caller:
    """Whoever calls.

    Attributes:
        name: what it is called by, or None where nobody was asked.
        rights: what it may call.
    """

    __slots__ = ("name", "rights")

    def __init__(self, name: str | None, rights: Rights) -> None:
        self.name = name
        self.rights = rights

    def __repr__(self) -> str:
        return f"<Caller {self.name}>"

    def check_name(self, method: str) -> None:
        """Raise where no pattern has this method.

        Raises:
            Forbidden
        """
        if not self.rights.names(method):
            raise Forbidden(f"{self.name!r} may not call {quoted(method)}")

    def none_such(self, method: str, hint: str) -> Forbidden:
        """Return the one refusal for a method whose scope the caller lacks and for a name that no method has.

        Two different ones would reveal methods that the caller may not know of.

        Args:
            hint: what else the caller may have meant; appended to the sentence.
        """
        if self.name is None:
            return Forbidden(
                f"no method {quoted(method)} that may be called without credentials{hint}. For methods with a scope, start the "
                "server with --token-file, --htpasswd or --client-ca, or with --open to let anyone call them"
            )
        return Forbidden(f"no method {quoted(method)} that {self.name!r} may call{hint}")


ANYONE = Caller(None, Rights())
"""Who calls where nobody is asked: no scope is held."""

EVERYTHING = Caller(None, Rights(scopes="*"))
"""Who calls where all is open."""


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

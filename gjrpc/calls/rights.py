"""What a caller may call: patterns of method names, and scopes.

Owns what a caller is and the check of its rights. It knows neither requests nor credentials, nor the file that holds the rights.
"""

import fnmatch
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from gjrpc.errors import Forbidden
from gjrpc.texts import quoted

ALWAYS_ALLOWED = frozenset({"list_methods", "method_signature", "method_help", "rpc.discover"})
"""Methods that every authenticated caller may call; they show only what this caller may call."""


class Rights:
    """What a caller may call: a method whose name fits a pattern, if the caller has its scope.

    Args:
        patterns: patterns of method names with `*`, `?` and `[…]`, as in `fnmatch`; case matters.
        scopes: the scopes that the caller has; `*` for all.
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

    def allows_name(self, method: str) -> bool:
        """Whether a pattern fits the name of a method."""
        return self._all or method in ALWAYS_ALLOWED or self._match(method) is not None

    def has_all_scopes(self, scopes: AbstractSet[str]) -> bool:
        """Whether the caller has each of these scopes, so that none of their methods is hidden from it."""
        return "*" in self.scopes or scopes <= self.scopes

    def has_scope(self, scope: str | None) -> bool:
        """Whether the caller has the scope of a method; None for a method without one."""
        return scope is None or scope in self.scopes or "*" in self.scopes


class Caller:
    """Who makes a call.

    Attributes:
        name: its name; None without authentication.
        rights: what it may call.
    """

    __slots__ = ("name", "rights")

    def __init__(self, name: str | None, rights: Rights) -> None:
        self.name = name
        self.rights = rights

    def __repr__(self) -> str:
        return f"<Caller {self.name}>"

    def may_call(self, method: str, scope: str | None) -> bool:
        """Whether it may call the method of this name, with this scope."""
        return self.rights.allows_name(method) and self.rights.has_scope(scope)

    def check_name(self, method: str) -> None:
        """Raise unless a pattern fits the name of the method.

        Raises:
            Forbidden
        """
        if not self.rights.allows_name(method):
            raise Forbidden(f"{self.name!r} may not call {quoted(method)}")

    def no_such_method(self, method: str, hint: str) -> Forbidden:
        """Return the error for a method whose scope the caller lacks, and for a name that no method has.

        It is the same error, as a difference would reveal which methods exist.

        Args:
            hint: which methods the caller may have meant; appended to the sentence.
        """
        if self.name is None:
            return Forbidden(
                f"no method {quoted(method)} that may be called without credentials{hint} (for methods with a scope, start the "
                "server with --token-file, --htpasswd or --client-ca, or with --open to let anyone call them)"
            )
        return Forbidden(f"no method {quoted(method)} that {self.name!r} may call{hint}")


ANYONE = Caller(None, Rights())
"""Any caller, without authentication: it has no scope."""

UNRESTRICTED = Caller(None, Rights(scopes="*"))
"""Any caller, where everybody may call everything."""

"""What a caller may call: patterns of method names, and scopes.

Owns what a caller is and the check of its rights. It knows neither requests nor
credentials, nor where rights are written down.
"""

import fnmatch
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from gjrpc.errors import Forbidden
from gjrpc.texts import quoted

ALWAYS_ALLOWED = frozenset({"list_methods", "method_signature", "method_help", "rpc.discover"})
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

    def allows_name(self, method: str) -> bool:
        """Whether a pattern has this method's name."""
        return self._all or method in ALWAYS_ALLOWED or self._match(method) is not None

    def has_all_scopes(self, scopes: AbstractSet[str]) -> bool:
        """Whether the caller holds each of these scopes, so that no method is closed for lack of one."""
        return "*" in self.scopes or scopes <= self.scopes

    def has_scope(self, scope: str | None) -> bool:
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
        if not self.rights.allows_name(method):
            raise Forbidden(f"{self.name!r} may not call {quoted(method)}")

    def no_such_method(self, method: str, hint: str) -> Forbidden:
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

UNRESTRICTED = Caller(None, Rights(scopes="*"))
"""Who calls where all is open."""

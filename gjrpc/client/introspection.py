"""What a server says about its own methods: their names, signatures and help.

Owns when the server is queried (once), and how an answer of any shape becomes a `Signature`. It knows no connection.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from gjrpc.errors import ClientError
from gjrpc.texts import printable_lines

METHODS = ("list_methods", "method_signature", "method_help")
"""The methods that every server has (CONVENTION, section 2)."""


class Introspection:
    """Asks a server about its methods, and remembers the answers.

    Args:
        call: calls a method by its name, as `Client.call` does.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self._names: tuple[str, ...] | None = None
        self._described: dict[str, tuple[Signature | None, str]] = {}

    def attributes(self, prefix: str = "") -> set[str]:
        """Return the attributes that lead to methods after a prefix; none if the query fails: `dir` must not raise."""
        try:
            names = self._all_names()
        except ClientError:
            return set()
        parts = {name[len(prefix) :].partition(".")[0] for name in names if name.startswith(prefix)}
        return {part for part in parts if part.isidentifier() and not part.startswith("_")}

    def _all_names(self) -> tuple[str, ...]:
        if self._names is None:
            names = self._call("list_methods")
            self._names = tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
        return self._names

    def describe(self, name: str) -> tuple[Signature | None, str]:
        """Return a method's signature, or None if the server gives none, and its help.

        Raises:
            ClientError: the query fails.
        """
        if name not in self._described:
            names, text = self._call("method_signature", name), self._call("method_help", name)
            signature = signature_of(names.get(name) if isinstance(names, dict) else None)
            self._described[name] = signature, printable_lines(str(text))
        return self._described[name]

    def known_signature(self, name: str) -> Signature | None:
        """Return a method's signature if it was read before, and None otherwise; send nothing."""
        return self._described.get(name, (None, ""))[0]


def signature_of(names: Any) -> Signature | None:
    """Return the signature with these parameters, or None if the value is not a list of parameter names.

    Args:
        names: as `method_signature` returns them: `*` before the name of variable positional parameters, and `**` before that of
            variable named ones.
    """
    kinds: list[Any] = [Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]
    parameters = []
    try:
        for name in map(str, names):
            stars = len(name) - len(name.lstrip("*"))
            parameters.append(Parameter(name[stars:], kinds[stars]))
            if stars == 1:
                kinds[0] = Parameter.KEYWORD_ONLY
        return Signature(parameters)
    except (TypeError, ValueError, IndexError):  # a server may send anything
        return None

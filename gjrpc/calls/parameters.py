"""The parameters of one callable: which numbers of arguments and which names fit.

Owns the rules for positions and names, and finds each argument that is missing, unknown or out of reach. It knows no types and no
values; `argument_errors` has the sentences.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from inspect import Parameter
from typing import Any

from gjrpc.calls import argument_errors
from gjrpc.calls.argument_errors import Fault
from gjrpc.calls.signatures import NAMED, POSITIONAL, taken_names

_STARS: Mapping[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def label(parameter: Parameter) -> str:
    """Return a parameter's name as a signature shows it: `*args` and `**kwargs` with their stars."""
    return _STARS.get(parameter.kind, "") + parameter.name


class Parameters:
    """The parameters of one callable.

    Attributes:
        names: their names in order, `*args` and `**kwargs` with their stars.
        positional: names of those that can be given by position.
        most: how many arguments can be given by position; None for any number.
        required_positional: how many must be given by position, if arguments are.
        required_keywords: names of the keyword-only ones without a default.
        required: names of all those without a default.
        known: names that can be given by name; None for any.
        unnameable: names of required ones that can only be given by position.
        star: the label of `*args`, or None.
        double_star: the label of `**kwargs`, or None.
    """

    __slots__ = (
        "_taken",
        "double_star",
        "known",
        "most",
        "names",
        "positional",
        "required",
        "required_keywords",
        "required_positional",
        "star",
        "unnameable",
    )

    def __init__(self, function: Callable[..., Any], parameters: list[Parameter]) -> None:
        variable = {p.kind: label(p) for p in parameters if p.kind in _STARS}
        required = [p for p in parameters if p.default is Parameter.empty and p.kind not in _STARS]
        self.names = [label(p) for p in parameters]
        self.star, self.double_star = variable.get(Parameter.VAR_POSITIONAL), variable.get(Parameter.VAR_KEYWORD)
        self.positional = [p.name for p in parameters if p.kind in POSITIONAL]
        self.most = len(self.positional) if self.star is None else None
        self.required_keywords = [p.name for p in required if p.kind is Parameter.KEYWORD_ONLY]
        self.required_positional = len(required) - len(self.required_keywords)
        self.required = {p.name for p in required}
        self.known = {p.name for p in parameters if p.kind in NAMED} if self.double_star is None else None
        self.unnameable = {p.name for p in required if p.kind is Parameter.POSITIONAL_ONLY}
        self._taken = taken_names(function, parameters) if self.known is None else frozenset()

    def fit_positions(self, count: int) -> bool:
        """Whether so many arguments can be given by position."""
        return not (count < self.required_positional or self.required_keywords or (self.most is not None and count > self.most))

    def fit_names(self, given: AbstractSet[str]) -> bool:
        """Whether arguments with these names can be given."""
        if (self.known is not None and not given <= self.known) or (self._taken and given & self._taken):
            return False
        return self.required <= given and not self.unnameable

    def check_positions(self, count: int) -> list[Fault]:
        """Find what is wrong with so many arguments by position; nothing if they fit."""
        if self.fit_positions(count):
            return []
        if count < self.required_positional:
            return [argument_errors.missing(self.positional[count : self.required_positional], self._listing())]
        if self.most is not None and count > self.most:
            return [argument_errors.too_many(count, self.most, self._listing())]
        return [argument_errors.only_named(self.required_keywords[0])]

    def check_names(self, given: AbstractSet[str]) -> list[Fault]:
        """Find what is wrong with arguments of these names; nothing if they fit."""
        if self.fit_names(given):
            return []
        unknown = (set[str]() if self.known is None else set(given - self.known)) | (given & self._taken)
        unreachable = sorted(unknown.intersection(self.names) | self.unnameable)
        unknown.difference_update(unreachable)
        missing = [name for name in self.names if name in self.required - given - self.unnameable]
        faults = [argument_errors.missing(missing, self._listing())] if missing else []
        faults += [argument_errors.only_positional(name, self._listing()) for name in unreachable]
        if unknown:
            known = [name for name in self.names if name[0] != "*"]
            faults.append(argument_errors.unknown(unknown, known, self._listing()))
        return faults

    def _listing(self) -> str:
        return ", ".join(self.names) if self.names else "no arguments"

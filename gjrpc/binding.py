"""A callable, compiled once into a binder of arguments.

Owns how JSON values and texts become Python arguments (CONVENTION, section 1), and each sentence said when they don't fit. All
inspection is done here, at registration; a call only runs what was compiled. It knows no names of methods, no message, no HTTP.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from inspect import Parameter
from typing import Any, NoReturn, TypeAlias

import msgspec

from gjrpc import codec
from gjrpc.errors import InvalidArguments, ParseError
from gjrpc.signatures import (
    NAMED,
    POSITIONAL,
    field_type,
    is_typed,
    read_signature,
    struct_of,
    taken_names,
    text_form,
    watched_numbers,
)

Bound: TypeAlias = tuple[Sequence[Any], dict[str, Any]]
"""What `function(*positional, **named)` is called with."""

Text: TypeAlias = str | dict[str, list[str]] | None
"""Arguments of a GET: the text behind `;`, the query's values by name, or nothing."""

_NOTHING: Bound = ((), {})
_STARS: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
# msgspec ends its sentences with the place, " - at `$[1].x`"; the first step of a Struct's place is the parameter.
_PLACE = re.compile(r"(?P<reason>.*) - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`", re.DOTALL)
_STEP = re.compile(r"(?:\[(?P<index>\d+)\]|\.(?P<name>\w+))(?P<rest>.*)")
_TELLS_WHAT_CAME = re.compile(r", got |value ['\"\d-]")


class Binding:
    """The compiled signature of one callable.

    Attributes:
        names: the parameters' names in order, `*` and `**` kept as they are written.

    Raises:
        RegistrationError: the callable has no signature, is a coroutine function, or has an annotation that JSON can't be
            converted to; the text says which and why.
    """

    __slots__ = (
        "_annotations",
        "_by_name",
        "_forbidden",
        "_keywords",
        "_most",
        "_nothing",
        "_positional",
        "_required_names",
        "_required_positional",
        "_takes_value",
        "_text_forms",
        "_typed_named",
        "_typed_positional",
        "_typed_rest",
        "_unnameable",
        "_watches_numbers",
        "bind_named",
        "bind_positional",
        "names",
        "takes_names",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = list(read_signature(function).parameters.values())
        variable = {p.kind: p for p in parameters if p.kind in _STARS}
        required = [p for p in parameters if p.default is Parameter.empty and p.kind not in _STARS]
        self.names = [_STARS.get(p.kind, "") + p.name for p in parameters]
        self._positional = [p for p in parameters if p.kind in POSITIONAL]
        self._keywords = [p.name for p in required if p.kind is Parameter.KEYWORD_ONLY]
        self._required_positional = len(required) - len(self._keywords)
        self._most = None if Parameter.VAR_POSITIONAL in variable else len(self._positional)
        self._takes_value = bool(self._required_positional)
        self._by_name = None if Parameter.VAR_KEYWORD in variable else {p.name for p in parameters if p.kind in NAMED}
        self._required_names = {p.name for p in required}
        self._unnameable = {p.name for p in required if p.kind is Parameter.POSITIONAL_ONLY}
        self.takes_names = not self._unnameable
        self._forbidden = taken_names(function, parameters) if self._by_name is None else frozenset()
        self._annotations = {_STARS.get(p.kind, "") + p.name: inspect.formatannotation(p.annotation) for p in parameters}
        self._text_forms = {_STARS.get(p.kind, "") + p.name: text_form(p) for p in parameters}
        self._typed_rest = {kind: field_type(p) for kind, p in variable.items() if is_typed(p)}
        self._typed_positional = struct_of(self._positional, array_like=True)
        self._typed_named = struct_of([p for p in parameters if p.kind in NAMED], array_like=False)
        self._watches_numbers = watched_numbers(parameters)
        # Functions without annotations take the direct way: their values are not looked at.
        typed = any(map(is_typed, parameters))
        self.bind_positional: Callable[[list[Any]], Bound] = self._convert_positional if typed else self._check_positional
        self.bind_named: Callable[[dict[str, Any]], Bound] = self._convert_named if typed else self._check_named
        self._nothing: Bound | None = None if self._takes_value or self._keywords else _NOTHING

    def bind(self, value: Any) -> Bound:
        """Bind a JSON value by the argument convention.

        Raises:
            InvalidArguments: names the parameter, what was expected and what came.
        """
        kind = type(value)
        if kind is list:
            return self.bind_positional(value)
        if kind is dict:
            return self.bind_named(value)
        if (value is None or value == "") and not self._takes_value:
            return self.bind_positional([])
        return self.bind_positional([value])

    def caller(self, function: Callable[..., Any]) -> Callable[[Any], Any]:
        """Compile the shortest way to call a function with one JSON value: `bind`, without its steps where they are not needed.

        What comes back raises InvalidArguments as `bind` does, and whatever the function raises.
        """
        least, most = self._required_positional, len(self._positional) if self._most is None else self._most
        bind = self.bind

        def bound(value: Any) -> Any:
            positional, named = bind(value)
            return function(*positional, **named)

        def direct(value: Any) -> Any:
            return function(*value) if type(value) is list and least <= len(value) <= most else bound(value)

        def converted(value: Any) -> Any:
            if type(value) is not list or len(value) != most:
                return bound(value)
            try:
                arguments = astuple(convert(value, struct))
            except msgspec.ValidationError:
                return bound(value)  # which finds the words for it
            return function(*arguments)

        struct, convert, astuple = self._typed_positional, msgspec.convert, msgspec.structs.astuple
        if self._keywords or self._watches_numbers[True]:
            return bound
        return direct if self.bind_positional == self._check_positional else converted

    def bind_text(self, text: Text) -> Bound:
        """Bind a GET's arguments, each text converted to its parameter's annotation; without one it stays text.

        Raises:
            InvalidArguments: as `bind`.
        """
        if text is None or (text == "" and not self._takes_value):
            return self._nothing or self.bind_positional([])
        if isinstance(text, str):
            return self._convert_positional([self._untext(self._name_at(0), [text])], strict=False)
        self._check_named(text)
        return self._convert_named({name: self._untext(name, texts) for name, texts in text.items()}, strict=False)

    def _check_positional(self, values: list[Any]) -> Bound:
        count = len(values)
        if count < self._required_positional or self._keywords or (self._most is not None and count > self._most):
            self._refuse_positional(count)
        return values, {}

    def _check_named(self, values: dict[str, Any]) -> Bound:
        given = values.keys()
        if self._by_name is not None and not given <= self._by_name:
            self._refuse_unknown(given - self._by_name)
        if self._forbidden and given & self._forbidden:
            self._refuse_unknown(given & self._forbidden)
        if not self._required_names <= given:
            self._refuse_missing(self._required_names - given)
        if self._unnameable:
            self._refuse_unknown(self._unnameable)
        return (), values

    def _convert_positional(self, values: list[Any], strict: bool = True) -> Bound:
        self._check_positional(values)
        declared = len(self._positional)
        first, rest = values[:declared], values[declared:]
        try:
            converted = msgspec.structs.astuple(msgspec.convert(first, self._typed_positional, strict=strict))[: len(first)]
        except msgspec.ValidationError as error:
            self._refuse_value(error, first)
        numbered: dict[str, Any] = {}
        if rest:
            star = self._star(Parameter.VAR_POSITIONAL)
            numbered = {f"{star}[{index}]": value for index, value in enumerate(rest)}
            converted = (*converted, *self._convert_rest(numbered, Parameter.VAR_POSITIONAL, strict).values())
        if self._watches_numbers[strict]:
            names = [*(p.name for p in self._positional[: len(first)]), *numbered]
            self._check_finite(zip(names, converted, strict=True))
        return converted, {}

    def _convert_named(self, values: dict[str, Any], strict: bool = True) -> Bound:
        self._check_named(values)
        known = self._typed_named.__struct_fields__
        rest = {name: value for name, value in values.items() if name not in known}
        first = {name: values[name] for name in values.keys() - rest.keys()} if rest else values
        try:
            converted = msgspec.convert(first, self._typed_named, strict=strict)
        except msgspec.ValidationError as error:
            self._refuse_value(error, first)
        named = {name: getattr(converted, name) for name in first}
        if rest:
            named.update(self._convert_rest(rest, Parameter.VAR_KEYWORD, strict))
        if self._watches_numbers[strict]:
            self._check_finite(named.items())
        return (), named

    def _convert_rest(self, rest: dict[str, Any], kind: Any, strict: bool) -> dict[str, Any]:
        """Convert what `*args` or `**kwargs` will take, where those have an annotation."""
        item = self._typed_rest.get(kind)
        if item is None:
            return rest
        converted = {}
        for name, value in rest.items():
            try:
                converted[name] = msgspec.convert(value, item, strict=strict)
            except msgspec.ValidationError as error:
                reason, path = _reason_and_path(error)
                raise self._misfit(name, self._star(kind), value, reason, path) from None
        return converted

    def _check_finite(self, arguments: Iterable[tuple[str, Any]]) -> None:
        """NaN and the infinities are no values here, however they were spelled (CONVENTION, section 5)."""
        for name, value in arguments:
            number = codec.not_finite(value)
            if number is not None:
                raise InvalidArguments(f"argument {name!r}: expected a finite number, got {number}")

    def _untext(self, name: str, texts: list[str]) -> Any:
        """Prepare a parameter's texts for conversion: repeated keys make a list, objects are read as JSON."""
        repeated, as_json = (
            self._text_forms.get(name) or self._text_forms.get(self._star(Parameter.VAR_KEYWORD)) or (False, False)
        )
        if len(texts) > 1 and not repeated:
            raise InvalidArguments(f"argument {name!r}: given {len(texts)} times, and it takes one value")
        try:
            values = [codec.decode(text.encode()) for text in texts] if as_json else texts
        except ParseError as error:
            raise InvalidArguments(f"argument {name!r}: expected JSON text: {error.message}") from None
        return values if repeated else values[0]

    def _name_at(self, index: int) -> str:
        names = [p.name for p in self._positional]
        return names[index] if index < len(names) else self._star(Parameter.VAR_POSITIONAL)

    def _star(self, kind: Any) -> str:
        """The name of the `*` or `**` parameter, as it is written, or an empty text."""
        stars = _STARS[kind]
        return next((name for name in self.names if name.startswith(stars) and name.count("*") == len(stars)), "")

    def _refuse_positional(self, count: int) -> NoReturn:
        if count < self._required_positional:
            self._refuse_missing({p.name for p in self._positional[count : self._required_positional]})
        if self._most is not None and count > self._most:
            raise InvalidArguments(
                f"too many arguments: {count} came, expected at most {self._most} by position ({self._listing()})"
            )
        raise InvalidArguments(f"missing argument {self._keywords[0]!r}: it can only be given by name, so send an object")

    def _refuse_missing(self, missing: set[str]) -> NoReturn:
        names = " and ".join(repr(name.lstrip("*")) for name in self.names if name in missing)
        raise InvalidArguments(f"missing argument{'s' * (len(missing) > 1)} {names} (expected {self._listing()})")

    def _refuse_unknown(self, unknown: set[str]) -> NoReturn:
        name = min(unknown)
        if name in self.names:
            raise InvalidArguments(f"argument {name!r} can only be given by position, so send an array ({self._listing()})")
        near = get_close_matches(name[:100], [known for known in self.names if known[0] != "*"], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidArguments(f"unknown argument {name!r} (expected {self._listing()}){hint}")

    def _refuse_value(self, error: msgspec.ValidationError, values: Any) -> NoReturn:
        reason, path = _reason_and_path(error)
        step = _STEP.match(path)
        assert step is not None  # noqa: S101  for mypy: an error in a Struct names the field
        index = step["index"]
        name, came = (step["name"], values[step["name"]]) if index is None else (self._name_at(int(index)), values[int(index)])
        raise self._misfit(name, name, came, reason, step["rest"]) from None

    def _misfit(self, name: str, declared: str, came: Any, reason: str, path: str) -> InvalidArguments:
        """A value that does not fit: which, what was expected, what came; msgspec's reason has one or both of these."""
        where = f" at {path.lstrip('.')}" if path else ""
        expected = "" if reason.startswith("Expected") else f" (expected {self._annotations[declared]})"
        got = "" if _TELLS_WHAT_CAME.search(reason) else f", got {_shown(came)}"
        return InvalidArguments(f"argument {name!r}{where}: {reason[:1].lower()}{reason[1:]}{expected}{got}")

    def _listing(self) -> str:
        return ", ".join(self.names) if self.names else "no arguments"


def _reason_and_path(error: msgspec.ValidationError) -> tuple[str, str]:
    place = _PLACE.fullmatch(str(error))
    if place is None:
        return str(error), ""
    return (f"{place['reason']} as a key" if place["key"] else place["reason"]), place["path"]


def _shown(value: Any) -> str:
    text = codec.encode(value).decode()
    return text if len(text) <= 60 else text[:60] + "…"

"""A callable, compiled once into a binder of arguments.

Owns how JSON values and texts become Python arguments (CONVENTION, section 1). All inspection is done here, at registration; a
call only runs what was compiled. It knows no names of methods, no message, no HTTP; the sentences about what does not fit are
`argument_errors`'.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from inspect import Parameter
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from gjrpc.calls import argument_errors
from gjrpc.calls.argument_errors import Fault
from gjrpc.calls.converters import Convert, Mismatch, from_json, from_texts, from_value, together
from gjrpc.calls.results import ResultCheck
from gjrpc.calls.signatures import (
    NAMED,
    POSITIONAL,
    form_of,
    is_typed,
    read_signature,
    struct_of,
    taken_names,
    text_struct_of,
)
from gjrpc.values import finite
from gjrpc.values.typed_decoder import items, members

Bound: TypeAlias = tuple[Sequence[Any], dict[str, Any]]
"""What `function(*positional, **named)` is called with."""

Text: TypeAlias = str | dict[str, list[str]] | None
"""Arguments of a GET: the text behind `;`, the query's values by name, or nothing."""

_NOTHING: Bound = ((), {})
_MANY = 16  # so many arguments of one form are converted together
_STARS: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


class Binding:
    """The compiled signature of one callable.

    Attributes:
        names: the parameters' names in order, `*` and `**` kept as they are written.
        takes_names: whether every required parameter can be given by name.
        returns: the annotation of the result, `inspect.Parameter.empty` where there is none.
        exact: whether a parameter wants the digits of its numbers, which a float can't hold: it has a Decimal in its type. Then
            the arguments may come as `msgspec.Raw`, JSON that is known to be well-formed.

    Raises:
        RegistrationError: the callable has no signature, is no plain function, or has an annotation that JSON can't be
            converted to; the text says which and why.
    """

    __slots__ = (
        "_by_name",
        "_convert",
        "_forbidden",
        "_forms",
        "_keywords",
        "_most",
        "_nameable",
        "_nothing",
        "_positional",
        "_required_names",
        "_required_positional",
        "_simple",
        "_star",
        "_takes_value",
        "_typed_named",
        "_typed_positional",
        "_typed_texts",
        "_unnameable",
        "_watched",
        "_watched_texts",
        "bind_named",
        "bind_positional",
        "exact",
        "names",
        "returns",
        "takes_names",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        signature = read_signature(function)
        parameters = list(signature.parameters.values())
        self.returns = signature.return_annotation
        variable = {p.kind: p for p in parameters if p.kind in _STARS}
        required = [p for p in parameters if p.default is Parameter.empty and p.kind not in _STARS]
        nameable = [p for p in parameters if p.kind in NAMED]
        self.names = [_STARS.get(p.kind, "") + p.name for p in parameters]
        self._star = {kind: stars + variable[kind].name for kind, stars in _STARS.items() if kind in variable}
        self._positional = [p.name for p in parameters if p.kind in POSITIONAL]
        self._keywords = [p.name for p in required if p.kind is Parameter.KEYWORD_ONLY]
        self._required_positional = len(required) - len(self._keywords)
        self._most = None if Parameter.VAR_POSITIONAL in variable else len(self._positional)
        self._takes_value = bool(self._required_positional)
        self._by_name = None if Parameter.VAR_KEYWORD in variable else {p.name for p in nameable}
        self._required_names = {p.name for p in required}
        self._unnameable = {p.name for p in required if p.kind is Parameter.POSITIONAL_ONLY}
        self.takes_names = not self._unnameable
        self._forbidden = taken_names(function, parameters) if self._by_name is None else frozenset()
        self._forms = {_STARS.get(p.kind, "") + p.name: form_of(p) for p in parameters}
        forms = self._forms.values()
        self.exact = any(form.exact for form in forms)
        self._watched = any(form.watched or form.hashing is not None for form in forms)
        self._watched_texts = any(form.watched_text for form in forms if form.simple)
        self._convert: Callable[..., Any] = msgspec.convert
        if any(form.keyed for form in forms):
            self._convert = partial(msgspec.convert, str_keys=True)
        self._typed_positional = struct_of([p for p in parameters if p.kind in POSITIONAL], self._forms, array_like=True)
        self._typed_named = struct_of(nameable, self._forms, array_like=False)
        self._typed_texts = text_struct_of(nameable, self._forms)
        self._nameable = frozenset(self._typed_named.__struct_fields__)
        self._simple = frozenset(self._typed_texts.__struct_fields__)
        # Functions without annotations take the direct way: their values are not looked at.
        typed = any(map(is_typed, parameters))
        self.bind_positional: Callable[[list[Any]], Bound] = self._convert_positional if typed else self._check_positional
        self.bind_named: Callable[[dict[str, Any]], Bound] = self._convert_named if typed else self._check_named
        if self.exact:
            self.bind_positional = self._bind_exactly
        self._nothing: Bound | None = None if self._takes_value or self._keywords else _NOTHING

    def bind(self, value: Any) -> Bound:
        """Bind a JSON value by the argument convention.

        Raises:
            InvalidArguments: names each parameter that does not fit, what was expected and what came.
        """
        kind = type(value)
        if kind is list:
            return self.bind_positional(value)
        if kind is dict:
            return self.bind_named(value)
        if (value is None or value == "") and not self._takes_value:
            return self.bind_positional([])
        return self.bind_positional([value])

    def caller(self, function: Callable[..., Any], results: ResultCheck | None = None) -> Callable[[Any], Any]:
        """Compile the fastest call of a function with one JSON value: `bind` without the steps that the function does not need.

        The result raises InvalidArguments as `bind` does, WrongResult if `results` finds one, and whatever the function raises.
        """
        least, most = self._required_positional, len(self._positional) if self._most is None else self._most
        run = function if results is None else results.wrap(function)
        bind = self.bind

        def bound(value: Any) -> Any:
            positional, named = bind(value)
            return run(*positional, **named)

        def direct(value: Any) -> Any:
            return run(*value) if type(value) is list and least <= len(value) <= most else bound(value)

        if self._keywords or self._watched or self.exact:
            return bound
        if self.bind_positional == self._check_positional:
            return direct
        return self._converting(function, bound, results)

    def _converting(
        self, function: Callable[..., Any], bound: Callable[[Any], Any], results: ResultCheck | None
    ) -> Callable[[Any], Any]:
        """The fast path for a full array of typed arguments; `bound` handles everything else and words the errors."""
        struct, convert, astuple, most = self._typed_positional, self._convert, msgspec.structs.astuple, len(self._positional)

        def converted(value: Any) -> Any:
            if type(value) is not list or len(value) != most:
                return bound(value)
            try:
                arguments = astuple(convert(value, struct))
            except msgspec.ValidationError:
                return bound(value)
            return function(*arguments)

        if results is None:
            return converted
        usual, check = results.usual, results.check

        def checked(value: Any) -> Any:  # the same, with the usual result checked on the spot
            if type(value) is not list or len(value) != most:
                return bound(value)
            try:
                arguments = astuple(convert(value, struct))
            except msgspec.ValidationError:
                return bound(value)
            result = function(*arguments)
            return result if type(result) is usual else check(result)

        return checked

    def bind_text(self, text: Text) -> Bound:
        """Bind a GET's arguments, each text converted to its parameter's annotation; without one it stays text.

        Raises:
            InvalidArguments: as `bind`.
        """
        if text is None or (text == "" and not self._takes_value):
            return self._nothing or self.bind_positional([])
        if isinstance(text, str):
            return self._each_positional([[text]], from_texts)
        if text.keys() <= self._simple:
            bound = self._bind_simple(text)
            if bound is not None:
                return bound
        return self._each_named(text, from_texts)

    def _bind_simple(self, texts: dict[str, list[str]]) -> Bound | None:
        """Bind plain texts in one step; None if any of them does not fit."""
        values = {name: several[0] for name, several in texts.items() if len(several) == 1}
        if len(values) != len(texts) or not self._required_names <= values.keys():
            return None
        try:
            converted = msgspec.convert(values, self._typed_texts, strict=False)
        except msgspec.ValidationError:
            return None
        named = {name: getattr(converted, name) for name in values}
        return None if self._watched_texts and finite.find_non_finite(named) is not None else ((), named)

    def _fits_positional(self, count: int) -> bool:
        return not (count < self._required_positional or self._keywords or (self._most is not None and count > self._most))

    def _fits_named(self, given: Any) -> bool:
        if (self._by_name is not None and not given <= self._by_name) or (self._forbidden and given & self._forbidden):
            return False
        return self._required_names <= given and not self._unnameable

    def _check_positional(self, values: list[Any]) -> Bound:
        if not self._fits_positional(len(values)):
            raise argument_errors.invalid_arguments(self._positional_faults(len(values)))
        return values, {}

    def _check_named(self, values: dict[str, Any]) -> Bound:
        if not self._fits_named(values.keys()):
            raise argument_errors.invalid_arguments(self._named_faults(values.keys()))
        return (), values

    def _convert_positional(self, values: list[Any]) -> Bound:
        if len(values) > len(self._positional) or self._watched or not self._fits_positional(len(values)):
            return self._each_positional(values, from_value)
        try:
            return msgspec.structs.astuple(self._convert(values, self._typed_positional))[: len(values)], {}
        except msgspec.ValidationError:
            return self._each_positional(values, from_value)

    def _convert_named(self, values: dict[str, Any]) -> Bound:
        given = values.keys()
        if self._watched or not self._fits_named(given) or not given <= self._nameable:
            return self._each_named(values, from_value)
        try:
            converted = self._convert(values, self._typed_named)
        except msgspec.ValidationError:
            return self._each_named(values, from_value)
        return (), {name: getattr(converted, name) for name in values}

    def _bind_exactly(self, values: list[Any]) -> Bound:
        """Bind arguments that may come as JSON text, so that numbers keep all digits."""
        if len(values) != 1 or type(values[0]) is not Raw:
            return self._convert_positional(values)
        text = bytes(values[0]).strip()
        if text[:1] == b"{":
            return self._each_named(members(text), from_json)
        if text[:1] == b"[":
            return self._each_positional(items(text), from_json)
        return self._each_positional([] if text in (b"null", b'""') and not self._takes_value else [Raw(text)], from_json)

    def _each_positional(self, values: Sequence[Any], convert: Convert) -> Bound:
        faults = [] if self._fits_positional(len(values)) else self._positional_faults(len(values))
        star, first = self._star.get(Parameter.VAR_POSITIONAL), len(self._positional)
        made = self._rest(Parameter.VAR_POSITIONAL, values[first:], lambda index: f"{star}[{index}]", convert, faults)
        if made is not None:
            return [*self._each_positional(values[:first], convert)[0], *made], {}
        labels = [(name, name) for name in self._positional[: len(values)]]
        labels += [(f"{star}[{index}]", star) for index in range(len(values) - len(labels)) if star]
        return self._each(zip(labels, values, strict=False), convert, faults), {}

    def _each_named(self, values: Mapping[str, Any], convert: Convert) -> Bound:
        faults = [] if self._fits_named(values.keys()) else self._named_faults(values.keys())
        further = {name: value for name, value in values.items() if name not in self._nameable}
        made = self._rest(Parameter.VAR_KEYWORD, further.values(), lambda index: list(further)[index], convert, faults)
        if made is not None:
            _, named = self._each_named({name: value for name, value in values.items() if name not in further}, convert)
            return (), {**named, **dict(zip(further, made, strict=True))}
        rest = self._star.get(Parameter.VAR_KEYWORD, "")
        labels = [(name, name if name in self._nameable else rest) for name in values]
        known = [(label, values[label[0]]) for label in labels if label[1]]
        converted = self._each(known, convert, faults)
        return (), {label[0]: value for (label, _), value in zip(known, converted, strict=True)}

    def _each(self, given: Iterable[tuple[tuple[str, str], Any]], convert: Convert, faults: list[Fault]) -> list[Any]:
        """Convert arguments one by one, so that each that does not fit is named, beside the faults that are known."""
        converted = []
        for (name, declared), value in given:
            form = self._forms[declared]
            try:
                converted.append(convert(name, form, value))
            except Mismatch as unfit:
                faults.append(unfit.fault)
                if len(faults) > argument_errors.MOST:
                    break
        if faults:
            raise argument_errors.invalid_arguments(faults)
        return converted

    def _rest(
        self, kind: Any, values: Collection[Any], label: Callable[[int], str], convert: Convert, faults: list[Fault]
    ) -> list[Any] | None:
        """What `*args` or `**kwargs` takes, where it is much and takes long one by one; what does not fit is told alone."""
        star = self._star.get(kind)
        if star is None or convert is not from_value or len(values) <= _MANY:
            return None
        if faults:
            raise argument_errors.invalid_arguments(faults)
        several = list(values)
        made, wrong = together(self._forms[star], several)
        if wrong is not None:
            self._each([((label(wrong), star), several[wrong])], convert, faults)
        return made

    def _positional_faults(self, count: int) -> list[Fault]:
        if count < self._required_positional:
            return [argument_errors.missing(self._positional[count : self._required_positional], self._listing())]
        if self._most is not None and count > self._most:
            return [argument_errors.too_many(count, self._most, self._listing())]
        return [argument_errors.only_named(self._keywords[0])]

    def _named_faults(self, given: AbstractSet[str]) -> list[Fault]:
        faults = []
        unknown = set[str]() if self._by_name is None else set(given - self._by_name)
        unknown |= given & self._forbidden
        unreachable = sorted(unknown.intersection(self.names) | self._unnameable)
        lacking = self._required_names - given - self._unnameable
        if lacking:
            faults.append(argument_errors.missing([name for name in self.names if name in lacking], self._listing()))
        faults += [argument_errors.only_positional(name, self._listing()) for name in unreachable]
        if unknown.difference(unreachable):
            known = [name for name in self.names if name[0] != "*"]
            faults.append(argument_errors.unknown(unknown.difference(unreachable), known, self._listing()))
        return faults

    def _listing(self) -> str:
        return ", ".join(self.names) if self.names else "no arguments"

"""A callable, compiled into a binder of its arguments.

Owns how JSON values and texts become Python arguments (CONVENTION, section 1), by the fastest path that the signature allows. All
inspection happens here, at registration; a call only runs what was compiled. When a fast path fails, `one_by_one` converts the
arguments again and names those that do not fit. It knows no method's name, no request and no HTTP.
"""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import Parameter
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import Raw

from gjrpc.calls import argument_errors
from gjrpc.calls.converters import from_json, from_texts, from_value
from gjrpc.calls.forms import form_of, struct_of, text_struct_of
from gjrpc.calls.one_by_one import OneByOne
from gjrpc.calls.parameters import Parameters, label
from gjrpc.calls.results import ResultCheck
from gjrpc.calls.signatures import NAMED, POSITIONAL, is_typed, read_signature
from gjrpc.values import finite
from gjrpc.values.typed_decoder import items, members

Bound: TypeAlias = tuple[Sequence[Any], dict[str, Any]]
"""The arguments of `function(*positional, **named)`."""

Text: TypeAlias = str | dict[str, list[str]] | None
"""The arguments of a GET: the text behind `;`, the values of a query by name, or nothing."""

_NOTHING: Bound = ((), {})


class Binder(Protocol):
    """Binds the arguments of one method.

    Attributes:
        names: the parameters' names in order, `*args` and `**kwargs` with their stars.
        takes_names: whether every required parameter can be given by name.
        returns: the annotation of the result; `inspect.Parameter.empty` without one.
        exact: whether a parameter needs every digit of its numbers, which a float can't hold, because its type has a Decimal.
            The arguments may then be `msgspec.Raw`, JSON that is known to be well-formed.
    """

    names: list[str]
    takes_names: bool
    returns: Any
    exact: bool

    def bind(self, value: Any) -> Bound:
        """Bind a JSON value by the argument convention.

        Raises:
            InvalidArguments: names each argument that does not fit, what was expected and what was received.
        """
        ...

    def bind_text(self, text: Text) -> Bound:
        """Bind the arguments of a GET: each text is converted to its parameter's annotation, or stays text without one.

        Raises:
            InvalidArguments: as `bind`.
        """
        ...

    def compile_call(self, function: Callable[..., Any], results: ResultCheck | None = None) -> Callable[[Any], Any]:
        """Compile the fastest call of a function with one JSON value: `bind` without the steps that this function does not need.

        What it returns raises InvalidArguments as `bind` does, WrongResult if `results` does, and whatever the function raises.
        """
        ...


class Binding:
    """The compiled signature of one callable: a `Binder`.

    Raises:
        RegistrationError: the callable has no signature, is not a plain function, or has an annotation that JSON can't be
            converted to; the text says which, and why.
    """

    __slots__ = (
        "_arity",
        "_convert",
        "_nameable",
        "_nothing",
        "_one_by_one",
        "_parameters",
        "_required",
        "_simple",
        "_takes_value",
        "_typed_named",
        "_typed_positional",
        "_typed_texts",
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
        self._parameters = Parameters(function, parameters)
        self.names = self._parameters.names
        self.takes_names = not self._parameters.unnameable
        self.returns = signature.return_annotation
        self._arity = len(self._parameters.positional)
        self._required = self._parameters.required
        self._takes_value = bool(self._parameters.required_positional)
        self._nothing = None if self._takes_value or self._parameters.required_keywords else _NOTHING
        self._compile_types(parameters)
        # A function without annotations gets its values unchanged, with no conversion at all.
        typed = any(map(is_typed, parameters))
        self.bind_positional: Callable[[list[Any]], Bound] = self._convert_positional if typed else self._check_positional
        self.bind_named: Callable[[dict[str, Any]], Bound] = self._convert_named if typed else self._check_named
        if self.exact:
            self.bind_positional = self._bind_exactly

    def _compile_types(self, parameters: list[Parameter]) -> None:
        forms = {label(p): form_of(p) for p in parameters}
        nameable = [p for p in parameters if p.kind in NAMED]
        self.exact = any(form.exact for form in forms.values())
        self._watched = any(form.watched or form.hashing is not None for form in forms.values())
        self._watched_texts = any(form.watched_text for form in forms.values() if form.simple)
        self._convert: Callable[..., Any] = msgspec.convert
        if any(form.keyed for form in forms.values()):
            self._convert = partial(msgspec.convert, str_keys=True)
        self._typed_positional = struct_of([p for p in parameters if p.kind in POSITIONAL], forms, array_like=True)
        self._typed_named = struct_of(nameable, forms, array_like=False)
        self._typed_texts = text_struct_of(nameable, forms)
        self._nameable = frozenset(self._typed_named.__struct_fields__)
        self._simple = frozenset(self._typed_texts.__struct_fields__)
        self._one_by_one = OneByOne(self._parameters, forms, self._nameable)

    def bind(self, value: Any) -> Bound:
        """Bind a JSON value; see `Binder.bind`."""
        kind = type(value)
        if kind is list:
            return self.bind_positional(value)
        if kind is dict:
            return self.bind_named(value)
        if (value is None or value == "") and not self._takes_value:
            return self.bind_positional([])
        return self.bind_positional([value])

    def compile_call(self, function: Callable[..., Any], results: ResultCheck | None = None) -> Callable[[Any], Any]:
        """Compile the fastest call of a function; see `Binder.compile_call`."""
        parameters = self._parameters
        least, most = parameters.required_positional, self._arity if parameters.most is None else parameters.most
        run = function if results is None else results.wrap(function)
        bind = self.bind

        def bound(value: Any) -> Any:
            positional, named = bind(value)
            return run(*positional, **named)

        def direct(value: Any) -> Any:
            return run(*value) if type(value) is list and least <= len(value) <= most else bound(value)

        if parameters.required_keywords or self._watched or self.exact:
            return bound
        if self.bind_positional == self._check_positional:
            return direct
        return self._converting(function, bound, results)

    def _converting(
        self, function: Callable[..., Any], bound: Callable[[Any], Any], results: ResultCheck | None
    ) -> Callable[[Any], Any]:
        """Compile the fast path for a full array of typed arguments; `bound` handles all else and raises the errors."""
        struct, convert, astuple, most = self._typed_positional, self._convert, msgspec.structs.astuple, self._arity

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

        def checked(value: Any) -> Any:  # the same, and the usual result is checked on the spot
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
        """Bind the arguments of a GET; see `Binder.bind_text`."""
        if text is None or (text == "" and not self._takes_value):
            return self._nothing or self.bind_positional([])
        if isinstance(text, str):
            return self._one_by_one.positional([[text]], from_texts), {}
        if text.keys() <= self._simple:
            bound = self._bind_simple(text)
            if bound is not None:
                return bound
        return (), self._one_by_one.named(text, from_texts)

    def _bind_simple(self, texts: dict[str, list[str]]) -> Bound | None:
        """Bind plain texts in one step, or return None if any of them does not fit."""
        values = {name: several[0] for name, several in texts.items() if len(several) == 1}
        if len(values) != len(texts) or not self._required <= values.keys():
            return None
        try:
            converted = msgspec.convert(values, self._typed_texts, strict=False)
        except msgspec.ValidationError:
            return None
        named = {name: getattr(converted, name) for name in values}
        return None if self._watched_texts and finite.find_non_finite(named) is not None else ((), named)

    def _check_positional(self, values: list[Any]) -> Bound:
        if not self._parameters.fit_positions(len(values)):
            raise argument_errors.invalid_arguments(self._parameters.check_positions(len(values)))
        return values, {}

    def _check_named(self, values: dict[str, Any]) -> Bound:
        if not self._parameters.fit_names(values.keys()):
            raise argument_errors.invalid_arguments(self._parameters.check_names(values.keys()))
        return (), values

    def _convert_positional(self, values: list[Any]) -> Bound:
        if len(values) <= self._arity and not self._watched and self._parameters.fit_positions(len(values)):
            try:
                return msgspec.structs.astuple(self._convert(values, self._typed_positional))[: len(values)], {}
            except msgspec.ValidationError:
                pass  # below, with the fault
        return self._one_by_one.positional(values, from_value), {}

    def _convert_named(self, values: dict[str, Any]) -> Bound:
        given = values.keys()
        if not self._watched and self._parameters.fit_names(given) and given <= self._nameable:
            try:
                converted = self._convert(values, self._typed_named)
                return (), {name: getattr(converted, name) for name in values}
            except msgspec.ValidationError:
                pass  # below, with the fault
        return (), self._one_by_one.named(values, from_value)

    def _bind_exactly(self, values: list[Any]) -> Bound:
        """Bind arguments that may be JSON text, whose numbers keep all their digits."""
        if len(values) != 1 or type(values[0]) is not Raw:
            return self._convert_positional(values)
        text = bytes(values[0]).strip()
        if text[:1] == b"{":
            return (), self._one_by_one.named(members(text), from_json)
        if text[:1] == b"[":
            return self._one_by_one.positional(items(text), from_json), {}
        given = [] if text in (b"null", b'""') and not self._takes_value else [Raw(text)]
        return self._one_by_one.positional(given, from_json), {}

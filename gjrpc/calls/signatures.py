"""Reads the signature of a callable, once, at registration.

Owns all inspection: signatures, annotations, what msgspec makes of them, and each reason why a callable can't be registered.
`binding` uses what it finds; nothing here runs during a call. It knows no method and no arguments.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET

from gjrpc.errors import RegistrationError
from gjrpc.texts import excerpt
from gjrpc.values.conversion import Unconvertible, alternatives, prepare, without_fields
from gjrpc.values.hashing import Hashing, hashing_of

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
"""The kinds of parameters that can be given by position."""

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
"""The kinds of parameters that can be given by name."""

_REPEATED = (
    msgspec.inspect.ListType,
    msgspec.inspect.SetType,
    msgspec.inspect.FrozenSetType,
    msgspec.inspect.VarTupleType,
    msgspec.inspect.TupleType,
)
_OBJECTS = (
    msgspec.inspect.DictType,
    msgspec.inspect.StructType,
    msgspec.inspect.DataclassType,
    msgspec.inspect.TypedDictType,
    msgspec.inspect.NamedTupleType,
)
_NUMBERS = (msgspec.inspect.FloatType, msgspec.inspect.DecimalType)
_WORDS = (msgspec.inspect.BoolType, msgspec.inspect.NoneType)
_TIMES = (msgspec.inspect.DateTimeType, msgspec.inspect.TimeDeltaType)
_CACHED = type(functools.lru_cache(len))
_LONGEST = 200  # characters of an annotation in a sentence

_NO_PLAIN_FUNCTIONS: dict[Callable[[Any], bool], str] = {
    inspect.isgeneratorfunction: "it is a generator function, and items can't be sent one by one; return a list of them",
    inspect.iscoroutinefunction: "it is an async function, and only plain functions are served (gevent makes their waits "
    "concurrent); make it a plain function, or register one that runs it with asyncio.run",
    inspect.isasyncgenfunction: "it is an async generator function, and only plain functions are served; return a list",
}


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature, with string annotations evaluated.

    Raises:
        RegistrationError: the signature can't be read, or the callable is a generator or coroutine function.
    """
    for inner in _innermost(function):
        refused = next((sentence for is_of, sentence in _NO_PLAIN_FUNCTIONS.items() if is_of(inner)), None)
        if refused is not None:
            raise RegistrationError(refused)
    try:
        signature = inspect.signature(function, eval_str=True)
        if isinstance(function, functools.partial):
            _check_keywords(function)
        return signature
    except (TypeError, ValueError) as error:
        raise RegistrationError(f"its signature can't be read ({error}); wrap it in a function that has one") from error
    except Exception as error:  # evaluating a string annotation can raise anything
        raise RegistrationError(f"an annotation can't be evaluated: {type(error).__name__}: {error}") from error


def _check_keywords(function: functools.partial[Any]) -> None:
    """Raise TypeError if a partial passes a positional-only parameter by name.

    Python 3.13 gives such a partial a signature that no call fits.
    """
    parameters = inspect.signature(function.func).parameters.values()
    wrong = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_ONLY and p.name in function.keywords]
    if wrong and all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
        raise TypeError(f"it passes {wrong[0]!r} by name, but that parameter is positional-only")


def taken_names(function: Callable[..., Any], parameters: list[Parameter]) -> frozenset[str]:
    """Return the names that `**kwargs` can't accept, because the callable has bound them (`self`, arguments of a partial)."""
    every = [p for inner in _innermost(function) for p in inspect.signature(inner).parameters.values()]
    return frozenset(p.name for p in every if p.kind in NAMED) - {p.name for p in parameters}


def _innermost(function: Any) -> Iterator[Callable[..., Any]]:
    """Yield the functions inside partials, methods and classes, which also have the parameters that those have bound."""
    if isinstance(function, functools.partial):
        yield from _innermost(function.func)
    elif isinstance(function, (staticmethod, _CACHED)):
        yield from _innermost(function.__wrapped__)  # both return what the function returns
    elif inspect.ismethod(function):
        yield from _innermost(function.__func__)
    elif inspect.isclass(function):
        yield from (function.__init__, function.__new__)
    else:
        yield function if inspect.isroutine(function) else type(function).__call__


def is_typed(parameter: Parameter) -> bool:
    """Whether a parameter has an annotation that its values must fit."""
    return parameter.annotation not in (Parameter.empty, Any, object)


def struct_of(parameters: list[Parameter], forms: Mapping[str, "Form"], *, array_like: bool) -> type[msgspec.Struct]:
    """Return a Struct whose fields are the parameters: msgspec compiles it once and converts all arguments in one step.

    Raises:
        RegistrationError: msgspec can't convert to one of the types.
    """
    return _struct([(p, forms[p.name].wanted) for p in parameters], array_like=array_like)


def text_struct_of(parameters: list[Parameter], forms: Mapping[str, "Form"]) -> type[msgspec.Struct]:
    """Return such a Struct for the texts of a query, with the parameters that take one plain text each.

    An integer with a fraction or an exponent, such as `1e3`, passes through a double: it is exact up to 53 bits.
    """
    simple = [(p, _EXACT.get(forms[p.name].wanted, forms[p.name].wanted)) for p in parameters if forms[p.name].simple]
    return _struct(simple, array_like=False)


def _struct(typed: list[tuple[Parameter, Any]], *, array_like: bool) -> type[msgspec.Struct]:
    columns = [(p.name, wanted) if p.default is p.empty else (p.name, wanted, UNSET) for p, wanted in typed]
    try:
        struct = msgspec.defstruct("Arguments", columns, array_like=array_like, kw_only=not array_like)
        msgspec.json.Decoder(struct)  # compiles it, which finds types that msgspec can't convert to
    except TypeError as error:
        raise RegistrationError(f"its parameters can't be converted from JSON: {error}") from error
    return struct


_BOUNDED = Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)]
_EXACT: dict[Any, Any] = {int: _BOUNDED, int | None: _BOUNDED | None}
_PLAIN = (Any, str, float, bool, None, *_EXACT, str | None, float | None, bool | None)


class Form(NamedTuple):
    """How the values of one parameter are converted.

    Attributes:
        wanted: the type that they are converted to.
        shown: its annotation as text, for people.
        repeated: whether a query may repeat it, for a list.
        as_json: whether its text in a query is JSON, as for all types that contain other values.
        numeric: whether a text is read as a number, true, false or null.
        whole: whether that number can only be an integer.
        simple: whether its text in a query is one plain value, which the fast path converts.
        exact: whether a float would lose digits.
        keyed: whether it contains objects whose keys must be converted.
        watched: whether a value from JSON can be NaN or infinite, and so is searched.
        watched_text: the same for a value from a text.
        hashing: the check of values before they enter sets and dicts, if a stranger can choose their hashes; else None.
    """

    wanted: Any
    shown: str
    repeated: bool = False
    as_json: bool = False
    numeric: bool = False
    whole: bool = False
    simple: bool = True
    exact: bool = False
    keyed: bool = False
    watched: bool = False
    watched_text: bool = False
    hashing: Hashing | None = None


def form_of(parameter: Parameter) -> Form:
    """Return how the values of a parameter are converted.

    Raises:
        RegistrationError: JSON can't be converted to its type.
    """
    shown = excerpt(inspect.formatannotation(parameter.annotation), _LONGEST)
    if not is_typed(parameter):
        return Form(Any, shown)
    types = _types(parameter, shown)
    info = types[0]
    choices = alternatives(info)
    items = [item for each in choices if isinstance(each, _REPEATED) for item in _items(each)]
    outer = sum(isinstance(each, _REPEATED) for each in choices)
    inner = without_fields(info)
    as_json = sum(isinstance(each, _REPEATED) for each in inner) > outer or any(isinstance(each, _OBJECTS) for each in inner)
    plain = [*choices, *items]
    keys = [key for each in types if isinstance(each, msgspec.inspect.DictType) for key in alternatives(each.key_type)]
    exact = any(isinstance(each, msgspec.inspect.DecimalType) for each in types)
    return Form(
        parameter.annotation,
        shown,
        repeated=outer > 0,
        as_json=as_json,
        numeric=any(map(_is_numeric, plain)) and not any(isinstance(each, _TIMES) for each in plain),
        whole=any(map(_is_whole, plain)) and not any(isinstance(each, (*_NUMBERS, msgspec.inspect.StrType)) for each in plain),
        simple=parameter.annotation in _PLAIN,
        exact=exact,
        keyed=any(not isinstance(key, (msgspec.inspect.StrType, msgspec.inspect.AnyType)) for key in keys),
        watched=exact or any(isinstance(key, _NUMBERS) for key in keys),
        watched_text=any(isinstance(each, _NUMBERS) for each in types),
        hashing=hashing_of(types),
    )


def _types(parameter: Parameter, shown: str) -> list[msgspec.inspect.Type]:
    """Return the type of a parameter, and all types inside it.

    Raises:
        RegistrationError: the annotation is not a type, or JSON can't be converted to it.
    """
    annotated = f"parameter {parameter.name!r} is annotated {shown}"
    try:
        return prepare(parameter.annotation)
    except Unconvertible as error:
        raise RegistrationError(f"{annotated}, and {error}") from error
    except Exception as error:  # msgspec raises several kinds of errors for what is not a type
        raise RegistrationError(f"{annotated}, which is not a type: {error}") from error


def _items(info: Any) -> list[msgspec.inspect.Type]:
    return [member for item in getattr(info, "item_types", None) or [info.item_type] for member in alternatives(item)]


def _is_numeric(info: Any) -> bool:
    """Whether msgspec converts a text to this type only with `strict=False`."""
    return isinstance(info, (*_WORDS, msgspec.inspect.FloatType)) or _is_whole(info)


def _is_whole(info: Any) -> bool:
    values: Any = info.values if isinstance(info, msgspec.inspect.LiteralType) else ()
    values = [member.value for member in info.cls] if isinstance(info, msgspec.inspect.EnumType) else values
    return isinstance(info, msgspec.inspect.IntType) or any(isinstance(value, int) for value in values)

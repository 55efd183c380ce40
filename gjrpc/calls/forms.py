"""How the values of a parameter are converted, by its annotation.

Owns what msgspec makes of annotations, compiled once, at registration, and each reason why JSON can't be converted to one.
Nothing here runs during a call, except what msgspec has compiled. It knows no method and no arguments.
"""

import inspect
from collections.abc import Mapping
from inspect import Parameter
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET

from gjrpc.calls.signatures import is_typed
from gjrpc.errors import RegistrationError
from gjrpc.texts import excerpt
from gjrpc.values.conversion import Unconvertible, alternatives, prepare, without_fields
from gjrpc.values.hashing import Hashing, hashing_of

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
_NOT_WHOLE = (*_NUMBERS, msgspec.inspect.StrType)
_TIMES = (msgspec.inspect.DateTimeType, msgspec.inspect.TimeDeltaType)
_LONGEST = 200  # characters of an annotation in a sentence

_BOUNDED = Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)]
_EXACT: dict[Any, Any] = {int: _BOUNDED, int | None: _BOUNDED | None}
_SIMPLE = (Any, str, float, bool, None, *_EXACT, str | None, float | None, bool | None)


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
    keys = [key for each in types if isinstance(each, msgspec.inspect.DictType) for key in alternatives(each.key_type)]
    exact = any(isinstance(each, msgspec.inspect.DecimalType) for each in types)
    return _form_of_texts(parameter.annotation, shown, types[0])._replace(
        exact=exact,
        keyed=any(not isinstance(key, (msgspec.inspect.StrType, msgspec.inspect.AnyType)) for key in keys),
        watched=exact or any(isinstance(key, _NUMBERS) for key in keys),
        watched_text=any(isinstance(each, _NUMBERS) for each in types),
        hashing=hashing_of(types),
    )


def _form_of_texts(annotation: Any, shown: str, info: msgspec.inspect.Type) -> Form:
    """Return how the texts of a query are converted to a type."""
    choices = alternatives(info)
    inner = without_fields(info)
    outer = sum(isinstance(each, _REPEATED) for each in choices)
    plain = [*choices, *(item for each in choices if isinstance(each, _REPEATED) for item in _items(each))]
    nested = sum(isinstance(each, _REPEATED) for each in inner) > outer
    return Form(
        annotation,
        shown,
        repeated=outer > 0,
        as_json=nested or any(isinstance(each, _OBJECTS) for each in inner),
        numeric=any(map(_is_numeric, plain)) and not any(isinstance(each, _TIMES) for each in plain),
        whole=any(map(_is_whole, plain)) and not any(isinstance(each, _NOT_WHOLE) for each in plain),
        simple=annotation in _SIMPLE,
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


def struct_of(parameters: list[Parameter], forms: Mapping[str, Form], *, array_like: bool) -> type[msgspec.Struct]:
    """Return a Struct whose fields are the parameters: msgspec compiles it once and converts all arguments in one step.

    Raises:
        RegistrationError: msgspec can't convert to one of the types.
    """
    return _struct([(p, forms[p.name].wanted) for p in parameters], array_like=array_like)


def text_struct_of(parameters: list[Parameter], forms: Mapping[str, Form]) -> type[msgspec.Struct]:
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

"""What a callable's signature says, read once at registration.

Owns all inspection: signatures, annotations, what msgspec makes of them, and each reason why a callable can't be registered. Its
findings are `binding`'s to use; nothing here runs during a call.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

import msgspec
from msgspec import UNSET

from gjrpc.errors import RegistrationError

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
"""The kinds of parameters that an argument can reach by position."""

NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
"""The kinds of parameters that an argument can reach by name."""

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


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature, with annotations that are text evaluated.

    Raises:
        RegistrationError: there is none that can be read, or the callable is asynchronous.
    """
    if any(inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner) for inner in _innermost(function)):
        raise RegistrationError("it is an async function; plain functions are served (gevent makes their waiting concurrent)")
    try:
        return inspect.signature(function, eval_str=True)
    except (TypeError, ValueError) as error:
        raise RegistrationError(f"its signature can't be read ({error}); wrap it in a function that has one") from error
    except Exception as error:  # evaluating a text annotation can raise anything
        raise RegistrationError(f"an annotation can't be evaluated: {type(error).__name__}: {error}") from error


def taken_names(function: Callable[..., Any], parameters: list[Parameter]) -> frozenset[str]:
    """Names that `**kwargs` can't take, since the callable has already bound them (`self`, a partial's arguments)."""
    every = [p for inner in _innermost(function) for p in inspect.signature(inner).parameters.values()]
    return frozenset(p.name for p in every if p.kind in NAMED) - {p.name for p in parameters}


def _innermost(function: Any) -> Iterator[Callable[..., Any]]:
    """The functions that a call ends in, which bind what the callables around them have bound already."""
    if isinstance(function, functools.partial):
        yield from _innermost(function.func)
    elif inspect.ismethod(function):
        yield from _innermost(function.__func__)
    elif inspect.isclass(function):
        yield from (function.__init__, function.__new__)
    else:
        yield function if inspect.isroutine(function) else type(function).__call__


def is_typed(parameter: Parameter) -> bool:
    """Whether a parameter has an annotation that asks for something."""
    return parameter.annotation not in (Parameter.empty, Any, object)


def struct_of(parameters: list[Parameter], *, array_like: bool) -> type[msgspec.Struct]:
    """A Struct with the parameters as its fields: msgspec compiles it once and converts all arguments in one step.

    Raises:
        RegistrationError: msgspec can't convert to one of the types.
    """
    columns = [(p.name, field_type(p)) if p.default is p.empty else (p.name, field_type(p), UNSET) for p in parameters]
    try:
        struct = msgspec.defstruct("Arguments", columns, array_like=array_like, kw_only=not array_like)
        msgspec.json.Decoder(struct)  # compiles it, and so finds what msgspec can't convert to
    except TypeError as error:
        raise RegistrationError(f"its parameters can't be converted from JSON: {error}") from error
    return struct


def field_type(parameter: Parameter) -> Any:
    """The type that a parameter's value is converted to.

    Raises:
        RegistrationError: it can't be made from JSON.
    """
    if not is_typed(parameter):
        return Any
    unknown = next((t for t in inner_types(type_info(parameter)) if isinstance(t, msgspec.inspect.CustomType)), None)
    if unknown is not None:
        raise RegistrationError(
            f"parameter {parameter.name!r} is annotated {inspect.formatannotation(parameter.annotation)}, and "
            f"{unknown.cls.__name__} can't be made from JSON; use a dataclass, a msgspec.Struct or a JSON type"
        )
    return parameter.annotation


def type_info(parameter: Parameter) -> msgspec.inspect.Type:
    """What msgspec makes of an annotation.

    Raises:
        RegistrationError: it is no type.
    """
    try:
        return msgspec.inspect.type_info(parameter.annotation)
    except Exception as error:  # msgspec raises several kinds for what is no type
        shown = inspect.formatannotation(parameter.annotation)
        raise RegistrationError(f"parameter {parameter.name!r} is annotated {shown}, which is no type: {error}") from error


def inner_types(info: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    """A type and those inside it (list items, union members), without the fields of objects."""
    parts: list[Any] = [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    parts += [getattr(info, name) for name in ("item_type", "key_type", "value_type", "type") if hasattr(info, name)]
    return [info] + [inner for part in parts for inner in inner_types(part)]


def text_form(parameter: Parameter) -> tuple[bool, bool]:
    """Whether a parameter takes repeated keys, and whether its texts are JSON, as all are that hold more than one value."""
    if not is_typed(parameter):
        return False, False
    info = type_info(parameter)
    outer = sum(isinstance(t, _REPEATED) for t in _alternatives(info))
    inner = inner_types(info)
    nested = sum(isinstance(t, _REPEATED) for t in inner) > outer
    return outer > 0, nested or any(isinstance(t, _OBJECTS) for t in inner)


def _alternatives(info: Any) -> list[msgspec.inspect.Type]:
    """The members of a union, or the type itself."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _alternatives(info.type)
    return [a for t in info.types for a in _alternatives(t)] if isinstance(info, msgspec.inspect.UnionType) else [info]


def watched_numbers(parameters: list[Parameter]) -> dict[bool, bool]:
    """Whether converted arguments can hold NaN, by whether the conversion is strict.

    A text can spell NaN for a float; in JSON that can only be done for a Decimal.
    """
    kinds = [t for p in parameters if is_typed(p) for t in inner_types(type_info(p))]
    return {
        False: any(isinstance(t, (*_NUMBERS, *_OBJECTS)) for t in kinds),
        True: any(isinstance(t, msgspec.inspect.DecimalType) for t in kinds),
    }

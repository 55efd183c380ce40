"""What methods return, held against what they say that they return.

Owns the check of a result against the annotation, compiled at registration. Values of plain types are known by their class; of
any other the JSON is read back, as its reader will, but into types without the application's code: no `__post_init__` runs.
"""

import inspect
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from inspect import Parameter
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw
from msgspec import inspect as types

from gjrpc import codec, misfits
from gjrpc.conversion import alternatives, new_decoder
from gjrpc.errors import WrongResult

_CONSTRAINTS = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length", "tz")
_FORMS: dict[type, Any] = {
    types.BoolType: bool,
    types.NoneType: None,
    types.IntType: int,
    types.FloatType: float,
    types.StrType: str,
    types.BytesType: bytes,
    types.ByteArrayType: bytes,
    types.MemoryViewType: bytes,
    types.DateTimeType: datetime,
    types.TimeType: time,
    types.DateType: date,
    types.TimeDeltaType: timedelta,
    types.UUIDType: UUID,
    types.DecimalType: Decimal,
}
# Whose instances need no look at their JSON, if they are not limited; a float may be written as an integer.
_PLAIN: dict[type, tuple[type, ...]] = {
    **{kind: (form,) for kind, form in _FORMS.items() if form in (bool, int, str, datetime, date, timedelta, UUID, Decimal)},
    types.NoneType: (type(None),),
    types.FloatType: (float, int),
}


class Results:
    """Checks what a method returns.

    Attributes:
        usual: the class whose instances are right, and come most often, or None.

    Args:
        annotation: what is returned.
        info: msgspec's words for it.
    """

    __slots__ = ("_annotation", "_known", "_read", "usual")

    def __init__(self, annotation: Any, info: types.Type) -> None:
        known = [kind for member in alternatives(info) for kind in _known(member)]
        self._known = frozenset(known)
        self.usual = known[0] if known else None
        self._annotation = inspect.formatannotation(annotation)
        self._read = new_decoder(_form(info, {}))

    def check(self, result: Any) -> Any:
        """Give a result back, if its class says that it is right; else as JSON that was read back.

        Raises:
            WrongResult: it is not what the annotation says.
            NotJSON: it is no JSON.
        """
        if type(result) in self._known:
            return result
        text = codec.encode(result)
        try:
            self._read(text)
        except msgspec.ValidationError as error:
            reason, place = misfits.told(error)
            where = f" at {place.lstrip('.')}" if place else ""
            raise WrongResult(f"expected {self._annotation}, got a {type(result).__name__}{where}: {reason}") from None
        return Raw(text)

    def checking(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which raises WrongResult instead of returning what is not right."""
        return lambda *positional, **named: self.check(function(*positional, **named))


def results_of(annotation: Any) -> Results | None:
    """What checks results of a type; None where nothing is said of them, or nothing that JSON could be held against."""
    if annotation in (Parameter.empty, Any, object, Raw):
        return None
    try:
        info = types.type_info(annotation)
        return None if isinstance(info, (types.AnyType, types.CustomType)) else Results(annotation, info)
    except Exception:  # noqa: BLE001  msgspec raises several kinds for what is no type; the documents say so
        return None


def _known(info: Any) -> tuple[type, ...]:
    if _limits(info):
        return ()
    if isinstance(info, types.EnumType):
        return (info.cls,)
    if isinstance(info, types.ListType) and isinstance(info.item_type, types.AnyType):
        return (list, tuple)
    if isinstance(info, types.DictType) and isinstance(info.value_type, types.AnyType) and _is_text(info.key_type):
        return (dict,)
    return _PLAIN.get(type(info), ())


def _is_text(info: Any) -> bool:
    return isinstance(info, types.AnyType) or (isinstance(info, types.StrType) and not _limits(info))


def _limits(info: Any) -> dict[str, Any]:
    return {name: value for name in _CONSTRAINTS if (value := getattr(info, name, None)) is not None}


def _form(info: Any, within: dict[Any, Any]) -> Any:
    """A type of the same JSON, without the application's classes; a class within itself is not looked into again."""
    limits = _limits(info)
    form = _bare_form(info, within)
    return Annotated[form, msgspec.Meta(**limits)] if limits else form


def _bare_form(info: Any, within: dict[Any, Any]) -> Any:
    if isinstance(info, types.Metadata):
        return _form(info.type, within)
    if isinstance(info, types.UnionType):
        return Union[tuple(_form(member, within) for member in info.types)]  # noqa: UP007  they are computed
    if isinstance(info, types.DictType):
        return dict[_form(info.key_type, within), _form(info.value_type, within)]  # type: ignore[misc]  # likewise
    if isinstance(info, types.TupleType):
        return tuple[tuple(_form(item, within) for item in info.item_types)]  # type: ignore[misc]
    if isinstance(info, types.CollectionType):
        return list[_form(info.item_type, within)]  # type: ignore[misc]
    if isinstance(info, types.LiteralType):
        return Literal[info.values]
    if isinstance(info, types.EnumType):
        return info.cls
    if hasattr(info, "fields"):
        return _class_form(info, within)
    return _FORMS.get(type(info), Raw)


def _class_form(info: Any, within: dict[Any, Any]) -> Any:
    if info.cls in within:
        return Raw
    inner = {**within, info.cls: None}
    names = {f"field_{index}": field.encode_name for index, field in enumerate(info.fields)}
    defaults = [() if field.required else (UNSET,) for field in info.fields]
    forms = [_form(field.type, inner) for field in info.fields]
    return msgspec.defstruct(
        "Result",
        [(name, form, *default) for name, form, default in zip(names, forms, defaults, strict=True)],
        rename=names,
        array_like=getattr(info, "array_like", isinstance(info, types.NamedTupleType)),
        tag_field=getattr(info, "tag_field", None),
        tag=getattr(info, "tag", None),
    )

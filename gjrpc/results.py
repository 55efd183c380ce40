"""What methods return, held against what they say that they return.

Owns the check of a result against the annotation, compiled at registration. Values of plain types are known by their class; of
any other the JSON is read back, as its reader will, but into types without the application's code: no `__post_init__` runs.
"""

import inspect
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from inspect import Parameter
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw
from msgspec import inspect as types

from gjrpc import codec, misfits
from gjrpc.conversion import alternatives
from gjrpc.decoders import new_decoder
from gjrpc.errors import WrongResult
from gjrpc.rebuilt import PLAIN, limits, rebuilt, without_code

# Whose instances need no look at their JSON, if they are not limited; a float may be written as an integer.
_PLAIN: dict[type, tuple[type, ...]] = {
    **{kind: (form,) for kind, form in PLAIN.items() if form in (bool, int, str, datetime, date, timedelta, UUID, Decimal)},
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
        self._read = new_decoder(rebuilt(info, without_code))

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
    if limits(info):
        return ()
    if isinstance(info, types.EnumType):
        return (info.cls,)
    if isinstance(info, types.ListType) and isinstance(info.item_type, types.AnyType):
        return (list, tuple)
    if isinstance(info, types.DictType) and isinstance(info.value_type, types.AnyType) and _is_text(info.key_type):
        return (dict,)
    return _PLAIN.get(type(info), ())


def _is_text(info: Any) -> bool:
    return isinstance(info, types.AnyType) or (isinstance(info, types.StrType) and not limits(info))

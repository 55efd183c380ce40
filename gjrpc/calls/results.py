"""The check of results against their annotations.

Owns that check, which is compiled at registration. Values of plain types are checked by their class. For any other type the JSON
is decoded again, as the client will do, but into types without the application's code: no `__post_init__` runs. It knows no
method and no call.
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

from gjrpc.calls import argument_errors
from gjrpc.errors import WrongResult
from gjrpc.values import codec
from gjrpc.values.conversion import alternatives
from gjrpc.values.type_builder import CLASSES, constraints, rebuild_type, without_code
from gjrpc.values.typed_decoder import uncached_decoder_for

# Types whose instances need no decoding, unless they have constraints; a float may be written as an integer.
_KNOWN: dict[type, tuple[type, ...]] = {
    **{kind: (cls,) for kind, cls in CLASSES.items() if cls in (bool, int, str, datetime, date, timedelta, UUID, Decimal)},
    types.NoneType: (type(None),),
    types.FloatType: (float, int),
}


class ResultCheck:
    """Checks the results of a method.

    Attributes:
        usual: the most usual class whose instances need no further check, or None.

    Args:
        annotation: the annotation of the result.
        info: msgspec's description of the annotation.
    """

    __slots__ = ("_annotation", "_decode", "_known", "usual")

    def __init__(self, annotation: Any, info: types.Type) -> None:
        known = [kind for member in alternatives(info) for kind in _known(member)]
        self._known = frozenset(known)
        self.usual = known[0] if known else None
        self._annotation = inspect.formatannotation(annotation)
        self._decode = uncached_decoder_for(rebuild_type(info, without_code))

    def check(self, result: Any) -> Any:
        """Return a result if its class is right, or else its JSON, checked.

        Raises:
            WrongResult: the result does not match the annotation.
            NotJSON: the result can't be written as JSON.
        """
        if type(result) in self._known:
            return result
        text = codec.encode(result)
        try:
            self._decode(text)
        except msgspec.ValidationError as error:
            reason, place = argument_errors.reason_and_place(error)
            where = f" at {place.lstrip('.')}" if place else ""
            raise WrongResult(f"expected {self._annotation}, got a {type(result).__name__}{where}: {reason}") from None
        return Raw(text)

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that it raises WrongResult instead of returning a wrong result."""
        return lambda *positional, **named: self.check(function(*positional, **named))


def result_check(annotation: Any) -> ResultCheck | None:
    """Return the check for an annotation; None without one, or if JSON can't be checked against it."""
    if annotation in (Parameter.empty, Any, object, Raw):
        return None
    try:
        info = types.type_info(annotation)
        return None if isinstance(info, (types.AnyType, types.CustomType)) else ResultCheck(annotation, info)
    except Exception:  # noqa: BLE001  msgspec raises several kinds of errors for what is not a type; the documents report it
        return None


def _known(info: Any) -> tuple[type, ...]:
    if constraints(info):
        return ()
    if isinstance(info, types.EnumType):
        return (info.cls,)
    if isinstance(info, types.ListType) and isinstance(info.item_type, types.AnyType):
        return (list, tuple)
    if isinstance(info, types.DictType) and isinstance(info.value_type, types.AnyType) and _is_text(info.key_type):
        return (dict,)
    return _KNOWN.get(type(info), ())


def _is_text(info: Any) -> bool:
    return isinstance(info, types.AnyType) or (isinstance(info, types.StrType) and not constraints(info))

"""Converters for one argument.

Owns the three ways in which a value arrives: as decoded JSON, as JSON text, and as the texts of a query. It knows the form of one
parameter, and no signature.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from gjrpc.calls import argument_errors
from gjrpc.calls.argument_errors import Fault
from gjrpc.calls.forms import Form
from gjrpc.errors import ParseError
from gjrpc.values import codec, finite
from gjrpc.values.hashing import as_validation_error
from gjrpc.values.typed_decoder import decoder_for

Convert: TypeAlias = Callable[[str, Form, Any], Any]
"""Converts a received value to the argument of a name, by its form; raises Mismatch."""

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,5})?", re.ASCII)


class Mismatch(Exception):
    """One argument does not fit; the binder reports it together with the others."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def from_value(name: str, form: Form, value: Any) -> Any:
    """Convert decoded JSON to an argument.

    Raises:
        Mismatch
    """
    if form.wanted is Any:
        return value
    try:
        return _check_finite(name, _converted(form, value), form.watched)
    except msgspec.ValidationError as error:
        raise Mismatch(argument_errors.wrong_value(name, form.shown, error, value)) from None


def convert_together(form: Form, values: list[Any]) -> tuple[list[Any] | None, int | None]:
    """Convert many values of one form in one step.

    Returns:
        The arguments and None; or None and the index of a value that does not fit; or None twice, if each needs a closer look.
    """
    if form.hashing is not None:
        return None, None
    try:
        made: list[Any] = msgspec.convert(values, list[form.wanted], str_keys=True)  # type: ignore[name-defined]  # computed
    except msgspec.ValidationError as error:
        return None, argument_errors.item_index(error)
    if form.watched and finite.find_non_finite(made) is not None:
        return None, next(index for index, value in enumerate(made) if finite.find_non_finite(value) is not None)
    return made, None


def from_json(name: str, form: Form, value: Raw) -> Any:
    """Convert well-formed JSON text to an argument.

    Raises:
        Mismatch
    """
    try:
        return _check_finite(name, decoder_for(form.wanted)(value), form.watched)
    except msgspec.ValidationError as error:
        raise Mismatch(argument_errors.wrong_value(name, form.shown, error, value)) from None


def from_texts(name: str, form: Form, texts: list[str]) -> Any:
    """Convert the texts of a query to an argument: several become a list, objects are read as JSON, others as they are spelled.

    Raises:
        Mismatch
    """
    if len(texts) > 1 and not form.repeated:
        raise Mismatch(argument_errors.repeated(name, len(texts)))
    try:
        if form.as_json:
            joined = ",".join(map(_json_text, texts))
            return _check_finite(name, decoder_for(form.wanted)(f"[{joined}]" if form.repeated else joined), form.watched)
        read = [_whole(text) for text in texts] if form.whole else list(texts)
        plain = not form.numeric and not any(text.lower() == "null" for text in read)
        return _check_finite(name, _converted(form, read if form.repeated else read[0], strict=plain), form.watched_text)
    except ParseError as error:
        raise Mismatch(argument_errors.not_json(name, error.message)) from None
    except msgspec.ValidationError as error:
        raise Mismatch(argument_errors.wrong_text(name, form.shown, error, texts, as_json=form.as_json)) from None


def _converted(form: Form, value: Any, *, strict: bool = True) -> Any:
    if form.hashing is not None:
        form.hashing.check(value, strict=strict)
    try:
        return msgspec.convert(value, form.wanted, strict=strict, str_keys=True)
    except TypeError as error:
        raise as_validation_error(error) from None


def _check_finite(name: str, value: Any, watched: bool) -> Any:
    number = finite.find_non_finite(value) if watched else None
    if number is not None:
        raise Mismatch(argument_errors.not_finite(name, number))
    return value


def _json_text(text: str) -> str:
    """Return the text, or raise ParseError if it is not JSON."""
    codec.decode(text.encode())
    return text


def _whole(text: str) -> str:
    """Rewrite an integer such as 5.0 or 1e3 with all its digits; return any other text unchanged."""
    if text.isdecimal() or len(text) > codec.MAX_DIGITS:
        return text
    try:
        number = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        number = None
    if number is None or number.adjusted() >= codec.MAX_DIGITS or number != number.to_integral_value():
        return text
    return str(int(number))

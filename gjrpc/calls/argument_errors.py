"""The sentences about arguments that do not fit.

Owns each sentence: it names the argument, what was expected and what was received, and is short enough to read. It knows no
signature: `parameters` and `converters` find the faults.
"""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from heapq import nsmallest
from typing import Any, NamedTuple

import msgspec

from gjrpc.calls.hints import Hints
from gjrpc.errors import InvalidArguments
from gjrpc.texts import excerpt, quoted
from gjrpc.values import codec

_SHOWN = 60  # characters shown of a received value or name

MOST = 10
"""Faults of one call that are reported. At most one more is looked for, as a batch may have many calls."""

# msgspec ends its messages with the place, " - at `$[1].x`"; in a Struct its first step is the parameter.
_PLACE = re.compile(r"(?P<reason>.*) - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]")
_GOT_STR = re.compile(r", got `str`$")
_NAMES_THE_TYPE = re.compile(r", got ")


_hints = lru_cache(maxsize=256)(Hints)
"""By the names of a signature: they are the application's, not a stranger's."""


class Fault(NamedTuple):
    """Why an argument does not fit.

    Attributes:
        sentence: for the client.
        foreign: the exception that a class of the application raised for the value, for the log only; or None.
    """

    sentence: str
    foreign: BaseException | None = None


def invalid_arguments(faults: Sequence[Fault]) -> InvalidArguments:
    """Combine all faults of one call into one error."""
    sentences = [fault.sentence for fault in faults[:MOST]]
    if len(faults) > MOST:
        sentences.append("and more")
    foreign = next((fault.foreign for fault in faults if fault.foreign is not None), None)
    return InvalidArguments("; ".join(sentences), foreign=foreign)


def too_many(count: int, most: int, listing: str) -> Fault:
    """There are more positional arguments than parameters."""
    return Fault(f"too many arguments: got {count}, expected {f'at most {most}' if most else 'none'} by position ({listing})")


def only_named(name: str) -> Fault:
    """A required parameter is keyword-only, and the arguments came as an array."""
    return Fault(f"missing argument {name!r}: it can only be given by name, so send an object")


def only_positional(name: str, listing: str) -> Fault:
    """A parameter is positional-only, and the arguments came as an object."""
    return Fault(f"argument {name!r} can only be given by position, so send an array ({listing})")


def missing(names: Sequence[str], listing: str) -> Fault:
    """Required arguments were not given."""
    return Fault(f"missing argument{'s' * (len(names) > 1)} {' and '.join(map(repr, names))} (expected {listing})")


def unknown(names: Collection[str], known: Sequence[str], listing: str) -> Fault:
    """No parameter has these names; for a single one, suggest the nearest."""
    some = nsmallest(MOST, names)
    if len(some) > 1:
        shown = " and ".join(map(shown_name, some)) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
        return Fault(f"unknown arguments {shown} (expected {listing})")
    near = _hints(tuple(known)).near(some[0])
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return Fault(f"unknown argument {shown_name(some[0])} (expected {listing}){hint}")


def repeated(name: str, count: int) -> Fault:
    """A query repeats a key whose parameter takes one value."""
    return Fault(f"argument {shown_name(name)}: given {count} times, but it takes one value")


def not_json(name: str, message: str) -> Fault:
    """A text of a query should be JSON and is not."""
    return Fault(f"argument {shown_name(name)}: expected JSON text: {message}")


def not_finite(name: str, number: Any) -> Fault:
    """The value is NaN or infinite, however it was spelled (CONVENTION, section 5)."""
    return Fault(f"argument {shown_name(name)}: expected a finite number, got {number}")


def wrong_value(name: str, annotation: str, error: msgspec.ValidationError, received: Any) -> Fault:
    """A value can't be converted.

    Args:
        name: the name of the argument.
        annotation: the parameter's annotation, as Python shows it.
        error: what msgspec raised for the value.
        received: the value.
    """
    reason, path = reason_and_place(error)
    got = "" if _NAMES_THE_TYPE.search(reason) else f", got {shown_value(received)}"
    return _fault(name, annotation, reason, path, got, error)


def wrong_text(name: str, annotation: str, error: msgspec.ValidationError, texts: Sequence[str], *, as_json: bool) -> Fault:
    """A value of a query can't be converted.

    Args:
        name: the name of the argument.
        annotation: the parameter's annotation, as Python shows it.
        error: what msgspec raised for the value.
        texts: the received texts, several for a list.
        as_json: whether they are JSON.
    """
    reason, path = reason_and_place(error)
    step = _STEP.match(path)
    text = shown_name(texts[int(step[1])] if step and len(texts) > int(step[1]) else texts[0])
    reason = reason if as_json else _GOT_STR.sub("", reason)
    got = f" in the text {text}" if _NAMES_THE_TYPE.search(reason) else f", got the text {text}"
    return _fault(name, annotation, reason, path, got, error)


def reason_and_place(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split msgspec's error into its reason, without what a stranger sent, and the place in the value."""
    place = _PLACE.fullmatch(str(error))
    reason, path = (place["reason"], place["path"]) if place else (str(error), "")
    if error.__cause__ is not None:
        reason = "a check of its class rejects the value"
    elif reason.startswith("Invalid enum value "):
        reason = "Invalid enum value"
    return (f"{reason} as a key" if place and place["key"] else reason), path


def item_index(error: msgspec.ValidationError) -> int | None:
    """Return the index of the list item that an error is about, or None."""
    step = _STEP.match(reason_and_place(error)[1])
    return int(step[1]) if step else None


def _fault(name: str, annotation: str, reason: str, path: str, got: str, error: BaseException) -> Fault:
    where = f" at {excerpt(path.lstrip('.'), _SHOWN)}" if path else ""
    expected = "" if reason.startswith("Expected") else f" (expected {annotation})"
    sentence = f"argument {shown_name(name)}{where}: {reason[:1].lower()}{excerpt(reason[1:], 200)}{expected}{got}"
    return Fault(sentence, error.__cause__)


def shown_name(name: str) -> str:
    """Return a name in quotation marks, cut if it is long."""
    return quoted(name, _SHOWN)


def shown_value(value: Any) -> str:
    """Return a value as JSON, cut if it is long."""
    if isinstance(value, str):
        value = value[: 2 * _SHOWN]
    return excerpt((bytes(value) if isinstance(value, msgspec.Raw) else codec.encode(value)).decode(), _SHOWN)

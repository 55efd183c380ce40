"""Types of dict keys that JSON objects can be converted to, for all tests of dicts with such keys."""

import enum
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import msgspec

ZERO = UUID(int=0)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


Number = NewType("Number", int)

# The type of the keys, a key in JSON, and the converted key.
KEYS = {
    "str": (str, "1", "1"),
    "int": (int, "1", 1),
    "a negative int": (int, "-1", -1),
    "a large int": (int, str(2**70), 2**70),
    "float": (float, "1.5", 1.5),
    "Decimal": (Decimal, "1.50", Decimal("1.50")),
    "UUID": (UUID, str(ZERO), ZERO),
    "date": (date, "2020-01-01", date(2020, 1, 1)),
    "datetime": (datetime, "2020-01-01T00:00:00Z", datetime(2020, 1, 1, tzinfo=timezone.utc)),
    "time": (time, "10:00:00", time(10)),
    "timedelta": (timedelta, "PT5S", timedelta(seconds=5)),
    "bytes": (bytes, "YQ==", b"a"),
    "enum": (Colour, "red", Colour.RED),
    "IntEnum": (Level, "1", Level.LOW),
    "Literal": (Literal["a", 1], "1", 1),
    "NewType": (Number, "1", 1),
    "Annotated": (Annotated[int, msgspec.Meta(ge=1)], "1", 1),
    "a union": (int | UUID, "1", 1),
    "or None": (int | None, "1", 1),
    "Any": (Any, "1", "1"),
}

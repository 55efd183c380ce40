"""An application with nearly every kind of annotation; tests read its documents."""

import datetime
import decimal
import enum
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from gjrpc import CallError, Registry

registry = Registry()


class Color(enum.Enum):
    """A color."""

    RED = "red"
    GREEN = "green"


@dataclass
class Node:
    """An element of a list."""

    value: int
    next: "Node | None" = None


class NoSuchHost(CallError):
    """The host is not known."""

    code = 7
    status = 404
    message = "no such host"


class Busy(CallError):
    """It can't be done now; the constructor of this class has its own parameter."""

    code = 8
    status = 409
    message = "busy"

    def __init__(self, seconds: int) -> None:
        super().__init__(data={"seconds": seconds})


@registry.method(examples=[([1, 2], 3), ({"a": 1}, 11), (1, 11)])
def add(a: int, b: int = 10) -> int:
    """Add two numbers.

    They may be of any size.

    Args:
        a: the first.
        b: the second.

    Returns:
        Their sum.
    """
    return a + b


@registry.method(errors=[NoSuchHost, Busy, CallError("not yours", code=9, status=403, data={"owner": "root"})])
def load(host: Literal["a", "b", "c"]) -> float:
    """Return the load of a host.

    Parameters
    ----------
    host : str
        Its name.

    Returns
    -------
    float
        Between 0 and 1.
    """
    if host == "b":
        raise NoSuchHost(data={"host": host})
    if host == "c":
        raise Busy(3)
    return 0.5


@registry.method(deprecated="use add")
def total(*terms: float, scale: float = 1.0) -> float:
    """Add many.

    :param terms: what to add.
    :param scale: what to multiply it with.
    """
    return min(max(sum(terms) * scale, -1e308), 1e308) if terms else 0.0


@registry.method
def walk(node: Node, /, deep: bool = False) -> list[int]:
    """List the values of a list."""
    values = [node.value]
    while node.next is not None:
        node = node.next
        values.append(node.value)
    return values


@registry.method
def paint(*, color: Color, when: datetime.date | None = None) -> dict[str, str]:
    """Paint in a color."""
    return {"color": color.value, "when": str(when)}


@registry.method
def pick(keys: list[int], count: Annotated[int, msgspec.Meta(ge=0, le=5)] = 1) -> list[int]:
    """Pick the first ones."""
    return keys[:count]


@registry.method
def echo(value, other=None):
    """Return the value."""
    return value


@registry.method(name="stats.cost", deadline=20, blocking=True)
def cost(price: decimal.Decimal, who: uuid.UUID | None = None) -> decimal.Decimal:
    """Return a price."""
    return price


@registry.method
def raw(data: bytes, pairs: dict[str, tuple[int, str]] = {}) -> int:  # noqa: B006  a default for the documents, never changed
    """Count bytes."""
    return len(data) + len(pairs)


@registry.method
def anything(values: Any = None, given: Sequence[Any] = ()) -> Any:
    """Accept any value."""
    return [values, *given]

"""The methods that the bench and locust call: `python -m gjrpc.serve bench.app:registry`.

The environment variable `BENCH_METHODS` sets the least number of methods in the registry; it is filled up with `filler0`,
`filler1` and so on.
"""

import os
from inspect import Parameter, Signature
from typing import Any

import gevent

from gjrpc import Application, Registry

ARGUMENTS = (0, 1, 2, 5, 10, 20, 50)
"""For each of these numbers of parameters there is a method `arguments0`, `arguments1` and so on."""

registry = Registry()


@registry.method
def ping() -> str:
    """Answer."""
    return "pong"


@registry.method
def add(a, b=10):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, RUF100  measured without annotations
    """Add two values of any type."""
    return a + b


@registry.method
def three(a, b, c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, RUF100  as above
    """Add three values of any type."""
    return a + b + c


@registry.method
def three_typed(a: int, b: int, c: int) -> int:
    """Add three numbers, checked by their annotations."""
    return a + b + c


@registry.method
def slow() -> str:
    """Answer after a tenth of a second; other calls run meanwhile."""
    gevent.sleep(0.1)
    return "slow"


@registry.method
def compute() -> int:
    """Compute for about a tenth of a millisecond."""
    return sum(number * number for number in range(1000))


@registry.method
def length(text: str) -> int:
    """Count characters."""
    return len(text)


@registry.method
def worker() -> int:
    """Return the process that answers."""
    return os.getpid()


def _taking(count: int) -> Any:
    def method(*values: Any) -> int:
        return len(values)

    names = [Parameter(f"a{number}", Parameter.POSITIONAL_OR_KEYWORD) for number in range(count)]
    method.__signature__ = Signature(names)  # type: ignore[attr-defined]  # any callable may have one
    return method


for number in ARGUMENTS:
    registry.register(_taking(number), f"arguments{number}")
for number in range(int(os.environ.get("BENCH_METHODS", "0")) - len(registry)):
    registry.register(lambda: None, f"filler{number}")


class Counting:
    """An observer that counts the calls and seconds of each method."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def __call__(self, finished: Any) -> None:
        """Count one call."""
        name = finished.method
        self.calls[name] = self.calls.get(name, 0) + 1
        self.seconds[name] = self.seconds.get(name, 0.0) + finished.seconds


observed = Application(registry, observers=[Counting()])
"""The same methods with an observer."""

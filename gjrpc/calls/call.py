"""A call, as each dialect reads it from a request.

Owns what a call consists of. It knows no registry and no dialect.
"""

from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True, eq=False):
    """The name of a method, and the arguments for it.

    Attributes:
        name: the method's name.
        arguments: a JSON value; if `text` is set, a `gjrpc.calls.binding.Text`.
        text: whether the arguments are text that must be converted.
    """

    name: str
    arguments: Any
    text: bool = False

    def __repr__(self) -> str:
        return f"<Call {self.name} {self.arguments!r}>"

"""A call, as each dialect reads it from a request: the name of a method, and the arguments for it."""

from typing import Any

import msgspec


class Call(msgspec.Struct, eq=False):
    """A method's name and the arguments for it.

    Attributes:
        name: the method's name.
        arguments: a JSON value; or, where `text` is set, what `gjrpc.calls.binding.Text` describes.
        text: whether the arguments are text that wants conversion.
    """

    name: str
    arguments: Any
    text: bool = False

    def __repr__(self) -> str:
        return f"<Call {self.name} {self.arguments!r}>"

"""A registered method, compiled for its calls.

Owns what a method consists of, and the checks of its options that need the function: examples must fit its signature, and errors
must be writable. It knows no other method and no document.
"""

import inspect
import pydoc
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gjrpc.calls.binding import Binder, Binding
from gjrpc.calls.options import DeclaredError, MethodOptions
from gjrpc.calls.results import result_check
from gjrpc.errors import CallError, InvalidArguments, RegistrationError
from gjrpc.values import codec


class Example(NamedTuple):
    """An example of a call, in JSON's own types.

    Attributes:
        arguments: by the argument convention: an array is positional, an object named, any other value one argument.
        result: what the method returns for them.
    """

    arguments: Any
    result: Any


class Method(Struct, frozen=True, kw_only=True, eq=False):
    """A registered function, with all that a call of it needs; `Method.of` makes one.

    Attributes:
        name: its name on the wire.
        function: the callable.
        binding: its compiled arguments; see `gjrpc.calls.binding.Binder`.
        options: its options, as declared.
        run: calls the function, and checks the result if it has an annotation.
        call: binds one JSON value and calls the function, in the shortest way.
        plain: whether any caller may call it and it runs in place, without a deadline.
        description: text for people: the option, or the docstring.
        examples: the declared examples, as JSON would return them.
        deprecated: whether it should no longer be called, or a text that says what to use instead.
        errors: the errors that it declares.
    """

    name: str
    function: Callable[..., Any]
    binding: Binder
    options: MethodOptions
    run: Callable[..., Any]
    call: Callable[[Any], Any]
    plain: bool
    description: str
    examples: tuple[Example, ...]
    deprecated: bool | str
    errors: tuple[DeclaredError, ...]

    @classmethod
    def of(
        cls,
        name: str,
        function: Callable[..., Any],
        options: MethodOptions = MethodOptions(),  # noqa: B008  it is immutable
        binding: Binder | None = None,
    ) -> "Method":
        """Compile a function.

        Args:
            binding: how its arguments are bound; by default as its signature says.

        Raises:
            RegistrationError: the signature can't be bound, an example does not fit it, or a declared error can't be sent.
        """
        binding = binding or Binding(function)
        check = result_check(binding.returns) if options.check_result else None
        return cls(
            name=name,
            function=function,
            binding=binding,
            options=options,
            run=function if check is None else check.wrap(function),
            call=binding.compile_call(function, check),
            plain=not options.blocking and options.deadline is None and options.scope is None,
            description=pydoc.getdoc(function) if options.description is None else options.description,
            examples=tuple(_example(example, binding) for example in options.examples),
            deprecated=_deprecation(function) if options.deprecated is None else options.deprecated,
            errors=tuple(map(_declared, options.errors)),
        )

    def renamed(self, name: str) -> "Method":
        """Return the same method under another name."""
        return replace(self, name=name)

    def in_thread(self) -> "Method":
        """Return the same method, but blocking."""
        return replace(self, options=replace(self.options, blocking=True), plain=False)

    def __repr__(self) -> str:
        return f"<Method {self.name}({', '.join(self.binding.names)})>"


def _example(example: Any, binding: Binder) -> Example:
    if not isinstance(example, tuple) or len(example) != 2:
        raise RegistrationError(f"the example {example!r}: expected a tuple of the arguments and the result, ([1, 2], 3)")
    try:
        arguments, result = (codec.decode(codec.encode(value)) for value in example)
        binding.bind(arguments)
    except codec.NotJSON as error:
        raise RegistrationError(f"the example {example!r} is not JSON: {error}") from error
    except InvalidArguments as error:
        raise RegistrationError(f"the example {example!r} does not fit the signature: {error.message}") from error
    return Example(arguments, result)


def _deprecation(function: Callable[..., Any]) -> bool | str:
    """Return the text that `warnings.deprecated` leaves on a function (PEP 702), or False."""
    text = getattr(function, "__deprecated__", False)
    return text if isinstance(text, str) else False


def _declared(error: Any) -> DeclaredError:
    if not isinstance(error, CallError) and not (inspect.isclass(error) and issubclass(error, CallError)):
        raise RegistrationError(f"errors has {error!r}: expected subclasses of gjrpc.CallError, or instances of it")
    try:
        codec.encode((error.message, getattr(error, "data", None)))
    except codec.NotJSON as cause:
        raise RegistrationError(f"errors has {error!r}, whose message or data is not JSON: {cause}") from cause
    return error

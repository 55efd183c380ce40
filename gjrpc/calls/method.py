"""A registered function, and what was declared of it.

Owns what a method is, and the checks of what people declare for its documents: examples, errors, deprecation. It knows no other
method, and none of the documents.
"""

import inspect
import pydoc
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from gjrpc.calls.binding import Binding
from gjrpc.calls.results import result_check
from gjrpc.errors import CallError, InvalidArguments, RegistrationError
from gjrpc.values import codec

DeclaredError: TypeAlias = CallError | type[CallError]
"""How a call can fail: a class, or an error as it would be raised, whose data then is an example."""


class Example(NamedTuple):
    """A call as it could be, in JSON's own types.

    Attributes:
        arguments: by the argument convention: an array is positional, an object named, any other value one argument.
        result: what comes back.
    """

    arguments: Any
    result: Any


class Method:
    """A registered function with what a call of it needs.

    Attributes:
        name: the name it is called by.
        function: the callable.
        binding: its compiled arguments; see `gjrpc.calls.binding.Binding`.
        run: calls the function, and checks its result where it has an annotation.
        call: binds one JSON value and runs it, in the shortest way.
        blocking: whether it must run off the event loop, in a thread.
        deadline: seconds it may take, or None.
        scope: what its callers must hold, or None; see `gjrpc.calls.rights`.
        check_result: whether its result must be what its annotation says.
        plain: whether a call needs nothing of this: it is run where it is called, for anyone.
        description: text for people; the docstring unless given.
        examples: calls with their results.
        deprecated: whether it should no longer be called, or a text that says what to do instead.
        errors: how it says that it can fail.

    Raises:
        RegistrationError: an example does not fit the signature, or something declared is not what it should be.
    """

    __slots__ = (
        "binding",
        "blocking",
        "call",
        "check_result",
        "deadline",
        "deprecated",
        "description",
        "errors",
        "examples",
        "function",
        "name",
        "plain",
        "run",
        "scope",
    )

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        binding: Binding,
        *,
        blocking: bool = False,
        deadline: float | None = None,
        scope: str | None = None,
        check_result: bool = True,
        description: str | None = None,
        examples: Iterable[tuple[Any, Any]] = (),
        deprecated: bool | str | None = None,
        errors: Iterable[DeclaredError] = (),
    ) -> None:
        self.name = name
        self.function = function
        self.binding = binding
        self.check_result = check_result
        results = result_check(binding.returns) if check_result else None
        self.run = function if results is None else results.wrap(function)
        self.call = binding.caller(function, results)
        self.blocking = blocking
        self.deadline = deadline
        self.scope = scope
        self.plain = not blocking and deadline is None and scope is None
        self.description = pydoc.getdoc(function) if description is None else description
        self.examples = [_example(example, binding) for example in _each("examples", examples)]
        self.deprecated = _deprecation(function) if deprecated is None else _deprecated(deprecated)
        self.errors = [_declared(error) for error in _each("errors", errors)]

    def __repr__(self) -> str:
        return f"<Method {self.name}({', '.join(self.binding.names)})>"

    def renamed(self, name: str) -> "Method":
        """The same method under another name."""
        options = {option: getattr(self, option) for option in _OPTIONS}
        return Method(name, self.function, self.binding, **options)


_OPTIONS = ("blocking", "deadline", "scope", "check_result", "description", "examples", "deprecated", "errors")


def _each(option: str, values: Any) -> Iterable[Any]:
    if not isinstance(values, Iterable):
        raise RegistrationError(f"{option}={values!r}: expected a list")
    return values


def _example(example: Any, binding: Binding) -> Example:
    if not isinstance(example, tuple) or len(example) != 2:
        raise RegistrationError(f"the example {example!r}: expected a tuple of the arguments and the result, ([1, 2], 3)")
    try:
        arguments, result = (codec.decode(codec.encode(value)) for value in example)
        binding.bind(arguments)
    except codec.NotJSON as error:
        raise RegistrationError(f"the example {example!r} is not JSON: {error}") from error
    except InvalidArguments as error:
        raise RegistrationError(f"the example {example!r} is no call of it: {error.message}") from error
    return Example(arguments, result)


def _deprecated(deprecated: Any) -> bool | str:
    if not isinstance(deprecated, (bool, str)):
        raise RegistrationError(f"deprecated={deprecated!r}: expected True, or a text that says what to do instead")
    return deprecated


def _deprecation(function: Callable[..., Any]) -> bool | str:
    """What `warnings.deprecated` has left on a function (PEP 702), or False."""
    text = getattr(function, "__deprecated__", False)
    return text if isinstance(text, str) else False


def _declared(error: Any) -> DeclaredError:
    if not isinstance(error, CallError) and not (inspect.isclass(error) and issubclass(error, CallError)):
        raise RegistrationError(f"errors has {error!r}: expected subclasses of gjrpc.CallError, or instances of it")
    try:
        codec.encode((error.message, getattr(error, "data", None)))
    except codec.NotJSON as cause:
        raise RegistrationError(f"errors has {error!r}, and its message or data is not JSON: {cause}") from cause
    return error

"""The exception tree, on one screen.

Owns what can go wrong and what each error carries: a JSON-RPC code, a message meant for the client, data. It knows no
HTTP status (`problems` has that table) and no wire form (`gjrpc.app` renders).

    GjrpcError
    ├── RegistrationError     a function can't be registered so (also a ValueError)
    ├── SettingsError         an option, file or address that can't be used; `serve` ends with exit code 2
    ├── WrongResult           a method's result is not what its annotation says; goes to the log
    ├── CallError             how a call fails, told to the client; applications raise it, or a subclass
    │   ├── ParseError        the message is not JSON
    │   ├── InvalidRequest    it is JSON, but no call
    │   ├── MethodNotFound
    │   ├── InvalidArguments
    │   ├── InternalError     the method or its result failed; carries the log's `ref`
    │   ├── Unauthorized, Forbidden, TooLarge, Overloaded, DeadlineExceeded
    │   └── Misdirected, VerbNotAllowed, UnsupportedCoding, BadMessage     refused before there is a call
    └── ClientError           what `gjrpc.Client` raises
        ├── MisuseError       the caller's own mistake; nothing was sent
        ├── RemoteError       the server answered with an error
        └── WireError         no answer could be had
"""

from typing import Any

from gjrpc.texts import printable

_MOST_SHOWN = 2000  # characters of what a server says


class GjrpcError(Exception):
    """The base of all errors of this library."""


class RegistrationError(GjrpcError, ValueError):
    """A function, name or signature that can't be registered; the text says which and why."""


class SettingsError(GjrpcError):
    """An option, file or address that can't be used; the text says which, and what to do."""


class WrongResult(GjrpcError):
    """A result that is not what the method's annotation says; the text says how, without the value."""


class CallError(GjrpcError):
    """A failed call, in words meant for the client.

    Raise it in a method to answer with your own error:
    `raise CallError("no such host", code=7, data={"host": host}, status=404)`. An error that an application knows well is a
    class, which it can declare on its methods, so that the documents tell of it:

        class NoSuchHost(CallError):
            code = 7
            status = 404
            message = "no such host"

        @registry.method(errors=[NoSuchHost])
        def load(host): ...  # raise NoSuchHost(data={"host": host})

    Args:
        message: one sentence; it is sent. The class's own unless given.
        code: the JSON-RPC 2.0 error code, an integer (section 5.1 of its specification, which keeps -32768 to -32000 for itself).
        data: anything JSON can hold; sent beside the message.
        status: the HTTP status, 400 to 599; None takes the status that `problems` lists for the class.

    Raises:
        ValueError: the status is not one of an error; also raised when a subclass is defined with one.
        TypeError: a subclass is defined with a code that is no integer, or a message that is no text.
    """

    code: int = -32000
    message: str = "the call failed"
    status: int | None = None
    ref: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_status(cls.status)
        if not isinstance(cls.code, int) or not isinstance(cls.message, str):
            raise TypeError(f"{cls.__name__}: code={cls.code!r}, message={cls.message!r}; expected an integer and a text")

    def __init__(
        self, message: str | None = None, *, code: int | None = None, data: Any = None, status: int | None = None
    ) -> None:
        self.message = type(self).message if message is None else message
        super().__init__(self.message)
        self.data = data
        if code is not None:
            self.code = code
        if status is not None:
            _check_status(status)
            self.status = status


def _check_status(status: int | None) -> None:
    if status is not None and not 400 <= status <= 599:
        raise ValueError(f"status={status}: an error's HTTP status lies between 400 and 599")


class ParseError(CallError):
    """The bytes are not the JSON that is accepted."""

    code = -32700


class InvalidRequest(CallError):
    """The message is JSON, but no call."""

    code = -32600


class MethodNotFound(CallError):
    """No method has this name."""

    code = -32601


class InvalidArguments(CallError):
    """The arguments do not fit the method's signature or annotations.

    Args:
        message: names each argument that does not fit, what was expected and what came.
        foreign: the exception that an application's class raised for a value; its text goes to the log.
    """

    code = -32602
    foreign: BaseException | None = None

    def __init__(self, message: str | None = None, *, foreign: BaseException | None = None, **options: Any) -> None:
        super().__init__(message, **options)
        self.foreign = foreign


class InternalError(CallError):
    """The method raised something that it did not mean for the client, or its result is not JSON.

    Args:
        message: a sentence that gives nothing away.
        ref: the reference under which the log has the exception.
    """

    code = -32603

    def __init__(self, message: str, *, ref: str) -> None:
        super().__init__(message)
        self.ref = ref


class TooLarge(CallError):
    """The request's body is larger than the limit."""

    code = -32001


class Overloaded(CallError):
    """The server can't take the call now; it may later.

    Args:
        message: what there is too much of.
        retry_after: seconds for `Retry-After`, on which clients retry any call: only where nothing of the call has run. A method
            that raises this has begun, so it has to say so itself.
    """

    code = -32002
    retry_after: int | None = None

    def __init__(self, message: str | None = None, *, retry_after: int | None = None, **options: Any) -> None:
        super().__init__(message, **options)
        if retry_after is not None:
            self.retry_after = retry_after


class DeadlineExceeded(CallError):
    """The method did not end within its deadline, or within the grace period of a stop; it may have taken effect."""

    code = -32003


class Unauthorized(CallError):
    """No credentials, or wrong ones."""

    code = -32004


class Forbidden(CallError):
    """The caller, its origin or its way of asking is not allowed."""

    code = -32005


class Misdirected(CallError):
    """The request names a host that this server does not answer for (RFC 9110, section 15.5.20)."""

    code = -32006


class VerbNotAllowed(CallError):
    """An HTTP verb that the path does not know; `allow` lists those that it does."""

    code = -32007

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class UnsupportedCoding(CallError):
    """The body has a content coding such as gzip; the server reads only bodies without one (RFC 9110, section 15.5.16)."""

    code = -32009


class BadMessage(CallError):
    """The bytes are not a valid HTTP message, or exceed a limit; `status` says which (RFC 9110, section 15.5).

    Attributes:
        head: the message's head, if it was complete.
    """

    code = -32008
    status = 400
    head: bytes = b""


class ClientError(GjrpcError):
    """The base of what `gjrpc.Client` raises; its text is safe to print, whatever a server put into it."""

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text))


class MisuseError(ClientError):
    """The caller's own mistake (a bad URL, arguments that JSON can't hold); nothing was sent."""


class RemoteError(ClientError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        detail: the server's sentence as received; in the error's own text it is escaped, and cut if it is long.
        method: the method's name, or None.
        ref: the reference for the server's log, or None.
        data: what the method supplied, or None.
        code: the JSON-RPC 2.0 code, or None for a native answer.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        method: str | None = None,
        ref: str | None = None,
        data: Any = None,
        code: int | None = None,
    ) -> None:
        known, more = f"{method[:_MOST_SHOWN]}: " if method else "", "…" if len(detail) > _MOST_SHOWN else ""
        told = f", ref {ref[:_MOST_SHOWN]}" if ref else ""
        super().__init__(f"{known}{detail[:_MOST_SHOWN]}{more} (HTTP {status}{told})")
        self.status, self.detail, self.method, self.ref, self.data, self.code = status, detail, method, ref, data, code


class WireError(ClientError):
    """No answer could be had: the connection failed or broke, time ran out, or the bytes were no answer."""

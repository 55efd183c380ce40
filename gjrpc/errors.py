"""The exception tree, on one screen.

Owns what can go wrong and what each error carries: a JSON-RPC code, a message for the client, data. It knows no HTTP status
(`gjrpc.http.problems` has that table) and no encoding (`gjrpc.app` writes errors).

    GjrpcError
    ├── RegistrationError     a function, name or option can't be registered (also a ValueError)
    ├── SettingsError         an option, file or address can't be used; `serve` exits with code 2
    ├── WrongResult           a method's result does not match its annotation; for the log only
    ├── CallError             a call failed; sent to the client. Applications raise it, or a subclass
    │   ├── ParseError        the body is not JSON
    │   ├── InvalidRequest    the body is JSON, but not a call
    │   ├── MethodNotFound
    │   ├── InvalidArguments
    │   ├── InternalError     the method or its result failed; has a `ref` to the log
    │   ├── Unauthorized, Forbidden, TooLarge, Overloaded, DeadlineExceeded
    │   └── Misdirected, VerbNotAllowed, UnsupportedCoding, BadMessage     rejected before a call was read
    └── ClientError           raised by `gjrpc.Client`
        ├── MisuseError       the caller's own mistake; nothing was sent
        ├── RemoteError       the server answered with an error
        └── WireError         no answer was received
"""

from typing import Any

from gjrpc.texts import printable

_MOST_SHOWN = 2000  # characters of a server's text


class GjrpcError(Exception):
    """The base of all errors of this library."""


class RegistrationError(GjrpcError, ValueError):
    """A function, name or option can't be registered; the text says which, and why."""


class SettingsError(GjrpcError):
    """An option, file or address can't be used; the text says which, and what to do."""


class WrongResult(GjrpcError):
    """A result does not match the method's annotation; the text says how, without the value."""


class CallError(GjrpcError):
    """A call failed; its message is sent to the client.

    Raise it in a method to answer with your own error:
    `raise CallError("no such host", code=7, data={"host": host}, status=404)`. For an error that several methods raise, define a
    class, and declare it on these methods, so that the documents list it:

        class NoSuchHost(CallError):
            code = 7
            status = 404
            message = "no such host"

        @registry.method(errors=[NoSuchHost])
        def load(host): ...  # raise NoSuchHost(data={"host": host})

    Args:
        message: one sentence for the client; by default that of the class.
        code: the JSON-RPC 2.0 error code, an integer (section 5.1 of its specification, which reserves -32768 to -32000).
        data: any JSON value for the client.
        status: the HTTP status, 400 to 599; by default the one that `gjrpc.http.problems` lists for the class.

    Raises:
        ValueError: the status is not between 400 and 599; for a subclass, raised at its definition.
        TypeError: a subclass is defined with a code that is not an integer, or a message that is not a string.
    """

    code: int = -32000
    message: str = "the call failed"
    status: int | None = None
    ref: str | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _check_status(cls.status)
        if not isinstance(cls.code, int) or not isinstance(cls.message, str):
            raise TypeError(f"{cls.__name__}: code={cls.code!r}, message={cls.message!r}; expected an integer and a string")

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
        raise ValueError(f"status={status}: an error's HTTP status must be between 400 and 599")


class ParseError(CallError):
    """The body is not JSON as the server accepts it."""

    code = -32700


class InvalidRequest(CallError):
    """The body is JSON, but not a call."""

    code = -32600


class MethodNotFound(CallError):
    """No method has this name."""

    code = -32601


class InvalidArguments(CallError):
    """The arguments do not fit the method's signature or annotations.

    Args:
        message: names each argument that does not fit, what was expected and what was received.
        foreign: the exception that a class of the application raised for a value; it is logged, and not sent.
    """

    code = -32602
    foreign: BaseException | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        foreign: BaseException | None = None,
        code: int | None = None,
        data: Any = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code, data=data, status=status)
        self.foreign = foreign


class InternalError(CallError):
    """The method raised an exception that is not a CallError, or its result is not JSON.

    Args:
        message: a sentence that gives nothing away.
        ref: the reference under which the log has the exception.
    """

    code = -32603

    def __init__(self, message: str, *, ref: str) -> None:
        super().__init__(message)
        self.ref = ref


class TooLarge(CallError):
    """A request, or the answer to a batch, is larger than a limit."""

    code = -32001


class Overloaded(CallError):
    """The server can't run the call now, but may be able to later.

    Args:
        message: what there is too much of.
        retry_after: seconds for the header `Retry-After`, after which clients retry any call. Set it only if the call has had no
            effect; without it the header is not sent.
    """

    code = -32002
    retry_after: int | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after: int | None = None,
        code: int | None = None,
        data: Any = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, code=code, data=data, status=status)
        if retry_after is not None:
            self.retry_after = retry_after


class DeadlineExceeded(CallError):
    """The method did not return within its deadline, or within the grace period of a stop; it may have had its effect."""

    code = -32003


class Unauthorized(CallError):
    """The credentials are missing or wrong."""

    code = -32004


class Forbidden(CallError):
    """The caller, its origin or this kind of request is not allowed."""

    code = -32005


class Misdirected(CallError):
    """The request names a host that this server does not serve (RFC 9110, section 15.5.20)."""

    code = -32006


class VerbNotAllowed(CallError):
    """The path does not support the HTTP verb; `allow` lists those that it supports."""

    code = -32007

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class UnsupportedCoding(CallError):
    """The body has a content coding such as gzip, which the server does not support (RFC 9110, section 15.5.16)."""

    code = -32009


class BadMessage(CallError):
    """A request is not valid HTTP, or exceeds a limit; `status` says which (RFC 9110, section 15.5).

    Attributes:
        head: the head of the request, if it was complete.
    """

    code = -32008
    status = 400
    head: bytes = b""


class ClientError(GjrpcError):
    """The base of all errors that `gjrpc.Client` raises; the text is safe to print, whatever the server sent."""

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text))


class MisuseError(ClientError):
    """The caller's own mistake, such as a bad URL or arguments that JSON can't represent; nothing was sent."""


class RemoteError(ClientError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        detail: the server's sentence, as received; in the text of the error it is escaped, and cut if it is long.
        method: the name of the method, or None.
        ref: the reference in the server's log, or None.
        data: the data of the method's error, or None.
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
        reference = f", ref {ref[:_MOST_SHOWN]}" if ref else ""
        super().__init__(f"{known}{detail[:_MOST_SHOWN]}{more} (HTTP {status}{reference})")
        self.status, self.detail, self.method, self.ref, self.data, self.code = status, detail, method, ref, data, code


class WireError(ClientError):
    """No answer was received: the connection failed or broke, the call timed out, or the bytes were not an answer."""

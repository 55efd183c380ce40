"""The Python client: a server's methods are its attributes.

Owns what a caller uses: methods by name, and which of them may run twice. `dialects` writes calls and reads answers, `transport`
sends and retries them, and `introspection` queries the server about its methods. It does not know gevent, and works under
gevent's patches.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from inspect import Signature
from typing import Any, Literal, TypeVar, overload

import msgspec
import requests

from gjrpc.client.batch import Batch, Notifications, public
from gjrpc.client.dialects import JSONRPC, ClientDialect, Native
from gjrpc.client.introspection import METHODS, Introspection
from gjrpc.client.options import Auth, Cert, Options, Timeout, Verify
from gjrpc.client.transport import Transport
from gjrpc.errors import ClientError, MisuseError, WireError
from gjrpc.limits import CLIENT_MAX_ANSWER, CLIENT_POOL, CLIENT_RETRIES, CLIENT_TIMEOUT
from gjrpc.values import finite
from gjrpc.values.typed_decoder import decoder_for

T = TypeVar("T")


class Client:
    """Calls a server's methods: `client.add(1, 2)`, `client.stats.cpu()`, `client.call("odd-name", 1)`.

    Each attribute is a `RemoteMethod`; reading one sends nothing. Pass arguments by position or by name, not both in one call.
    `dir(client)`, `help(client.add)` and `inspect.signature(client.add)` query the server, once. The attributes `call`, `batch`,
    `notify` and `close`, and all that begin with an underscore, are not methods of the server; call a method with such a name as
    `client.call("close")`.

    Threads and greenlets may share a client. Processes may not: create a client after a fork. Cookies are not kept. The client
    reads proxies, `NO_PROXY` and `REQUESTS_CA_BUNDLE` from the environment once, when it is created. It never uses a proxy for a
    Unix socket or a loopback host, and never reads `.netrc`.

    The client retries a call that can't have run: it could not connect, or the server answered 503 with `Retry-After`, which
    means that it did not begin the call (RFC 9110, section 15.6.4). It then waits as long as the server asks, up to
    `gjrpc.client.adapter.MAX_WAIT`. It also retries a call that is declared idempotent if the connection breaks or the answer
    is 502, 503 or 504. No retry goes beyond the call's `timeout`.

    Args:
        url: `http://host:port`, `https://host:port/prefix` or `unix:/path/to.sock`.
        verify: True for the public certificate authorities, a PEM file or folder of authorities, or False to accept any
            certificate.
        cert: a client certificate: a PEM file that also holds the key, or `(certificate, key)`.
        timeout: seconds for a whole call: waiting for a free connection, connecting, TLS, sending, receiving the whole answer,
            and all retries. Or `(connect, call)`, where the first limits each attempt to connect. None: no limit. (The system's
            resolver can't be interrupted during a name lookup, except under gevent's patches.)
        retries: the number of retries of one call.
        pool: the number of connections; if all are in use, a call waits for one.
        max_answer: bytes of an answer after decompression; a larger one raises `WireError`.
        headers: HTTP headers to send with each call.
        auth: `(user, password)`, or a callable that changes the prepared request, as requests takes it.
        idempotent: names of methods that may run twice, with `*` as in file names: `("ping", "list_*", "stats.*")`.
        dialect: `native`, or `jsonrpc` for any JSON-RPC 2.0 server. With `jsonrpc` calls are POSTed to the URL exactly as given.
            It may have a query (`?apikey=…`), which no error, `repr` or log shows. Batches and notifications always use
            JSON-RPC 2.0.

    Raises:
        MisuseError: an argument can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        verify: Verify = True,
        cert: Cert = None,
        timeout: Timeout = CLIENT_TIMEOUT,
        retries: int = CLIENT_RETRIES,
        pool: int = CLIENT_POOL,
        max_answer: int = CLIENT_MAX_ANSWER,
        headers: Mapping[str, str] | None = None,
        auth: Auth = None,
        idempotent: Iterable[str] = (),
        dialect: Literal["native", "jsonrpc"] = "native",
    ) -> None:
        if dialect not in ("native", "jsonrpc"):
            raise MisuseError(f"dialect={dialect!r}: expected 'native' or 'jsonrpc'")
        self._jsonrpc = JSONRPC()
        self._dialect: ClientDialect = self._jsonrpc if dialect == "jsonrpc" else Native()
        self._repeatable = _matcher(idempotent)
        options = Options(verify, cert, timeout, retries, pool, max_answer, headers, auth)
        self._transport = Transport(url, options, exact=dialect == "jsonrpc")
        self._introspection = Introspection(self.call)

    @overload
    def call(self, name: str, /, *args: Any, result: type[T], **kwargs: Any) -> T: ...
    @overload
    def call(self, name: str, /, *args: Any, result: Any = ..., **kwargs: Any) -> Any: ...
    def call(self, name: str, /, *args: Any, result: Any = Any, **kwargs: Any) -> Any:
        """Call a method by its name and return its result.

        Args:
            name: the method's name.
            args, kwargs: the arguments, by position or by name. To pass an argument that is named `result`, call the method as an
                attribute: `client.method(result=…)`.
            result: the type that msgspec converts the result to, and checks it against; a Decimal gets all digits of a number.

        Raises:
            MisuseError: the arguments can't be sent, `result` is not a type that JSON can be converted to, or the client is
                closed. Nothing was sent.
            RemoteError: the server answered with an error.
            WireError: no answer arrived, it is not an answer to this call, or the result is not of the type `result`.
        """
        return self._call(name, args, kwargs, result)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any = Any) -> Any:
        convert = None if result is Any else _converter(name, result)
        written = self._dialect.write(name, (args, kwargs))
        response = self._transport.post(name, written.body, self._repeatable(name) is not None)
        value = self._dialect.read(name, response, written.id)
        return value if convert is None else convert(self._dialect.result_text(name, response))

    def batch(self) -> Batch:
        """Return a `gjrpc.client.batch.Batch`: its calls are sent as one JSON-RPC 2.0 batch when its with-block ends."""
        return Batch(self._jsonrpc, self._send_batch)

    @property
    def notify(self) -> Notifications:
        """Methods to call as JSON-RPC 2.0 notifications, `client.notify.log("x")`: the server returns no result and no error."""
        return Notifications(self._notify)

    def close(self) -> None:
        """Close the connections. Calls in flight end first; later calls raise `MisuseError`. Closing twice is allowed."""
        self._transport.close()

    def __getattr__(self, name: str) -> "RemoteMethod":
        return RemoteMethod(self, public(name))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._introspection.attributes()})

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._transport!r}>"

    def _send_batch(self, body: bytes, names: list[str]) -> requests.Response:
        return self._transport.post("batch", body, all(map(self._repeatable, names)))

    def _notify(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        body = self._jsonrpc.write_notification(name, (args, kwargs))
        self._jsonrpc.read_nothing(name, self._transport.post(name, body, self._repeatable(name) is not None))


class RemoteMethod:
    """A method of a server, by its name. Call it, or read an attribute to reach a dotted name."""

    __slots__ = ("_client", "_name")

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the method; raise what `Client.call` raises."""
        return self._client._call(self._name, args, kwargs)

    def __getattr__(self, name: str) -> "RemoteMethod":
        further = public(name)  # before `_client` is read: `copy` looks for attributes before it sets that one
        return RemoteMethod(self._client, f"{self._name}.{further}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._client._introspection.attributes(self._name + ".")})

    def __repr__(self) -> str:
        signature = self._client._introspection.known_signature(self._name)
        return f"<RemoteMethod {self._name}{signature or ''} of {self._client._transport.url}>"

    @property
    def __name__(self) -> str:
        return self._name

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # on a class it is a constant; here the server gives it
        try:
            return self._client._introspection.describe(self._name)[1]
        except ClientError as error:
            return f"A method of {self._client._transport.url}. Its help can't be read: {error}"

    @property
    def __signature__(self) -> Signature:
        """The method's parameters, for `inspect.signature`; the server does not say which of them have defaults."""
        try:
            signature, _ = self._client._introspection.describe(self._name)
        except ClientError as error:
            raise AttributeError(str(error)) from error  # inspect then shows (*args, **kwargs)
        if signature is None:
            raise AttributeError(f"the server gives no signature for {self._name!r}")
        return signature


def _matcher(patterns: Iterable[str]) -> Callable[[str], Any]:
    """Return one function for all patterns, since each call uses it; it returns None for a name that none of them matches."""
    if isinstance(patterns, str):
        raise MisuseError(f"idempotent={patterns!r}: expected a tuple or list of names, as ({patterns!r},)")
    try:
        return re.compile("|".join(map(fnmatch.translate, (*METHODS, *patterns)))).match
    except TypeError as error:
        raise MisuseError(f"idempotent={patterns!r}: expected names of methods: {error}") from error


def _converter(name: str, wanted: Any) -> Callable[[bytes], Any]:
    """Return a function that converts a result, as JSON text, to a type; numbers keep all their digits.

    Raises:
        MisuseError: no JSON can be converted to the type.
    """
    try:
        read = decoder_for(wanted)
    except Exception as error:  # msgspec raises several kinds of exceptions
        raise MisuseError(f"{name}: result={wanted!r} can't be made from JSON: {error}") from error

    def convert(text: bytes) -> Any:
        try:
            value = read(text)
        except msgspec.ValidationError as error:
            raise WireError(f"{name}: the result is not {wanted!r}: {error}") from error
        number = finite.find_non_finite(value)
        if number is not None:
            raise WireError(f"{name}: the result is not {wanted!r}: it contains {number}, which is not JSON")
        return value

    return convert

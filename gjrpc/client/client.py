"""The Python client: a server's methods as attributes.

Owns what a caller sees: methods by name, what they may be repeated, and what the server tells of them. How a call is written is
`dialects`', how it travels `transport`'s. It knows no gevent; under monkey patching it works as it is.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, Signature
from typing import Any, Literal, TypeVar, overload

import msgspec
import requests

from gjrpc.client.batch import Batch, Names, public
from gjrpc.client.dialects import JSONRPC, ClientDialect, Native
from gjrpc.client.options import Auth, Cert, Options, Timeout, Verify
from gjrpc.client.transport import Transport
from gjrpc.errors import ClientError, MisuseError, WireError
from gjrpc.limits import CLIENT_MAX_ANSWER, CLIENT_POOL, CLIENT_RETRIES, CLIENT_TIMEOUT
from gjrpc.texts import printable_lines
from gjrpc.values import finite
from gjrpc.values.typed_decoder import decoder_for

T = TypeVar("T")

_INTROSPECTION = ("list_methods", "method_signature", "method_help")


class Client:
    """Calls the methods of a server: `client.add(1, 2)`, `client.stats.cpu()`, `client.call("odd-name", 1)`.

    An attribute is a `RemoteMethod`; looking at one sends nothing. Arguments are positional or named, not both. `dir(client)`,
    `help(client.add)` and `inspect.signature(client.add)` ask the server, once. The names `call`, `batch`, `notify` and `close`,
    and those with a leading underscore, are no methods as attributes; `client.call("close")` reaches such a method too.

    Threads and greenlets may share a client, processes may not: make one after a fork. Cookies are not kept. Proxies, `NO_PROXY`
    and `REQUESTS_CA_BUNDLE` are read from the environment once, here; the client never uses a proxy for a Unix socket or a
    loopback host, and never reads `.netrc`.

    The client retries a call if it can't have run: it could not connect, or the answer was 503 with `Retry-After`, which means
    that the server did not begin the call (RFC 9110, section 15.6.4); it waits so long, at most
    `gjrpc.client.adapter.MAX_WAIT`. It retries a call that is declared idempotent also when the connection breaks or the answer
    is 502, 503 or 504. It never retries beyond the call's `timeout`.

    Args:
        url: `http://host:port`, `https://host:port/prefix` or `unix:/path/to.sock`.
        verify: True (the public authorities), a file or folder of authorities in PEM, or False to trust anyone.
        cert: a client certificate: a PEM file with both parts, or `(certificate, key)`.
        timeout: seconds for a whole call: waiting for a free connection of the pool, connecting, TLS, sending, the answer to its
            last byte, and all retries. Or `(connect, call)`, where the first limits each attempt to connect. None: no limit.
            (A name lookup by the system's resolver can't be interrupted, except under gevent's patches.)
        retries: how often one call is repeated at most.
        pool: connections at most; further calls wait for one.
        max_answer: bytes that an answer may have after decompression; a larger one raises `WireError`.
        headers: sent with each call.
        auth: `(user, password)`, or what requests takes: a callable that changes the prepared request.
        idempotent: names of methods that may run twice, `*` as in file names: `("ping", "list_*", "stats.*")`.
        dialect: `native`, or `jsonrpc` for any server that speaks JSON-RPC 2.0: it POSTs to the URL exactly as given. It may
            have a query (`?apikey=…`), which no error, `repr` or log shows. Batches and notifications always use JSON-RPC 2.0.

    Raises:
        MisuseError: an argument that can't be used.
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
        self._listed: tuple[str, ...] | None = None
        self._described: dict[str, tuple[Signature | None, str]] = {}

    @overload
    def call(self, name: str, /, *args: Any, result: type[T], **kwargs: Any) -> T: ...
    @overload
    def call(self, name: str, /, *args: Any, result: Any = ..., **kwargs: Any) -> Any: ...
    def call(self, name: str, /, *args: Any, result: Any = Any, **kwargs: Any) -> Any:
        """Call a method by its name and give its result.

        Args:
            name: the method's name.
            args, kwargs: its arguments, by position or by name. A parameter that is named `result` is reached by an attribute,
                `client.method(result=…)`.
            result: a type that the result is converted to and checked against, by msgspec; a Decimal gets all digits of a number.

        Raises:
            MisuseError: the arguments can't be sent, no JSON can be converted to `result`, or the client is closed; nothing was
                sent.
            RemoteError: the server answered with an error.
            WireError: no answer could be had, or its result is not of the type `result`.
        """
        return self._call(name, args, kwargs, result)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any = Any) -> Any:
        convert = None if result is Any else _converter(name, result)
        written = self._dialect.write(name, (args, kwargs))
        response = self._transport.post(name, written.body, self._repeatable(name) is not None)
        value = self._dialect.read(name, response, written.id)
        return value if convert is None else convert(self._dialect.result_text(name, response))

    def batch(self) -> Batch:
        """Queue calls and send them as one JSON-RPC 2.0 batch when the with-block ends; see `gjrpc.client.batch.Batch`."""
        return Batch(self._jsonrpc, self._send_batch)

    @property
    def notify(self) -> Names:
        """Calls that want no answer, JSON-RPC 2.0 notifications: `client.notify.log("x")`; what becomes of one is not told."""
        return Names(self._notify)

    def close(self) -> None:
        """Close the connections; calls in flight end first, later ones are a `MisuseError`. Closing twice is fine."""
        self._transport.close()

    def __getattr__(self, name: str) -> "RemoteMethod":
        return RemoteMethod(self, public(name))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names("")})

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

    def _names(self, prefix: str) -> set[str]:
        """What may follow a prefix in an attribute; nothing where the server can't be asked, since `dir` must not raise."""
        if self._listed is None:
            try:
                listed = self.call("list_methods")
            except ClientError:
                return set()
            self._listed = tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()
        parts = {name[len(prefix) :].partition(".")[0] for name in self._listed if name.startswith(prefix)}
        return {part for part in parts if part.isidentifier() and not part.startswith("_")}

    def _describe(self, name: str) -> tuple[Signature | None, str]:
        """A method's signature, if it can be read, and help, as the server tells them; asked for once."""
        if name not in self._described:
            names, text = self.call("method_signature", name), self.call("method_help", name)
            self._described[name] = _signature(names.get(name) if isinstance(names, dict) else None), printable_lines(str(text))
        return self._described[name]


class RemoteMethod:
    """A method of a server, by name; call it, or reach a dotted name by a further attribute."""

    __slots__ = ("_client", "_name")

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call it; raises what `Client.call` does."""
        return self._client._call(self._name, args, kwargs)

    def __getattr__(self, name: str) -> "RemoteMethod":
        further = public(name)  # first, since a copy in the making has no `_client` yet
        return RemoteMethod(self._client, f"{self._name}.{further}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._client._names(self._name + ".")})

    def __repr__(self) -> str:
        signature, _ = self._client._described.get(self._name, (None, ""))
        return f"<RemoteMethod {self._name}{signature or ''} of {self._client._transport.url}>"

    @property
    def __name__(self) -> str:
        return self._name

    @property
    def __doc__(self) -> str:  # type: ignore[override]  # a class's is a constant; this one is the server's
        try:
            return self._client._describe(self._name)[1]
        except ClientError as error:
            return f"A method of {self._client._transport.url}, whose help could not be had: {error}"

    @property
    def __signature__(self) -> Signature:
        """What `inspect.signature` gives; the server tells the parameters' names, and not which have defaults."""
        try:
            signature, _ = self._client._describe(self._name)
        except ClientError as error:
            raise AttributeError(str(error)) from error  # inspect then shows (*args, **kwargs), which holds
        if signature is None:
            raise AttributeError(f"the server gives no signature for {self._name!r}")
        return signature


def _signature(names: Any) -> Signature | None:
    """A signature of parameter names as `method_signature` gives them, `*` and `**` in front; None if they are none."""
    kinds: list[Any] = [Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]
    parameters = []
    try:
        for name in map(str, names):
            stars = len(name) - len(name.lstrip("*"))
            parameters.append(Parameter(name[stars:], kinds[stars]))
            if stars == 1:
                kinds[0] = Parameter.KEYWORD_ONLY
        return Signature(parameters)
    except (TypeError, ValueError, IndexError):  # a server may list anything: then Python shows no signature
        return None


def _matcher(patterns: Iterable[str]) -> Callable[[str], Any]:
    """One match for all patterns, since it is tried on each call."""
    if isinstance(patterns, str):
        raise MisuseError(f"idempotent={patterns!r}: expected several names, as in ({patterns!r},)")
    try:
        return re.compile("|".join(map(fnmatch.translate, (*_INTROSPECTION, *patterns)))).match
    except TypeError as error:
        raise MisuseError(f"idempotent={patterns!r}: expected names of methods: {error}") from error


def _converter(name: str, wanted: Any) -> Callable[[bytes], Any]:
    """Return the decoder from a result's JSON text to a type; numbers keep all their digits.

    Raises:
        MisuseError: no JSON can be converted to the type.
    """
    try:
        read = decoder_for(wanted)
    except Exception as error:  # msgspec raises several kinds for what is not a type
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

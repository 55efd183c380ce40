"""py-jrpc's own names, on this project's parts.

Owns the four classes and two exceptions that programs written for py-jrpc 2.1.1 use. Nothing else depends on it. The answers on
the wire are this project's (CONVENTION, section 8, lists the differences).
"""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import gevent
import requests
from gevent.hub import get_hub

from gjrpc.app.application import Application
from gjrpc.calls.registry import Registry
from gjrpc.client.options import Options
from gjrpc.client.transport import Transport
from gjrpc.errors import ClientError, MethodNotFound
from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Head, reason_phrase
from gjrpc.server.server import Server
from gjrpc.texts import excerpt
from gjrpc.values import codec

TIMEOUT = 30.0
"""Seconds that a call of `SimpleTCPClient` may take."""


class HTTPError(Exception):
    """The server answered with an error; `code` is the HTTP status, `body` the answer's text."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"HTTP Error {response.status_code}: {reason_phrase(response.status_code)}")
        self.code = response.status_code
        self.body = response.text


class URLError(Exception):
    """There was no answer; `reason` is the exception that says why."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(f"<urlopen error {reason}>")
        self.reason = reason


class SimpleTCPRequestHandler(BaseHTTPRequestHandler):
    """Logs answers; a subclass may override `log_request` and `log_error`.

    The server makes one for each answer, with `client_address`, `requestline`, `command`, `path` and `server`. It reads and
    answers requests elsewhere, so nothing else can be overridden.
    """

    def __init__(self, server: "SimpleTCPServer", client_address: Any, head: Head) -> None:
        # BaseHTTPRequestHandler's own __init__ would read from a socket.
        self.server = server  # type: ignore[assignment]  # no socketserver.BaseServer, but it has the attributes that are used here
        self.client_address = client_address
        self.command = head.verb
        self.path = head.target
        self.request_version = f"HTTP/{head.version[0]}.{head.version[1]}"
        self.requestline = f"{self.command} {self.path} {self.request_version}"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log an answer, unless the server was made with `logging=False`."""
        if self.server.logging:  # type: ignore[attr-defined]  # the server is a SimpleTCPServer
            super().log_request(code, size)


class SimpleTCPDispatcher:
    """Holds the functions that requests may call.

    Attributes:
        registry: the registry behind it.
    """

    def __init__(self) -> None:
        self.registry = Registry()
        self._blocking = False

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by name."""
        return {method.name: method.function for method in self.registry}

    def register_function(self, function: Callable[..., Any], name: str | None = None) -> None:
        """Register a function.

        Raises:
            gjrpc.errors.RegistrationError: the name is taken (py-jrpc silently kept the first), empty or reserved.
        """
        self.registry.register(function, name, blocking=self._blocking)

    def register_instance(self, instance: object) -> None:
        """Register the public methods of an instance, or its `_dispatch(method, params)`."""
        self.registry.register_instance(instance, blocking=self._blocking)

    def list_methods(self) -> list[str]:
        """List the names of all methods, sorted."""
        return self.registry.list_methods()

    def method_signature(self, method_name: str) -> dict[str, Any]:
        """Return the parameter names of a method."""
        return self.registry.method_signature(method_name)

    def method_help(self, method_name: str) -> str:
        """Return the documentation of a method."""
        return self.registry.method_help(method_name)

    def _dispatch(self, method: str, params: Any) -> Any:
        """Call a method in this process by the argument convention, and return its result.

        Raises:
            NameError: there is no such method, as in py-jrpc.
            gjrpc.errors.InvalidArguments: the arguments don't fit.
        """
        found = self.registry.find(method) or self.registry.find_dispatched(method)
        if found is None:
            raise NameError(f"method [{excerpt(method)}] is not supported")
        positional, named = found.binding.bind(params)
        try:
            return found.function(*positional, **named)
        except MethodNotFound as error:
            raise NameError(error.message) from error


class SimpleTCPServer(SimpleTCPDispatcher):
    """Serves its functions over HTTP; with `socketserver.ThreadingMixIn` before it, each runs in a thread.

    Args:
        address: `(host, port)`.
        request_handler: a subclass of `SimpleTCPRequestHandler`, which logs the answers.
        logging: whether answers are logged to standard error.
        bind_and_activate: whether to bind and listen at once, or on `serve_forever`.

    Attributes:
        socket: the listening socket. Replace it by one wrapped with `SSLContext.wrap_socket(…, server_side=True)`, before
            serving, to turn TLS on.
        server_address: where it listens.

    Raises:
        OSError: the address can't be bound.
    """

    def __init__(
        self,
        address: tuple[str, int],
        request_handler: type[SimpleTCPRequestHandler] = SimpleTCPRequestHandler,
        logging: bool = True,
        bind_and_activate: bool = True,
    ) -> None:
        super().__init__()
        # In py-jrpc threads let two functions run at once; here the pool for blocking methods does.
        self._blocking = isinstance(self, socketserver.ThreadingMixIn)
        self.logging = logging
        self.RequestHandlerClass = request_handler
        self.server_address: Any = address
        self.socket: Any = None
        self._wake: Any = None
        self._stopped = threading.Event()
        self._stopped.set()
        if bind_and_activate:
            self.server_bind()

    def server_bind(self) -> None:
        """Bind and listen."""
        family = socket.AF_INET6 if ":" in self.server_address[0] else socket.AF_INET
        self.socket = socket.create_server(self.server_address, family=family, backlog=Server.backlog)
        self.server_address = self.socket.getsockname()

    def fileno(self) -> int:
        """The listening socket's descriptor."""
        return int(self.socket.fileno())

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown`, SIGINT or SIGTERM, as `Server.serve_forever` does; ignore `poll_interval`."""
        if self.socket is None:
            self.server_bind()
        listener, context = _unwrapped(self.socket)
        self.socket = listener
        hub = get_hub()
        server = Server(listener, Application(self.registry), ssl_context=context, access_log=_HandlerLog(self))
        self._wake = hub.loop.async_()
        self._wake.start(lambda: gevent.spawn(server.stop))
        self._stopped.clear()
        try:
            server.serve_forever()
        finally:
            self._wake.close()
            self._wake = None
            self._stopped.set()

    def shutdown(self) -> None:
        """Stop `serve_forever` in another thread, and wait until it has ended its calls and returned."""
        if self._wake is not None:
            self._wake.send()
        self._stopped.wait()

    def server_close(self) -> None:
        """Close the listening socket."""
        if self.socket is not None:
            self.socket.close()

    def __enter__(self) -> "SimpleTCPServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.server_close()


class _HandlerLog:
    """Logs each answer by the server's request handler; replaces `gjrpc.http.access_log.AccessLog`."""

    def __init__(self, server: SimpleTCPServer) -> None:
        self._server = server

    def write(self, answered: Answered) -> None:
        handler, status = self._server.RequestHandlerClass(self._server, answered.address, answered.head), answered.status
        if status >= 400:
            handler.log_error("code %d, message %s", status, reason_phrase(status))
        handler.log_request(status, answered.size)


class SimpleTCPClient:
    """Calls methods by attribute: `client.add(1, 2)` returns the JSON *text* `{"add":3}`. `gjrpc.Client` returns decoded results.

    Args:
        host, port: of the server.
        ssl: whether to speak TLS.
        verify: as in `requests`: True, False, or the path of a CA file.

    Raises:
        URLError, HTTPError: also when a client is made, since that requests the list of methods.
    """

    def __init__(self, host: str, port: int = 80, ssl: bool = False, verify: bool | str = True) -> None:
        self.url = f"http{'s' * ssl}://{host}:{port}"
        self._transport = Transport(f"{self.url}/", Options(verify=verify, timeout=TIMEOUT, retries=0), exact=True)
        self.methods: list[str] = codec.decode(self.get("list_methods").encode())["list_methods"]

    def get(self, url: str) -> str:
        """Return the body of a GET of a path below the server's URL."""
        return _text(lambda: self._transport.get(url.lstrip("/"), repeatable=False))

    def post(self, data: Any) -> str:
        """POST any value as JSON, as in `post({"add": [1, 2]})`, and return the body of the answer."""
        return _text(lambda: self._transport.post("", codec.encode(data), repeatable=False))

    def geturl(self) -> str:
        """Return the server's URL."""
        return self.url

    def __getattr__(self, name: str) -> "_Method":
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self, name)

    def __dir__(self) -> list[str]:
        return ["post", "get", "geturl", *self.methods]


class _Method:
    """A method of the server by its name; further attributes make it a dotted name."""

    def __init__(self, client: SimpleTCPClient, name: str) -> None:
        self._client = client
        self._name = name

    def __getattr__(self, name: str) -> "_Method":
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self._client, f"{self._name}.{name}")

    def __call__(self, *args: Any) -> str:
        return self._client.post({self._name: args})


def _text(ask: Callable[[], requests.Response]) -> str:
    """Return the text of an answer; like the client, follow no redirect and limit time and size."""
    try:
        response = ask()
    except ClientError as error:
        raise URLError(error) from error
    if response.status_code >= 300:
        raise HTTPError(response)
    response.encoding = "utf-8"
    return response.text


def _unwrapped(listener: Any) -> tuple[Any, ssl.SSLContext | None]:
    """Return a listening socket without its TLS layer, and the context of that layer."""
    if not hasattr(listener, "context"):
        return listener, None
    return socket.socket(fileno=listener.detach()), listener.context

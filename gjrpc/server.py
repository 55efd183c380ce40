"""The server: gevent's `WSGIServer`, strict, quick, and stopping in good order.

Owns the listening socket, TLS handshakes, the set of connections with the clock they are held to, and draining. What happens on a
connection is `connection`'s.
"""

import _socket
import logging
import socket
import ssl
import time
from dataclasses import replace
from typing import Any

import gevent
import gevent.event
import gevent.socket
import gevent.ssl
from gevent.pywsgi import LoggingLogAdapter, WSGIServer

from gjrpc.access import AnswerLog, peer_name
from gjrpc.connection import Connection, Timeouts
from gjrpc.errors import SettingsError
from gjrpc.framing import Limits
from gjrpc.green import Green
from gjrpc.greenlets import Greenlets
from gjrpc.http1 import Memory, Writer
from gjrpc.runtime import Plain
from gjrpc.wsgi import Application

log = logging.getLogger("gjrpc.server")

_TICK = 0.5  # seconds between two looks at the connections


class Server(WSGIServer):  # type: ignore[misc]  # gevent has no types
    """Serves an `Application`, or any other WSGI callable, from one process.

    >>> Server(("127.0.0.1", 9999), Application(registry)).serve_forever()

    Args:
        listener: `(host, port)`, or a bound and listening socket.
        application: the callable.
        ssl_context: turns TLS on.
        limits: what one message may cost; an `Application`'s own `max_body` holds too.
        timeouts: what one client may take.
        access_log: where each answer is noted, or None.
        options: the other options of `gevent.pywsgi.WSGIServer` that are about more than a connection: `backlog`, `environ`,
            `error_log`.

    Attributes:
        draining: whether it is stopping: nothing is accepted, and each answer closes its connection.
    """

    handler_class = Connection
    backlog = 1024

    def __init__(
        self,
        listener: Any,
        application: Any,
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        access_log: AnswerLog | None = None,
        **options: Any,
    ) -> None:
        self.short_way = isinstance(application, Application)
        self.limits = limits or Limits()
        if self.short_way:
            # A foreign server would leave the body's limit to the application; here it is known before a byte is read.
            body = min(limits.body, application.max_body) if limits else application.max_body
            self.limits = replace(self.limits, body=body)
        self.timeouts = timeouts or Timeouts()
        self.access_log = access_log
        self.heads = Memory()
        self.writer = Writer()
        self.now = time.monotonic()
        self.draining = False
        self.greenlets = Greenlets()
        self._connections: set[Connection] = set()
        self._empty = gevent.event.Event()
        self._empty.set()
        self._sweeper: gevent.Greenlet | None = None
        if ssl_context is not None:
            options["ssl_context"] = _cooperative(ssl_context)
        options.setdefault("error_log", LoggingLogAdapter(logging.getLogger("gjrpc.wsgi.errors"), logging.ERROR))
        if hasattr(listener, "setblocking"):
            listener.setblocking(False)  # accepting from a blocking one would hold the loop
        super().__init__(listener, application, log=None, **options)
        if self.short_way:
            application.ready = lambda: not self.draining
            if isinstance(application.dispatcher.runtime, Plain):
                application.dispatcher.runtime = Green()

    def __repr__(self) -> str:
        state = "draining" if self.draining else "serving" if self.started else "not started"
        return f"<Server {self.url}, {state}, {len(self._connections)} connections>"

    @property
    def url(self) -> str:
        """Where it can be reached, as a URL; `unix:PATH` for a Unix socket."""
        if not isinstance(self.address, tuple):
            return f"unix:{self.address}"
        host, port = self.address[:2]
        return f"http{'s' * self.ssl_enabled}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Bind and begin to accept; returns at once.

        Raises:
            OSError: the address can't be bound.
        """
        super().start()
        self._sweeper = gevent.spawn(self._sweep)

    def stop(self, timeout: float | None = None) -> None:
        """Stop in good order: accept no more, close idle connections, wait for the calls in flight.

        Args:
            timeout: seconds to wait for them, instead of the `grace` timeout; connections left then are closed.
        """
        self.draining = True
        self.close()
        for connection in list(self._connections):
            connection.drain()
        if not self._empty.wait(self.timeouts.grace if timeout is None else timeout):
            log.warning("%d connections were still open at the end of the grace period and are closed", len(self._connections))
            for connection in list(self._connections):
                connection.abandon()
        self.greenlets.stop()
        if self._sweeper is not None:
            self._sweeper.kill()

    def attend(self, connection: Connection) -> None:
        """Keep a connection among those that time and draining are watched for."""
        self._connections.add(connection)
        self._empty.clear()

    def dismiss(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def do_read(self) -> Any:
        """Accept one connection, as a bare socket: gevent's own is made where a client must be waited for."""
        try:
            descriptor, address = self.socket._accept()
        except BlockingIOError:
            return None
        sock = _socket.socket(self.socket.family, self.socket.type, self.socket.proto, descriptor)
        sock.setblocking(False)
        return sock, address

    def do_handle(self, sock: Any, address: Any) -> None:
        """Begin to serve an accepted connection; runs in the hub, where nothing may wait."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Nagle's algorithm holds a small piece back until the last one is acknowledged (RFC 896): 40 ms on a kept connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.ssl_enabled:
            gevent.spawn(self._shake_hands, sock, address)
        else:
            self.handler_class(sock, address, self).open()

    def _shake_hands(self, sock: Any, address: Any) -> None:
        """Shake hands within the deadline, then serve; a failure is one line in the log."""
        waiting = gevent.socket.socket(fileno=sock.detach())
        try:
            with gevent.Timeout(self.timeouts.handshake, TimeoutError(f"not done within {self.timeouts.handshake:g} s")):
                secured = self.wrap_socket(waiting, **self.ssl_args)
        except (OSError, EOFError) as error:
            log.warning("%s: TLS handshake failed: %s", peer_name(address), getattr(error, "reason", None) or error)
            waiting.close()
            return
        secured.settimeout(0)
        self.handler_class(secured, address, self).open()

    def update_environ(self) -> None:
        """Name the server in the environ, without asking the DNS as pywsgi does."""
        host, port = self.address[:2] if isinstance(self.address, tuple) else ("localhost", "")
        self.environ.setdefault("SERVER_NAME", str(host))
        self.environ.setdefault("SERVER_PORT", str(port))

    def _sweep(self) -> None:
        """Look at all connections twice a second: one timer for all, and none on the path of a call."""
        while True:
            gevent.sleep(_TICK)
            self.now = time.monotonic()
            # What a connection takes for now may be a tick old, and nobody is cut off before his time.
            for connection in [c for c in self._connections if c.expires + _TICK < self.now]:
                log.info("%s: too slow: %r", connection.peer, connection)
                connection.expire()


def _cooperative(context: ssl.SSLContext) -> ssl.SSLContext:
    """Make a context's sockets wait on the event loop: one made before patching, or without it, would block all others.

    Raises:
        SettingsError: it is of a class of its own, which can't be changed.
    """
    if not isinstance(context, gevent.ssl.SSLContext):
        try:
            context.__class__ = gevent.ssl.SSLContext  # the same object but for its methods: gevent's class adds no fields
        except TypeError as error:
            raise SettingsError(f"a {type(context).__name__} can't be served; make an ssl.SSLContext") from error
    return context

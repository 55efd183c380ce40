"""The server: gevent's `WSGIServer`, strict, quick, and stopping in good order.

Owns the listening socket, the clock that connections are held to, and draining. What happens on a connection is
`connection`'s.
"""

import _socket
import errno
import logging
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import gevent
import gevent.ssl
from gevent.pywsgi import LoggingLogAdapter, WSGIServer

from gjrpc.app.application import Application
from gjrpc.errors import SettingsError
from gjrpc.http.access_log import AnswerLog
from gjrpc.http.forwarded import Proxies
from gjrpc.http.hosts import LOOPBACK, hostnames, is_loopback
from gjrpc.http.reader import Memory
from gjrpc.http.writer import Writer
from gjrpc.limits import BACKLOG, BODIES_AT_ONCE, MAX_CALLS, MAX_QUEUED, MAX_UNSENT, THREADS, Limits, Timeouts
from gjrpc.process import descriptors, forks, logs, outlets
from gjrpc.server.arrivals import Arrival
from gjrpc.server.bodies import Bodies
from gjrpc.server.connection import Connection
from gjrpc.server.connections import Connections, Open
from gjrpc.server.gevent_runtime import Green
from gjrpc.server.handshakes import AT_A_TURN, Handshakes
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.stopping import on_signals, say
from gjrpc.server.unsent import Unsent
from gjrpc.server.watchdog import Watchdog

log = logging.getLogger("gjrpc.server")

_TICK = 0.25  # seconds between two looks at the connections
_LAST = 0.3  # seconds at a stop for clients whose next request is on its way
_GREETED = 2 * AT_A_TURN  # connections accepted in one turn of the loop over TLS; waiting in the backlog costs less
_AT_A_TIME = 32  # connections that are ended before others get their turn
_BREATH = 0.1  # seconds without accepting, where there is no room for one more
# What accept(2) says where there are no descriptors or no memory for one more connection.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# And where the client has gone before it was accepted, or the network failed; "treat them like EAGAIN by retrying".
_GONE = frozenset({errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH})


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
        max_connections: how many may be open; by default as many as the limit of open files allows. One more closes the one
            with the lowest standing (`gjrpc.server.connections.Standing`); if the server works for all, it waits in the backlog.
        max_calls: how many calls may be in flight, that is, wait in the middle; 503 for further ones.
        max_bodies: bytes of bodies that arrive in pieces, in all; beyond that, the bodies that have held the most bytes for
            longest are dropped, and if all belong to calls, a new one gets 503. By default 64 bodies of the largest size.
        max_unsent: bytes of answers that may wait for their clients, in all; beyond that, further calls get 503, and the
            slowest clients are disconnected.
        threads: for methods registered as blocking.
        max_queued: blocking calls that may wait for a thread; 503 for further ones. They do not count towards `max_calls`.
        proxy_protocol: the proxies whose connections begin with a PROXY protocol header, or None.
        watchdog: tells of calls that hold the event loop, or None.
        hosts: the `Host` names to answer for if the `Application` was given none; `*` for any. By default loopback names if it
            listens on a loopback address (against DNS rebinding), else any.
        options: other options of `gevent.pywsgi.WSGIServer` that concern more than a connection: `backlog`, `environ`,
            `error_log`.

    Attributes:
        draining: whether it is stopping: nothing is accepted, and each answer closes its connection.
        connections: those that are open.
        greenlets: what runs the calls.
        held_back: how often accepting paused so far, for want of room.
        bodies: the bodies that arrive in pieces.
        unsent: the answers that wait for their clients.
        refused: how many calls were refused so far because of overload.
    """

    handler_class = Connection
    backlog = BACKLOG

    def __init__(
        self,
        listener: Any,
        application: Any,
        *,
        ssl_context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        access_log: AnswerLog | None = None,
        max_connections: int | None = None,
        max_calls: int = MAX_CALLS,
        max_bodies: int | None = None,
        max_unsent: int = MAX_UNSENT,
        threads: int = THREADS,
        max_queued: int = MAX_QUEUED,
        watchdog: Watchdog | None = None,
        proxy_protocol: Proxies | None = None,
        hosts: Iterable[str] | None = None,
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
        self.watchdog = watchdog
        self.heralds = proxy_protocol
        self.heads = Memory()
        self.writer = Writer()
        self.now = time.monotonic()
        self.draining = False
        self.greenlets = Greenlets(max_calls)
        self.bodies = Bodies(max_bodies or BODIES_AT_ONCE * self.limits.body)
        self.unsent = Unsent(max_unsent, self.greenlets.refuse_all)
        descriptors.raise_limit()
        self.connections = Connections(max_connections or descriptors.connections())
        self.held_back = self.refused = 0
        self._told = (0, 0, 0, 0, 0)
        self._sweeper: gevent.Greenlet | None = None
        if ssl_context is not None:
            options["ssl_context"] = _cooperative(ssl_context)
        options.setdefault("error_log", LoggingLogAdapter(logging.getLogger("gjrpc.wsgi.errors"), logging.ERROR))
        if hasattr(listener, "setblocking"):
            listener.setblocking(False)  # accepting from a blocking one would hold the loop
        super().__init__(listener, application, log=None, **options)
        self.handshakes = Handshakes(self.loop)
        if self.ssl_enabled:
            self.max_accept: int = min(self.max_accept, _GREETED)
        if hosts is None:
            hosts = LOOPBACK if isinstance(self.address, tuple) and is_loopback(str(self.address[0])) else ()
        self.hosts = hostnames(hosts)
        if self.short_way:
            application.dispatcher.run_by(Green(threads, max_queued))

    def __repr__(self) -> str:
        state = "draining" if self.draining else "serving" if self.started else "not started"
        return f"<Server {self.url}, {state}, {_counted(len(self.connections), 'connection')}>"

    @property
    def url(self) -> str:
        """Where it can be reached, as a URL; `unix:PATH` for a Unix socket."""
        if not isinstance(self.address, tuple):
            return f"unix:{self.address}"
        host, port, *rest = self.address
        if rest and rest[1]:  # the scope of a link-local address, "%" in a URL as "%25" (RFC 6874, 2)
            host = f"{host.partition('%')[0]}%25{socket.if_indextoname(rest[1])}"
        return f"http{'s' * self.ssl_enabled}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def overload(self) -> str:
        """Say what the server has too much of when it refuses calls."""
        if self.unsent.full:
            return f"more than {self.unsent.most} bytes of answers wait for slow clients"
        return f"the server has {self.greenlets.most} calls in flight, which is its limit"

    def start(self) -> None:
        """Bind and begin to accept; returns at once.

        Raises:
            OSError: the address can't be bound.
        """
        super().start()
        forks.watch(self)
        self.greenlets.start()
        if self.watchdog is not None:
            self.watchdog.start(self.loop)
        self._sweeper = gevent.spawn(self._sweep)

    def stop(self, timeout: float | None = None) -> None:
        """Stop in good order: accept no more, close idle connections, wait for the calls in flight.

        Args:
            timeout: seconds to wait for them, instead of the `grace` timeout; connections left then are closed.
        """
        self.draining = True
        self._accept_waiting()
        self.close()
        grace = self.timeouts.grace if timeout is None else timeout
        # A request that comes now is answered, and the answer says that it was the last one: closing at once would lose it.
        self.connections.wait_empty(min(_LAST, grace))
        for connection in self.connections:
            connection.drain()
        if not self.connections.wait_empty(grace) and len(self.connections):  # another stop may have ended them meanwhile
            left = _counted(len(self.connections), "open connection")
            log.warning("the grace period is over: the server closes %s", left)
            for connection in self.connections:
                connection.abandon()
        self.greenlets.stop()
        if self.short_way and isinstance(self.application.dispatcher.runtime, Green):
            self.application.dispatcher.runtime.close()
        forks.forget(self)
        if self.watchdog is not None:
            self.watchdog.stop()
        if self._sweeper is not None:
            self._sweeper.kill()

    def disown(self) -> None:
        """Close all sockets in a forked child, without a word to any client."""
        for connection in self.connections:
            connection.disown()
        forks.close(self.socket)
        self.greenlets.disown()

    @property
    def grace(self) -> float:
        """Seconds for the calls in flight at a stop."""
        return self.timeouts.grace

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Serve until another greenlet calls `stop`, or SIGINT or SIGTERM arrives; then drain the calls in flight and return.

        A second signal stops it at once; `gjrpc.server.stopping.on_signals` says when it leaves signals alone. It logs where
        it listens and when it stops, or writes that to standard error if logging is not set up. In the main thread, a stopped
        reader of either does not block it (`gjrpc.process.outlets`).

        Args:
            stop_timeout: seconds for the calls in flight, instead of the `grace` timeout.

        Raises:
            OSError: the address can't be bound.
        """
        with outlets.hurried(), on_signals(self):
            logs.unblock()
            if not self.started:
                self.start()
                say(f"serving on {self.url}")
            super().serve_forever(stop_timeout)
        say("stopped")

    def do_read(self) -> Any:
        """Accept one connection, as a bare socket: gevent's own is made where a client must be waited for."""
        full = len(self.connections) >= self.connections.most
        if full and not self._has_room():
            return None
        try:
            descriptor, address = self.socket._accept()
            if full:
                self.connections.make_room()
        except OSError as error:
            if error.errno in _NO_ROOM and not self.connections.make_room():
                self._hold_back()
            elif error.errno not in _NO_ROOM | _GONE:
                raise
            return None
        sock = _socket.socket(self.socket.family, self.socket.type, self.socket.proto, descriptor)
        sock.setblocking(False)
        return sock, address

    def _has_room(self) -> bool:
        """Whether a connection can be closed for a newcomer; one whose first bytes have just arrived is served first."""
        lowest = self.connections.lowest()
        if lowest is None:
            self._hold_back()
        return lowest is not None and lowest.may_go()

    def _accept_waiting(self) -> None:
        """Accept the connections in the backlog: closing the listener would reset them.

        Of several workers each does so, as none knows whether it is the last one to close.
        """
        for _ in range(0 if self.closed else self.backlog):
            accepted = self.do_read()
            if accepted is None:
                break
            self.do_handle(*accepted)

    def _hold_back(self) -> None:
        """Stop accepting for a moment: the server works for all connections, so there is no room."""
        self.held_back += 1
        self.stop_accepting()
        gevent.spawn_later(_BREATH, self._accept_again)

    def _accept_again(self) -> None:
        if not self.draining:
            self.start_accepting()

    def do_handle(self, sock: Any, address: Any) -> None:
        """Begin to serve an accepted connection; runs in the hub, where nothing may wait."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Nagle's algorithm holds a small piece back until the last one is acknowledged (RFC 896): 40 ms on a kept connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        heralded = self.heralds is not None and self.heralds.trusts(address)
        if heralded or self.ssl_enabled:
            Arrival(sock, address, self, heralded=heralded).open()
        else:
            self.welcome(sock, address)

    def welcome(self, sock: Any, address: Any) -> None:
        """Serve a client of whom nothing else is to come first."""
        self.handler_class(sock, address, self).open()

    def update_environ(self) -> None:
        """Name the server in the environ, without asking the DNS as pywsgi does."""
        host, port = self.address[:2] if isinstance(self.address, tuple) else ("localhost", "")
        self.environ.setdefault("SERVER_NAME", str(host))
        self.environ.setdefault("SERVER_PORT", str(port))

    def _sweep(self) -> None:
        """Look at all connections four times a second: one timer for all, and none on the path of a call."""
        while True:
            gevent.sleep(_TICK)
            self.now = time.monotonic()
            self.writer.tick()
            self.unsent.look(self.now)
            # What a connection takes for now may be a tick old, and nobody is cut off before his time.
            self._end(self.connections.overdue(self.now - _TICK), self.now - _TICK)
            self._tell_pressure()

    def _end(self, overdue: list[Open], now: float) -> None:
        """End connections whose time is over, few at a time: slow clients are not to cost the others theirs."""
        for number, connection in enumerate(overdue, 1):
            if connection.expires < now:  # it may have gone on meanwhile
                log.info("%s: too slow: %r", connection.peer, connection)
                connection.expire()
            if number % _AT_A_TIME == 0:
                gevent.sleep(0.001)

    def _tell_pressure(self) -> None:
        """Say in the log what was refused since the last time, once for all of it."""
        seen = (self.connections.evicted, self.held_back, self.refused, self.unsent.given_up, self.bodies.dropped)
        evicted, held_back, refused, given_up, dropped = (now - before for now, before in zip(seen, self._told, strict=True))
        self._told = seen
        if evicted or held_back:
            log.warning(
                "no room for more than %d connections: %d unfinished or idle ones were closed, and accepting paused %d times",
                self.connections.most, evicted, held_back,
            )  # fmt: skip
        if refused or given_up:
            log.warning("%s: %d calls were refused, and %d slow clients disconnected", self.overload, refused, given_up)
        if dropped:
            log.warning(
                "no room for more than %d bytes of request bodies: %d unfinished ones were dropped", self.bodies.most, dropped
            )


def _counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where that is right."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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

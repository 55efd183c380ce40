"""The server: gevent's `WSGIServer`, with connections of its own, and a stop that loses no request.

Owns the listening socket, what its connections share, and the order of starting and stopping. `accepting` accepts connections,
`connection` serves one, `sweep` enforces timeouts.
"""

import logging
import socket
import ssl
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gevent.pywsgi import LoggingLogAdapter, WSGIServer

from gjrpc.app.application import Application
from gjrpc.http.access_log import AnswerLog
from gjrpc.http.forwarded import Proxies
from gjrpc.http.hosts import LOOPBACK, hostnames, is_loopback
from gjrpc.limits import BACKLOG, BODIES_AT_ONCE, MAX_CALLS, MAX_QUEUED, MAX_UNSENT, THREADS, Limits, Timeouts
from gjrpc.process import descriptors, forks, logs, outlets
from gjrpc.server.accepting import Acceptor
from gjrpc.server.answer_log import SafeLog
from gjrpc.server.arrivals import Arrival, cooperative
from gjrpc.server.bodies import Bodies
from gjrpc.server.connection import Connection
from gjrpc.server.connections import Connections
from gjrpc.server.foreign import ForeignResponder
from gjrpc.server.gevent_runtime import Green
from gjrpc.server.handshakes import AT_A_TURN, Handshakes
from gjrpc.server.overload import Overload
from gjrpc.server.responders import ApplicationResponder, OverloadResponder, RecordingResponder, Responder
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.shared import Shared
from gjrpc.server.stopping import leave_signals, on_signals, say
from gjrpc.server.sweep import Sweep
from gjrpc.server.unsent import Unsent
from gjrpc.server.watchdog import Watchdog

log = logging.getLogger("gjrpc.server")

_LAST = 0.3  # seconds at a stop for clients whose next request is on its way
_GREETED = 2 * AT_A_TURN  # connections accepted in one turn of the loop over TLS; waiting in the backlog costs less


class Server(WSGIServer):  # type: ignore[misc]  # gevent has no types
    """Serves an `Application`, or any other WSGI callable, from one process.

    >>> Server(("127.0.0.1", 9999), Application(registry)).serve_forever()

    Args:
        listener: `(host, port)`, or a bound and listening socket.
        application: the callable.
        ssl_context: turns TLS on.
        limits: what one message may use; an `Application`'s own `max_body` applies too.
        timeouts: how long one client may take.
        access_log: records each answer.
        max_connections: how many connections may be open; by default as many as the limit on open files allows. A further one
            closes the connection with the lowest rank (`gjrpc.server.connections.Rank`); if the server works for all of them, the
            new one waits in the backlog.
        max_calls: how many calls may be in flight; further ones get 503.
        max_bodies: total bytes of bodies that arrive in pieces; beyond that, the server drops the bodies that have held the most
            bytes for longest. If all of them belong to calls, a new one gets 503. By default 64 bodies of the largest size.
        max_unsent: total bytes of answers that may wait for their clients; beyond that, further calls get 503, and the server
            disconnects the slowest clients.
        threads: how many threads run methods registered as blocking.
        max_queued: blocking calls that may wait for a thread; further ones get 503. They do not count towards `max_calls`.
        proxy_protocol: the proxies whose connections begin with a PROXY protocol header, or None.
        watchdog: logs calls that block the event loop.
        hosts: the `Host` names to answer for if the `Application` has no list of its own; `*` for any. By default, a server on a
            loopback address answers only for loopback names (against DNS rebinding), and any other server for all names.
        options: other options of `gevent.pywsgi.WSGIServer`: `backlog`, `environ`, `error_log`, `handler_class`.

    Attributes:
        shared: what its connections share.
        connections: the open connections.
        greenlets: run the calls.
        handshakes: the TLS handshakes that wait or are in progress.
        bodies: the bodies that arrive in pieces.
        unsent: the answers that wait for their clients.
        acceptor: accepts the connections.
        responder: answers requests.
        overload_responder: answers them while the server is overloaded.
    """

    handler_class = Connection
    """Serves one connection: called with its socket, its client's address and the server, as in pywsgi; its `open` begins."""

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
        if ssl_context is not None:
            options["ssl_context"] = cooperative(ssl_context)
        options.setdefault("error_log", LoggingLogAdapter(logging.getLogger("gjrpc.wsgi.errors"), logging.ERROR))
        if hasattr(listener, "setblocking"):
            listener.setblocking(False)  # accepting from a blocking one would hold the loop
        super().__init__(listener, application, log=None, **options)
        if self.ssl_enabled:
            self.max_accept: int = min(self.max_accept, _GREETED)
        descriptors.raise_limit()
        self._watchdog = watchdog
        self._proxies = proxy_protocol
        self.connections = Connections(max_connections or descriptors.connections())
        self.greenlets = Greenlets(max_calls)
        self.handshakes = Handshakes(self.loop)
        limits = _limits(limits, application)
        self.bodies = Bodies(max_bodies or BODIES_AT_ONCE * limits.body)
        self.unsent = Unsent(max_unsent, self.greenlets.refuse_all)
        self.shared = Shared(
            loop=self.loop,
            secured=self.ssl_enabled,
            hosts=self._hosts(hosts),
            limits=limits,
            timeouts=timeouts or Timeouts(),
            access_log=None if access_log is None else SafeLog(access_log),
            connections=self.connections,
            greenlets=self.greenlets,
            handshakes=self.handshakes,
            bodies=self.bodies,
            unsent=self.unsent,
            overload=Overload(self.greenlets, self.unsent),
        )
        self.acceptor = Acceptor(self, self.connections)
        self._sweep = Sweep(self.shared, self.acceptor)
        self._runtime = Green(threads, max_queued)
        self.responder = self._responder(application)
        self.overload_responder = OverloadResponder(self.responder, self.shared, has_probes=isinstance(application, Application))

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
    def draining(self) -> bool:
        """Whether it is stopping: it accepts nothing, and each answer closes its connection."""
        return self.shared.draining

    @property
    def grace(self) -> float:
        """Seconds for the calls in flight at a stop."""
        return self.shared.timeouts.grace

    def start(self) -> None:
        """Bind and begin to accept; return at once.

        Raises:
            OSError: the address can't be bound.
        """
        super().start()
        forks.watch(self)
        self.greenlets.start()
        if self._watchdog is not None:
            self._watchdog.start(self.loop)
        self._sweep.start()

    def stop(self, timeout: float | None = None) -> None:
        """Drain: accept no more, close idle connections, wait for the calls in flight.

        Args:
            timeout: seconds to wait for them, instead of the `grace` timeout; the server closes connections that are left then.
        """
        self.shared.drain()
        for accepted in self.acceptor.backlog():
            self.do_handle(*accepted)
        self.close()
        grace = self.grace if timeout is None else timeout
        # A request that comes now is answered, and the answer says that it was the last one: closing at once would lose it.
        self.connections.wait_empty(min(_LAST, grace))
        for connection in self.connections:
            connection.drain()
        if not self.connections.wait_empty(grace) and len(self.connections):  # another stop may have ended them meanwhile
            log.warning("the grace period is over: the server closes %s", _counted(len(self.connections), "open connection"))
            for connection in self.connections:
                connection.abandon()
        self._end()

    def disown(self) -> None:
        """Close all sockets in a forked child, without a word to any client, and leave signals to it."""
        for connection in self.connections:
            connection.disown()
        forks.close(self.socket)
        self.greenlets.disown()
        leave_signals(self)

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Serve until another greenlet calls `stop`, or SIGINT or SIGTERM arrives; then drain and return.

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

    # What gevent calls.

    def do_read(self) -> Any:
        """Accept one connection; return its socket and its client's address, or None."""
        return self.acceptor.accept()

    def do_handle(self, sock: Any, address: Any) -> None:
        """Begin to serve an accepted connection; runs in the hub, where nothing may wait."""
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Nagle's algorithm holds a small piece back until the last one is acknowledged (RFC 896): 40 ms on a kept connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        has_header = self._proxies is not None and self._proxies.trusts(address)
        if has_header or self.ssl_enabled:
            Arrival(sock, address, self, has_header=has_header).open()
        else:
            self.handle(sock, address)

    def handle(self, sock: Any, address: Any) -> None:
        """Serve a connection that needs no greeting, or has had one."""
        self.handler_class(sock, address, self).open()

    def secure(self, sock: Any) -> Any:
        """Shake hands with a TLS client; return the socket of what it sends then.

        Raises:
            OSError: the handshake failed.
        """
        return self.wrap_socket(sock, **self.ssl_args)

    def update_environ(self) -> None:
        """Name the server in the environ, without asking the DNS as pywsgi does."""
        host, port = self.address[:2] if isinstance(self.address, tuple) else ("localhost", "")
        self.environ.setdefault("SERVER_NAME", str(host))
        self.environ.setdefault("SERVER_PORT", str(port))

    def _end(self) -> None:
        """End what runs beside the connections."""
        self.greenlets.stop()
        self._runtime.close()
        forks.forget(self)
        if self._watchdog is not None:
            self._watchdog.stop()
        self._sweep.stop()

    def _hosts(self, hosts: Iterable[str] | None) -> frozenset[str]:
        if hosts is None:
            hosts = LOOPBACK if isinstance(self.address, tuple) and is_loopback(str(self.address[0])) else ()
        return hostnames(hosts)

    def _responder(self, application: Any) -> Responder:
        if not isinstance(application, Application):
            return ForeignResponder(application, self.shared, self.get_environ)
        application.dispatcher.run_by(self._runtime)
        kind = ApplicationResponder if self.shared.access_log is None else RecordingResponder
        return kind(application, self.shared)


def _limits(limits: Limits | None, application: Any) -> Limits:
    """Limit the body to what an `Application` accepts, so that one too large is refused before a byte of it is read."""
    if not isinstance(application, Application):
        return limits or Limits()
    return replace(limits or Limits(), body=min(limits.body, application.max_body) if limits else application.max_body)


def _counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where that is right."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

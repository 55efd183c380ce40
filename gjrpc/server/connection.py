"""One client's connection, from accept to close.

Owns when the connection is served, and every way in which it ends. `http1` has the requests and answers on it, `output` the
sending; the set of connections is `gjrpc.server.connections`'s.
"""

import logging
from typing import Any

import gevent

from gjrpc.errors import BadMessage
from gjrpc.process import forks
from gjrpc.server.connections import Rank
from gjrpc.server.gevent_runtime import passes
from gjrpc.server.http1 import Http1
from gjrpc.server.output import GoneError, Output
from gjrpc.server.pace import HURRY
from gjrpc.server.peers import SocketPeer
from gjrpc.server.responders import Serving
from gjrpc.server.sockets import has_bytes
from gjrpc.server.state import BUSY, READABLE, State

log = logging.getLogger("gjrpc.server")

_IDLE = State.IDLE  # a name of its own: on the path of each call, looking a member up in its class costs more


class Connection(SocketPeer):
    """One client's connection.

    It is a `gjrpc.server.scheduler.Task`, which is ready when bytes have arrived; one of `gjrpc.server.connections.Connections`;
    one of `gjrpc.server.bodies.Bodies` while a body arrives; and the `gjrpc.http.peer.Peer` of its requests.

    Args:
        sock: the connected socket, which does not block.
        address: the client's socket address.
        server: the server.

    Attributes:
        output: sends the answers.
    """

    def __init__(self, sock: Any, address: Any, server: Serving) -> None:
        super().__init__(sock, address, server.shared)
        self.output = Output(sock, server.shared, self)
        self._http = Http1(sock, server, self.output)
        self._since = server.shared.now
        self._watcher = server.shared.loop.io(sock.fileno(), 1)
        self._paused = False  # whether the watcher is stopped: what has come stays in the socket until the request is answered

    def __repr__(self) -> str:
        return f"<Connection of {self.client_host}, {self.state.value}>"

    @property
    def state(self) -> State:
        """What it does."""
        return self._http.state

    @property
    def expires(self) -> float:
        """The server's time at which the client has taken too long; never while the server works for it."""
        return self._http.expires

    @property
    def idle(self) -> bool:
        """Whether the client owes the first byte of a request."""
        return self.state is State.IDLE

    @property
    def rank(self) -> Rank | None:
        """Its rank (`gjrpc.server.connections.Rank`); None while the server works for it."""
        if self.state is State.IDLE:
            return self._http.reader.parsed is not None, self.expires
        if self.state in (State.READING, State.CLOSING):
            return False, self.expires
        pace = self.output.pace
        return (False, self.expires) if pace is not None and pace.is_slow(self._shared.now) else None

    @property
    def has_body(self) -> bool:
        """Whether it has a body: further pieces are awaited, or a call runs."""
        return self.state in BUSY or self._http.reader.in_body

    @property
    def body_cost(self) -> float | None:
        """What the awaited body has cost so far (`gjrpc.server.bodies`); None while the server works for it."""
        partial = self._http.partial
        return None if self.state in BUSY or partial is None else partial.cost(self._shared.now)

    def loses_nothing(self) -> bool:
        """Return whether closing loses no unread request; further bytes of a partial request do not count."""
        if self.state is not State.IDLE:
            return True
        if self._shared.secured and self._socket.pending():
            return False
        try:
            return not has_bytes(self._socket)
        except OSError as gone:
            log.debug("%s went away: %s", self.client_host, gone)
            return True

    def open(self) -> None:
        """Begin to serve: from now on, whatever arrives is read and answered in one of the server's greenlets."""
        self._shared.connections.add(self)
        self._watch()

    def advance(self) -> None:
        """Read what has arrived, and answer the complete requests in it; never raise what a client can cause."""
        http = self._http
        if http.state is not _IDLE and http.state not in READABLE:
            self._pause()
            return
        goes_on = False
        try:
            goes_on = http.read(self)
            if not goes_on and http.state is State.CALLING:  # after the last answer
                http.finish(self)
        except BadMessage as error:
            http.refuse(error, self)
        except GoneError as error:
            log.debug("%s went away: %s", self.client_host, error)
        except BaseException as error:
            if passes(error):
                self.abandon()
                raise
            http.fail(error, self)
        finally:  # also where the greenlet is killed in the middle of a call
            if not goes_on or self._watcher is None:
                self.close()
            elif self._paused:
                self._watch()

    def refuse(self) -> None:
        """Read what has arrived, and answer that the server is overloaded."""
        self._http.overload(True)
        try:
            self.advance()
        finally:
            self._http.overload(False)

    def waits(self) -> None:
        """Send the answers that were held back: a call waits now. Runs in the hub."""
        self.output.stop_holding()

    def close(self) -> None:
        """Close the connection at once."""
        self._shared.connections.discard(self)
        self._http.close()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            self._shared.bodies.forget(self)
            self.output.close()

    def evict(self) -> None:
        """Close the connection to make room for another."""
        if self.state in BUSY:
            self.output.give_up()
            self._shared.connections.discard(self)
        else:
            self.close()

    def disown(self) -> None:
        """Close its descriptor in this forked process; the parent keeps the connection."""
        forks.close(self._socket)

    def expire(self) -> None:
        """End the connection: its client has taken too long. One that still takes its answer gets more time."""
        write, pace = self._shared.timeouts.write, self.output.pace
        if self.state is State.IDLE:
            self.close()
        elif self.state is State.READING:
            self._http.close_late()
            gevent.spawn(self._refuse_late)
        elif pace is not None and pace.keeps_up(write):
            self._http.hurry(self._shared.now + write)
        else:
            self.output.give_up()

    def drain(self) -> None:
        """End the connection if that loses no request: one that has come already is answered, one of a new client awaited."""
        if self._http.reader.parsed is None and self._shared.now < self._since + HURRY:
            self._http.hurry(self._since + HURRY)
        elif self.state is State.IDLE:
            gevent.spawn(self.advance)

    def abandon(self) -> None:
        """Close the connection in the middle of a call, and tell the client if that is still possible."""
        self._http.cut_off()
        self.close()

    def begin_sending(self) -> None:
        """Begin to wait for the client to take its answer; part of `gjrpc.server.output.Owner`, as the next two."""
        self._http.begin_sending()

    def end_sending(self) -> None:
        """Go on: the client has taken its answer."""
        self._http.end_sending()

    def fall_behind(self) -> None:
        """Note that the client takes its answer too slowly, so that it makes room for others."""
        self._shared.connections.note(self)

    def _watch(self) -> None:
        """Be ready whenever bytes arrive."""
        self._paused = False
        self._watcher.start(self._shared.greenlets.ready.append, self)

    def _pause(self) -> None:
        """Leave what arrives in the socket."""
        if self._watcher is not None:
            self._paused = True
            self._watcher.stop()

    def _refuse_late(self) -> None:
        try:
            self._http.refuse_late(self)
        finally:
            self.close()

"""One client's connection: bytes in, answers out, for as long as the client keeps to its time.

Owns the order of reading and answering on a socket, and the time that both may take. `responders` answers one request for an
`Application`, `foreign` for any other WSGI callable. The syntax is in `gjrpc.http`; the server has the set of connections.
"""

import logging
import socket
import ssl
from collections.abc import Callable
from functools import cached_property
from typing import Any

import gevent
import gevent.socket

from gjrpc.calls.disclosure import DETAILS, SERVER_FAILED, internal_error
from gjrpc.errors import BadMessage, DeadlineExceeded, Overloaded
from gjrpc.http.head import Parsed
from gjrpc.http.messages import Request
from gjrpc.http.problems import refusal
from gjrpc.http.reader import Reader
from gjrpc.http.writer import CONTINUE
from gjrpc.process import forks
from gjrpc.server.foreign import GoneError
from gjrpc.server.gevent_runtime import passes
from gjrpc.server.output import HURRY
from gjrpc.server.responders import Answering, way

log = logging.getLogger("gjrpc.server")

_RECEIVE = 8 * 1024  # bytes for one read between bodies: a buffer of more is slow to get, and requests are small
_RECEIVE_BODY = 64 * 1024
_NEVER = float("inf")
_NO_ROOM = "the server has no room for further request bodies: come back later"
_CUT_OFF = "the server stopped before the call ended; the call had begun and may have taken effect"


class Connection(Answering):
    """One client's connection: reads its requests in order and answers each in one piece.

    It is a `gjrpc.server.scheduler.Task`, which is ready when bytes have come, and one of `gjrpc.server.connections.Connections`.

    Attributes:
        expires: the server's time at which the client has taken too long.
    """

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        # WSGIHandler's own __init__ would make a buffered file of the socket, for a parser that is not used here.
        self.socket = sock
        self.client_address = address
        self.server = server
        self._since = server.now
        self.expires = server.now + (HURRY if server.draining else server.timeouts.head)
        self._tls = server.ssl_enabled
        self._reader = Reader(server.limits, server.heads)
        # A function and not a bound method: that would make a cycle, and what a client has sent would stay until it is collected.
        self._answer = way(server)
        self._watcher = server.loop.io(sock.fileno(), 1)
        self._busy = self._paused = self._more = False
        self._part_since: float | None = None
        self._body_since: float | None = None
        self._received = 0

    def __repr__(self) -> str:
        state = "waiting" if self.waiting else "in a call" if self.expires == _NEVER else "reading"
        return f"<Connection of {self.peer}, {state}>"

    @property
    def waiting(self) -> bool:
        """Whether the client owes the next byte of a new request, so that closing loses nothing that was read."""
        return not self._busy and self._reader.between

    @property
    def standing(self) -> tuple[bool, float] | None:
        """The client's standing (`gjrpc.server.connections.Standing`); None while the server works for it."""
        if self._more or (self._busy and not self._is_slow(self.server.now)):
            return None
        return not self._busy and self._reader.parsed is not None and self._reader.between, self.expires

    @property
    def has_body(self) -> bool:
        """Whether it has a body: further pieces are awaited, or a call runs."""
        return self._busy or self._reader.in_body

    @property
    def body_cost(self) -> float | None:
        """What the awaited body has cost so far (`gjrpc.server.bodies`); None while the server works for it."""
        if self._busy or self._body_since is None:
            return None
        seconds: float = self.server.now - self._body_since
        return self._received * seconds

    def may_go(self) -> bool:
        """Whether closing loses no unread request; further bytes of a partial request do not count."""
        if not self.waiting:
            return True
        if self._tls and self.socket.pending():
            return False
        try:
            self._bare.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError as gone:
            log.debug("%s went away: %s", self.peer, gone)
            return True
        return False

    @cached_property
    def certificate(self) -> dict[str, Any] | None:
        """The client's certificate, as `ssl` gives it once it has checked it, or None; asked for by an application's guard."""
        return self.socket.getpeercert() or None if self._tls else None

    def open(self) -> None:
        """Begin to serve: from now on, whatever comes is read and answered in one of the server's greenlets."""
        self.server.connections.add(self)
        self._watcher.start(self.server.greenlets.ready.append, self)

    def advance(self, step: Callable[[], bool] | None = None) -> None:
        """Read what has come, and answer what is complete of it; never raises what a client can cause.

        Args:
            step: what to do instead, by somebody who has made sure that nobody else does; says whether the connection goes on.
        """
        if self._busy and step is None:
            self._pause()
            return
        self._busy = True
        goes_on = False
        try:
            goes_on = self._read() if step is None else step()
        except BadMessage as error:
            self._refuse(error)
        except GoneError as error:
            log.debug("%s went away: %s", self.peer, error)
        except Exception as error:  # noqa: BLE001  a fault of the server itself: logged with its ref, and told
            self._refuse(internal_error(SERVER_FAILED, error, pointer=DETAILS))
        except BaseException as error:  # such as a timeout that a call left running, or a killed greenlet
            if passes(error):
                self.abandon()
                raise
            self._fail(error)
        finally:  # also where the greenlet is killed in the middle of a call
            if goes_on and self._watcher is not None:
                self._busy = False
                if self._more:  # only now, when all is sent: a turn that comes while it is busy would be lost
                    self.server.greenlets.run_later(self)
                if self._paused:
                    self._paused = False
                    self._watcher.start(self.server.greenlets.ready.append, self)
            else:
                self.close()

    def _fail(self, error: BaseException) -> None:
        """Answer with the error, if no part of an answer has been sent yet."""
        refused = internal_error(SERVER_FAILED, error, pointer=DETAILS)
        if self.expires == _NEVER and not self.begun:
            self._refuse(refused)

    def refuse(self) -> None:
        """Read what has come, and answer that the server has too much to do."""
        answer, self._answer = self._answer, Connection._answer_busy
        try:
            self.advance()
        finally:
            self._answer = answer

    def close(self) -> None:
        """Close the connection at once."""
        self.server.connections.discard(self)
        if self._watcher is not None:
            self._busy = True
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            self._reader.drop()
            self.server.unsent.note(self, 0)
            self.server.bodies.forget(self)
            self._say_end()
            self.socket.close()

    def evict(self) -> None:
        """Close the connection to make room for another."""
        if not self._busy:
            self.close()
            return
        self.give_up()
        self.server.connections.discard(self)

    def disown(self) -> None:
        """Close its descriptor in this forked process; the parent keeps the connection."""
        forks.close(self.socket)

    def expire(self) -> None:
        """End the connection: its client has taken too long. One that still takes its answer gets more time."""
        if self._busy and not self._takes_enough():
            self.give_up()
        elif self._busy:
            return
        elif self.waiting:
            self.close()
        else:
            self.expires = _NEVER
            self._busy = True
            gevent.spawn(self.advance, self._tell_late)

    def drain(self) -> None:
        """End the connection if that loses no request: one that has come already is answered, one of a new client awaited."""
        if self._reader.parsed is None and self.server.now < self._since + HURRY:
            self.expires = self._since + HURRY
        elif self.waiting:
            self._busy = True
            gevent.spawn(self.advance, self._read)

    def abandon(self) -> None:
        """Close the connection in the middle of a call, and tell the client if that is still possible.

        The call has begun, so the answer is 504 and not 503 with `Retry-After`, which would invite a retry.
        """
        if self.expires == _NEVER and not self.begun:
            try:
                refused = self._for_page(refusal(DeadlineExceeded(_CUT_OFF)), self._called_by())
                self.socket.send(b"".join(self._held or ()) + self.server.writer.write(refused, False))
            except OSError as gone:
                self._cut = True
                log.debug("%s went away: %s", self.peer, gone)
        self.close()

    def _pause(self) -> None:
        """Leave bytes of a further request in the socket until this one is answered."""
        if self._watcher is not None:
            self._watcher.stop()
            self._paused = True

    def _tell_late(self) -> bool:
        raise BadMessage("the request took too long to come", status=408)

    def _read(self) -> bool:
        """Read once, or until TLS has no more; say whether the connection goes on."""
        reader = self._reader
        while True:
            if self._more:
                self._more, data = False, b""
                request = reader.next()
            else:
                try:
                    data = self.socket.recv(_RECEIVE_BODY if reader.left else _RECEIVE)
                except (BlockingIOError, ssl.SSLWantReadError):
                    return not (reader.between and self.server.draining)
                except OSError as error:
                    raise GoneError(error) from error
                if not data:
                    reader.end()
                    return False
                request = reader.receive(data)
            if request is not None:
                self.expires = _NEVER
                self._part_since = self._body_since = None
                if not (self._answer_all(request) if reader.pending else self._answer(self, request)):
                    self._let_go()
                    return False
            if not self._go_on(len(data)):
                return False
            if not (self._tls and self.socket.pending()):  # decrypted bytes don't wake a watcher
                return True

    def _go_on(self, count: int) -> bool:
        """Set the time for what comes next, and say whether the connection goes on."""
        server, reader = self.server, self._reader
        if (reader.pending or reader.in_body) and not reader.between and not self._more:
            return self._take_part(count)
        self.expires = server.now + server.timeouts.idle
        return self._more or not server.draining  # it may have begun while an answer was sent

    def _answer_all(self, request: Request) -> bool:
        """Answer requests that came together; their answers go out together, unless a call waits."""
        reader = self._reader
        asked: Request | None = request
        left = self.server.limits.pipelined
        self._hold()
        try:
            while asked is not None:
                if not self._answer(self, asked):
                    return False
                left -= 1
                if reader.between:
                    break
                if not left:  # others have their turn too
                    self._more = True
                    break
                asked = reader.next()
        finally:
            self._release()
        return True

    def _take_part(self, count: int) -> bool:
        """Set the timeout for the rest of a partial request; return whether the connection goes on."""
        begins = self._part_since is None
        since = self._part_since = self.server.now if self._part_since is None else self._part_since
        self.expires = since + self.server.timeouts.head
        goes_on = self._take_body(count) if self._reader.in_body else True
        if begins and goes_on:
            self.server.connections.note(self)
        return goes_on

    def _take_body(self, count: int) -> bool:
        if self._body_since is None:
            if not self._admit(self._reader.parsed):  # type: ignore[arg-type]  # a head was read
                return False
            self._body_since = self.server.now
            self._received = 0
        self._received += count
        # The last piece completes the request, and is not noted any more.
        if not self.server.bodies.note(self, self._received + min(self._reader.left, _RECEIVE_BODY)):
            head = self._reader.parsed.request.head  # type: ignore[union-attr]  # a head was read
            self._turn_away(self._for_page(refusal(Overloaded(_NO_ROOM, retry_after=1)), head.origin), head)
            return False
        self.expires = self._body_since + self.server.timeouts.body + self._received / self.server.timeouts.rate
        return True

    def _admit(self, parsed: Parsed) -> bool:
        """Return whether the body may come; a refusal by the head is sent without reading it, instead of `100 Continue`."""
        head = parsed.request.head
        self.expires = _NEVER  # checking a password takes the server's time, not the client's
        refused = None
        if self._answer is Connection._answer_busy:
            refused = self._overloaded(head)
        elif self.server.short_way:
            refused = self.server.application.admit(head, self)
        if refused is not None:
            self._turn_away(refused, head)
            return False
        if parsed.expects:
            self._send(CONTINUE)
        return True

    def _let_go(self) -> None:
        """Close after an answer: at once, or lingering where the client has sent more."""
        try:
            more = not self._reader.between or bool(self.socket.recv(_RECEIVE))
        except (BlockingIOError, ssl.SSLWantReadError):
            more = False
        except OSError as error:
            raise GoneError(error) from error
        if more:
            self._linger()

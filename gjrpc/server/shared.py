"""What the connections of one server share: its settings, its clock, and the objects that bound what all clients use together.

Owns the clock, and whether the server drains. Each counter belongs to the object that counts, which alone writes it; others call
its methods. It knows no connection and no request.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from gjrpc.http.reader import Memory
from gjrpc.http.writer import Writer
from gjrpc.limits import Limits, Timeouts
from gjrpc.server.answer_log import SafeLog
from gjrpc.server.bodies import Bodies
from gjrpc.server.connections import Connections
from gjrpc.server.handshakes import Handshakes
from gjrpc.server.overload import Overload
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.unsent import Unsent


@dataclass(slots=True, eq=False, kw_only=True)
class Shared:
    """The state that one server and all its connections share.

    Attributes:
        loop: gevent's event loop.
        secured: whether connections are TLS.
        hosts: the `Host` names to answer for if the application leaves that to the server; empty for any.
        limits: what one message may use.
        timeouts: how long one client may take.
        access_log: records each answer, or None.
        connections: the open connections.
        greenlets: run the calls.
        handshakes: the TLS handshakes that wait or are in progress.
        bodies: the bodies that arrive in pieces.
        unsent: the answers that wait for their clients.
        overload: counts the calls that are refused.
        heads: remembers parsed heads.
        writer: writes responses as bytes.
        now: the server's time, in seconds of the monotonic clock: up to a quarter of a second late; only `tick` sets it.
        draining: whether the server is stopping; only `drain` sets it.
    """

    loop: Any
    secured: bool
    hosts: frozenset[str]
    limits: Limits
    timeouts: Timeouts
    access_log: SafeLog | None
    connections: Connections
    greenlets: Greenlets
    handshakes: Handshakes
    bodies: Bodies
    unsent: Unsent
    overload: Overload
    heads: Memory = field(default_factory=Memory)
    writer: Writer = field(default_factory=Writer)
    now: float = field(default_factory=time.monotonic)
    draining: bool = False

    def tick(self) -> None:
        """Read the clock; the sweep calls this a few times a second."""
        self.now = time.monotonic()
        self.writer.tick()

    def drain(self) -> None:
        """Begin to stop: from now on each answer closes its connection."""
        self.draining = True

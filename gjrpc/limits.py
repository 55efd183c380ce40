"""The default of each limit, once, with its unit.

Owns the numbers that bound what one request, one client or all of them together may use. Application, server, client and command
line take their defaults from here. It imports nothing of the project and no event loop, and does not know who enforces a limit.
"""

from dataclasses import dataclass

# One request to a method.

MAX_BODY = 1024 * 1024
"""Bytes of a request's body; a larger one gets 413."""

MAX_DEPTH = 100
"""Levels of nesting in a request's JSON; deeper JSON gets 400."""

MAX_VALUES = 100_000
"""Values in a request's JSON, as `gjrpc.values.codec.Decoder` counts them; more get 413.

Decoding that many takes 30 ms at worst, and their objects take 20 MB.
"""

MAX_BATCH = 1000
"""Entries of a JSON-RPC 2.0 batch; a larger one gets a single -32600."""

MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of the responses to one batch; after that, the remaining calls get -32001 without being run."""

# One client address.

MAX_FAILURES = 10
"""Failed logins within one to two minutes; after that, the address gets 429."""

# The whole server.

BACKLOG = 4096
"""Connections that may wait to be accepted."""

MAX_CALLS = 4096
"""Calls in flight; further ones get 503."""

BODIES_AT_ONCE = 64
"""How many bodies of the largest size may arrive in pieces at the same time; the default of `max_bodies`, which is in bytes."""

MAX_UNSENT = 64 * 1024 * 1024
"""Bytes of answers that wait for slow clients: sixteen answers to the largest batches, and half of a small machine's memory."""

THREADS = 10
"""Threads for methods that block."""

MAX_QUEUED = 1000
"""Calls that may wait for such a thread; further ones get 503."""

STALL_LIMIT = 0.1
"""Seconds that a method may block the event loop before the log names it."""

SOCKET_MODE = 0o660
"""Permissions of a Unix socket's file: its owner and its group may connect."""

# The client.

CLIENT_TIMEOUT = 30.0
"""Seconds for a whole call, retries included."""

CLIENT_RETRIES = 2
"""Repetitions of one call."""

CLIENT_POOL = 10
"""Connections that one client keeps open."""

CLIENT_MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer after decompression."""


@dataclass(frozen=True)
class Limits:
    """What one HTTP message may use, in bytes or pieces; a message beyond a limit gets the status given here.

    Attributes:
        target: bytes of the request line; 414.
        head: bytes of the head; 431.
        headers: header lines; 431.
        body: bytes of the body without its transfer coding; 413. For methods, `MAX_BODY` applies instead.
        pipelined: requests that are answered on one connection before other connections get their turn.
        keep_alive: whether a connection may carry more than one request.
    """

    target: int = 8 * 1024
    head: int = 32 * 1024
    headers: int = 100
    body: int = 10 * 1024 * 1024
    pipelined: int = 64
    keep_alive: bool = True


@dataclass(frozen=True)
class Timeouts:
    """How long a client may take, in seconds; a trickle of bytes extends none of them.

    Attributes:
        handshake: for the TLS handshake.
        head: from a request's first byte to the end of its head, else 408; also until a new connection sends its first byte.
        body: until the body starts; after that its bytes must arrive at `rate`; else 408.
        idle: between two requests; then the server closes the connection.
        write: for a client that does not read its answer at once: in each span of this length it must read at `rate`.
        rate: bytes per second at which a body or an answer must move at least.
        grace: for the calls in flight when the server stops.
    """

    handshake: float = 10
    head: float = 10
    body: float = 10
    idle: float = 75
    write: float = 30
    rate: float = 1024
    grace: float = 30

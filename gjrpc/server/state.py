"""What a connection does: its states, and which of them belong together.

Owns the names only; `http1` decides when a connection passes from one state to the next.
"""

import enum


class State(enum.Enum):
    """What a connection does."""

    IDLE = "idle"
    """The client owes the first byte of a request."""
    READING = "reading"
    """Part of a request has arrived."""
    QUEUED = "queued"
    """Whole requests have arrived, and wait until other connections have had their turn."""
    CALLING = "in a call"
    """The server works for the client."""
    SENDING = "sending"
    """The client does not take its answer at once."""
    CLOSING = "closing"
    """The last answer is sent, and what the client still sends is dropped."""
    CLOSED = "closed"


READABLE = frozenset({State.IDLE, State.READING, State.QUEUED})
"""States in which the next request may be read."""

BUSY = frozenset({State.CALLING, State.SENDING, State.CLOSING})
"""States in which a greenlet works on the connection or waits for its client."""

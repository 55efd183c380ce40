"""How an overloaded server refuses calls, and how often.

Owns the count of refused calls and the words for the client. It knows neither sockets nor requests.
"""

from gjrpc.errors import Overloaded
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.unsent import Unsent


class Overload:
    """Refuses calls while there are too many, or too many unread answers.

    Args:
        greenlets: run the calls.
        unsent: the answers that wait for their clients.

    Attributes:
        refused: how many calls were refused so far; only `refuse` sets it.
    """

    def __init__(self, greenlets: Greenlets, unsent: Unsent) -> None:
        self.refused = 0
        self._greenlets = greenlets
        self._unsent = unsent

    @property
    def reason(self) -> str:
        """The limit that the server has reached."""
        if self._unsent.full:
            return f"more than {self._unsent.most} bytes of answers wait for slow clients"
        return f"the server has {self._greenlets.most} calls in flight, which is its limit"

    def refuse(self) -> Overloaded:
        """Count one refused call and return its error."""
        self.refused += 1
        return Overloaded(f"{self.reason}: try again later", retry_after=1)

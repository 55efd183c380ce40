"""An access log that can't disturb an answer: the client has it already when it is recorded.

Owns what happens when an access log fails. It knows neither connections nor responses.
"""

import logging

from gjrpc.http.access_log import Answered, AnswerLog
from gjrpc.server.gevent_runtime import passes

log = logging.getLogger("gjrpc.server")


class SafeLog:
    """Writes to an access log, and logs that log's failures.

    Args:
        access_log: the access log; it may be the user's own.
    """

    __slots__ = ("_access_log",)

    def __init__(self, access_log: AnswerLog) -> None:
        self._access_log = access_log

    def write(self, answered: Answered) -> None:
        """Record an answer; raise nothing but what ends the greenlet."""
        try:
            self._access_log.write(answered)
        except BaseException as error:
            if passes(error):
                raise
            log.exception("the access log failed")

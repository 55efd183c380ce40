"""An access log that fails, and does not disturb the answer."""

import logging

import gevent
import pytest

from gjrpc.http.access_log import Answered
from gjrpc.http.messages import Head
from gjrpc.server.answer_log import SafeLog

ANSWERED = Answered(("127.0.0.1", 1), Head("GET", "/ping"), 200, 15, 0.001)


class Log:
    """An access log that keeps what it is given, or raises."""

    def __init__(self, error=None):
        self.error, self.lines = error, []

    def write(self, answered):
        if self.error is not None:
            raise self.error
        self.lines.append(answered)


def test_an_answer_is_recorded():
    """An access log that works gets each answer."""
    access_log = Log()
    SafeLog(access_log).write(ANSWERED)
    assert access_log.lines == [ANSWERED]


@pytest.mark.parametrize("error", [ValueError("full"), gevent.Timeout(1), SystemExit(3)], ids=lambda error: type(error).__name__)
def test_a_failure_of_the_log_is_logged(caplog, error):
    """Whatever an access log raises is logged with its traceback, and goes no further."""
    with caplog.at_level(logging.ERROR, "gjrpc.server"):
        SafeLog(Log(error)).write(ANSWERED)
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info[1]) == ("the access log failed", error)

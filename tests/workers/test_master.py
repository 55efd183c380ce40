"""The master's parts that need no processes; `test_multiprocess.py` tests it with real workers."""

import logging
from types import SimpleNamespace

import pytest

from gjrpc.workers.master import QuietLogger, ReportingWorker


@pytest.fixture
def worker(tmp_path):
    """A worker that has not been forked, with the file in which it reports."""
    made = object.__new__(ReportingWorker)
    with (tmp_path / "tmp").open("w+b") as made.tmp:
        yield made


def test_a_report_replaces_the_one_before(worker):
    """The master reads what the worker has reported last, even if that is shorter, and nothing at first."""
    assert worker.reported == ""
    for words in (worker.LOADED, "target 'größe': it is an int", worker.SERVES):
        worker.report(words)
        assert worker.reported == words


def test_remarks_of_gunicorn_are_for_debugging(caplog):
    """gunicorn's messages of level info are logged as debug, and its warnings as they are."""
    logger = object.__new__(QuietLogger)
    logger.error_log = logging.getLogger("gunicorn.error")
    logger.setup(SimpleNamespace())
    with caplog.at_level(logging.DEBUG):
        logger.info("Booting worker with pid: %s", 7)
        logger.warning("a warning")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "Booting worker with pid: 7"),
        ("WARNING", "a warning"),
    ]

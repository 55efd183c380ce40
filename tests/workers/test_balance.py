"""How workers share connections: the board. `test_multiprocess.py` tests that they share evenly."""

import subprocess
import sys

from gjrpc.workers.balance import Board


def test_alone():
    """A worker without others never pauses."""
    board = Board()
    board.sign(1, 1000)
    assert not board.ahead(1000)


def test_steps_back():
    """A worker that has clearly more connections than another pauses; a few more are no reason."""
    board = Board()
    board.sign(2, 16)
    board.sign(1, 0)
    assert not board.ahead(20)
    assert board.ahead(21)


def test_one_that_left():
    """A worker that accepts no more connections no longer counts, at once."""
    board = Board()
    board.sign(2, 0)
    board.sign(1, 0)
    assert board.ahead(10)
    board.sign(2, 0)
    board.leave()
    board.sign(1, 10)
    assert not board.ahead(10)


def test_one_that_hangs(monkeypatch):
    """A worker that has not signed for long no longer counts."""
    board = Board()
    monkeypatch.setattr("gjrpc.workers.balance.time.monotonic", lambda: 100.0)
    board.sign(2, 0)
    monkeypatch.setattr("gjrpc.workers.balance.time.monotonic", lambda: 103.0)
    board.sign(1, 10)
    assert not board.ahead(10)


def test_across_processes():
    """A process reads what another one has written."""
    program = """
import os
from gjrpc.workers.balance import Board

board = Board()
if (child := os.fork()) == 0:
    board.sign(2, 7)
    os._exit(0)
os.waitpid(child, 0)
board.sign(1, 0)
print(board.ahead(20), board.ahead(9))
"""
    # A process of its own, since a fork of one with threads may hang.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True False\n"

"""How workers share connections: the board; that they come out even is in `test_workers.py`."""

import subprocess
import sys

from gjrpc.workers.balance import Board


def test_alone():
    """A worker without others never steps back."""
    board = Board()
    board.sign(1, 1000)
    assert not board.ahead(1000)


def test_steps_back():
    """One that has clearly more connections than another steps back; a few more are no reason."""
    board = Board()
    board.sign(2, 16)
    board.sign(1, 0)
    assert not board.ahead(20)
    assert board.ahead(21)


def test_one_that_left():
    """One that accepts no more is not counted with, at once."""
    board = Board()
    board.sign(2, 0)
    board.sign(1, 0)
    assert board.ahead(10)
    board.sign(2, 0)
    board.leave()
    board.sign(1, 10)
    assert not board.ahead(10)


def test_one_that_hangs(monkeypatch):
    """One that has not signed for long is not counted with."""
    board = Board()
    monkeypatch.setattr("gjrpc.workers.balance.time.monotonic", lambda: 100.0)
    board.sign(2, 0)
    monkeypatch.setattr("gjrpc.workers.balance.time.monotonic", lambda: 103.0)
    board.sign(1, 10)
    assert not board.ahead(10)


def test_across_processes():
    """What one process writes the other reads."""
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

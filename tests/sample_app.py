"""The text of a small application for tests that start a server in a process of its own; they write it to `app.py`."""

APP = """
import time
from gjrpc import Application, Registry

registry = Registry()

@registry.method
def ping():
    return "pong"

@registry.method
def nap(seconds: float):
    print("napping", flush=True)
    time.sleep(seconds)
    return seconds

application = Application(registry)
"""
"""`nap` prints "napping" when it begins."""

"""An application for tests of the server, whose calls wait until the test opens a gate."""

from gjrpc import Application, Registry


class Gated(Application):
    """An application with `ping` and with `wait`, which waits for a gate; tests may replace its attributes.

    Args:
        methods: further methods, by name.

    Attributes:
        gate: a `gevent.event.Event`, which the test sets.
    """

    def __init__(self, **methods):
        registry = Registry()
        for name, method in {"ping": lambda: "pong", "wait": self._wait, **methods}.items():
            registry.register(method, name)
        super().__init__(registry)

    def _wait(self, text=""):
        self.gate.wait()
        return len(text)

"""Batches and notifications: the parts of JSON-RPC 2.0 that native calls lack.

Owns how calls are queued, and how each call of a batch gets its own result. `dialects` writes them, and `client` sends them.
"""

from collections.abc import Callable
from typing import Any

from gjrpc.client.dialects import JSONRPC
from gjrpc.errors import ClientError, MisuseError, WireError


class NamedMethod:
    """A method by its name: calling it passes the name and the arguments on; an attribute appends to a dotted name."""

    __slots__ = ("_name", "_pass_on")

    def __init__(self, pass_on: Callable[..., Any], name: str) -> None:
        self._pass_on = pass_on
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Pass the call on."""
        return self._pass_on(self._name, *args, **kwargs)

    def __getattr__(self, name: str) -> "NamedMethod":
        further = public(name)  # before `_pass_on` is read: `copy` looks for attributes before it sets that one
        return NamedMethod(self._pass_on, f"{self._name}.{further}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"


class Notifications:
    """Methods that are called without asking for a result: `client.notify.log("x")` sends a JSON-RPC 2.0 notification."""

    def __init__(self, pass_on: Callable[..., Any]) -> None:
        self._pass_on = pass_on

    def __getattr__(self, name: str) -> NamedMethod:
        first = public(name)
        return NamedMethod(self._pass_on, first)


class Pending:
    """The result of a queued call, available once the batch has been sent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = False
        self._value: Any = None
        self._error: ClientError | None = None

    def done(self) -> bool:
        """Return whether the batch has been sent."""
        return self._done

    def result(self) -> Any:
        """Return the call's result.

        Raises:
            MisuseError: the batch has not been sent yet.
            RemoteError: the server answered this call with an error.
            WireError: the server did not answer this call.
        """
        if (error := self.exception()) is not None:
            raise error
        return self._value

    def exception(self) -> ClientError | None:
        """Return the call's error, or None if it has a result.

        Raises:
            MisuseError: the batch has not been sent yet.
        """
        if not self._done:
            raise MisuseError(f"{self._name}: the batch has not been sent yet; leave its with-block first")
        return self._error

    def set_result(self, value: Any) -> None:
        """Store the call's result."""
        self._done, self._value = True, value

    def set_exception(self, error: ClientError) -> None:
        """Store the call's error."""
        self._done, self._error = True, error

    def __repr__(self) -> str:
        state = repr(self._error or self._value) if self._done else "not sent"
        return f"<Pending {self._name}: {state}>"


class Batch:
    """Calls that are sent together when the with-block ends, unless it ends with an exception; made by `Client.batch`.

    >>> with client.batch() as batch:
    ...     total = batch.add(1, 2)
    ...     batch.notify.log("added")
    >>> total.result()
    3

    Call a method as an attribute, or with `batch.call(name, …)`; both return a `Pending`. Notifications return None.
    """

    def __init__(self, dialect: JSONRPC, send: Callable[[bytes, list[str]], Any]) -> None:
        self._dialect = dialect
        self._send = send
        self._entries: list[dict[str, Any]] = []
        self._pending: dict[int, Pending] = {}
        self.notify = Notifications(self._queue_notification)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Pending:
        """Queue a call of a method, by its name.

        Raises:
            MisuseError: the name or the arguments can't be sent.
        """
        entry = self._dialect.entry(name, (args, kwargs))
        self._entries.append(entry)
        pending = self._pending[entry["id"]] = Pending(name)
        return pending

    def _queue_notification(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self._entries.append(self._dialect.entry(name, (args, kwargs), notification=True))

    def __getattr__(self, name: str) -> NamedMethod:
        first = public(name)
        return NamedMethod(self.call, first)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        entries, self._entries = self._entries, []
        if kind is None and entries:
            self._settle(self._exchange(self._dialect.write_batch(entries), [entry["method"] for entry in entries]))

    def _exchange(self, body: bytes, names: list[str]) -> dict[Any, Any]:
        """Send the batch and return the answers by id; if it fails as a whole, each call gets the error too."""
        try:
            return self._dialect.read_batch(self._send(body, names), self._pending)
        except ClientError as error:
            for pending in self._pending.values():
                pending.set_exception(error)
            raise

    def _settle(self, answers: dict[Any, Any]) -> None:
        """Give each call its own result or error."""
        for request_id, pending in self._pending.items():
            try:
                pending.set_result(self._result(pending._name, answers, request_id))
            except ClientError as error:
                pending.set_exception(error)

    def _result(self, name: str, answers: dict[Any, Any], request_id: int) -> Any:
        if request_id not in answers:
            raise WireError(f"{name}: the answer to the batch lacks this call (id {request_id})")
        return self._dialect.result(name, answers[request_id], request_id)

    def __repr__(self) -> str:
        return f"<Batch, calls to send: {len(self._entries)}>"


def public(name: str) -> str:
    """Return the name of an attribute that may be a method.

    Raises:
        AttributeError: the name begins with an underscore.
    """
    if name.startswith("_"):
        raise AttributeError(f"the attribute {name!r} is not a method: it begins with an underscore")
    return name

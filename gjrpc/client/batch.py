"""A batch of calls in one request, and calls that want no answer: the client's JSON-RPC 2.0 extras.

Owns how calls queue and how each gets its own result. How they are written and sent is the client's.
"""

from collections.abc import Callable
from typing import Any

from gjrpc.client.dialects import JSONRPC
from gjrpc.errors import ClientError, MisuseError, WireError


class Named:
    """A method by its name; a further attribute reaches a dotted name, calling it hands name and arguments on."""

    __slots__ = ("_hand_on", "_name")

    def __init__(self, hand_on: Callable[..., Any], name: str) -> None:
        self._hand_on = hand_on
        self._name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Hand the call on."""
        return self._hand_on(self._name, *args, **kwargs)

    def __getattr__(self, name: str) -> "Named":
        further = public(name)  # first, since a copy in the making has no fields yet
        return Named(self._hand_on, f"{self._name}.{further}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"


class Names:
    """Makes an attribute a `Named`: `client.notify.log("x")`."""

    def __init__(self, hand_on: Callable[..., Any]) -> None:
        self._hand_on = hand_on

    def __getattr__(self, name: str) -> Named:
        first = public(name)
        return Named(self._hand_on, first)


class Pending:
    """The result of a queued call, to be had once the batch was sent."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sent = False
        self._value: Any = None
        self._error: ClientError | None = None

    def done(self) -> bool:
        """Whether the batch was sent."""
        return self._sent

    def result(self) -> Any:
        """The call's result.

        Raises:
            MisuseError: the batch is not sent yet.
            RemoteError: the server answered this call with an error.
            WireError: it did not answer it.
        """
        if (error := self.exception()) is not None:
            raise error
        return self._value

    def exception(self) -> ClientError | None:
        """The call's error, or None.

        Raises:
            MisuseError: the batch is not sent yet.
        """
        if not self._sent:
            raise MisuseError(f"{self._name}: the batch is not sent yet; leave its with-block first")
        return self._error

    def settle(self, find: Callable[[], Any]) -> None:
        """Take the result that `find` gives, or the error that it raises."""
        self._sent = True
        try:
            self._value = find()
        except ClientError as error:
            self._error = error

    def __repr__(self) -> str:
        state = "not sent" if not self._sent else repr(self._error or self._value)
        return f"<Pending {self._name}: {state}>"


class Batch:
    """Calls that go out together when its with-block ends without an exception; made by `Client.batch`.

    >>> with client.batch() as batch:
    ...     total = batch.add(1, 2)
    ...     batch.notify.log("added")
    >>> total.result()
    3

    A call is an attribute, or `batch.call(name, …)`; it returns a `Pending`. Those below `notify` return nothing.
    """

    def __init__(self, dialect: JSONRPC, send: Callable[[bytes, list[str]], Any]) -> None:
        self._dialect = dialect
        self._send = send
        self._entries: list[dict[str, Any]] = []
        self._pending: dict[int, Pending] = {}
        self.notify = Names(self._queue_notification)

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Pending:
        """Queue a call of a method by its name.

        Raises:
            MisuseError: name or arguments that can't be sent.
        """
        entry = self._dialect.entry(name, (args, kwargs))
        self._entries.append(entry)
        pending = self._pending[entry["id"]] = Pending(name)
        return pending

    def _queue_notification(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self._entries.append(self._dialect.entry(name, (args, kwargs), notification=True))

    def __getattr__(self, name: str) -> Named:
        first = public(name)
        return Named(self.call, first)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        entries, self._entries = self._entries, []
        if kind is None and entries:
            self._settle(self._dialect.write_batch(entries), [entry["method"] for entry in entries])

    def _settle(self, body: bytes, names: list[str]) -> None:
        """Send the batch; what fails as a whole is raised here, and is the result of each call too."""
        try:
            answers = self._dialect.read_batch(self._send(body, names), self._pending)
        except ClientError as error:
            for pending in self._pending.values():
                pending.settle(lambda error=error: _raise(error))  # type: ignore[misc]  # a default binds the loop's name
            raise
        for request_id, pending in self._pending.items():
            pending.settle(lambda i=request_id, p=pending: self._result(answers, i, p))  # type: ignore[misc]  # likewise

    def _result(self, answers: dict[Any, Any], request_id: int, pending: Pending) -> Any:
        if request_id not in answers:
            raise WireError(f"{pending._name}: the answer to the batch has none for this call (id {request_id})")
        return self._dialect.result(pending._name, answers[request_id], request_id)

    def __repr__(self) -> str:
        return f"<Batch of {len(self._entries)} calls to be sent>"


def public(name: str) -> str:
    """A name that an attribute may reach.

    Raises:
        AttributeError: it begins with an underscore.
    """
    if name.startswith("_"):
        raise AttributeError(f"no method is reached by the attribute {name!r}: it begins with an underscore")
    return name


def _raise(error: ClientError) -> Any:
    raise error

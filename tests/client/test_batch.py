"""Batches and notifications, against the real server; and odd answers to a batch, without a server."""

import copy
import threading

import pytest
from scripted_server import response

from gjrpc import Application, CallError, Client, MisuseError, Registry, RemoteError, WireError
from gjrpc.client.batch import Batch
from gjrpc.client.dialects import JSONRPC


@pytest.fixture(params=["native", "jsonrpc"])
def client(request, serve):
    """A client in each dialect, and the notes that its server received."""
    registry = Registry()
    notes = []
    noted = threading.Event()

    @registry.method
    def add(a: int, b: int = 10) -> int:
        return a + b

    @registry.method(name="notes.take")
    def take(text):
        notes.append(text)
        noted.set()

    @registry.method
    def refuse():
        raise CallError("not today", code=7, data={"why": "rain"})

    with Client(serve(Application(registry)).url, dialect=request.param) as made:
        made.__dict__.update(notes=notes, noted=noted)
        yield made


def sent(body, status=200):
    """Send two calls in a batch that gets this answer; return the calls and the error that the block raised."""
    batch = Batch(JSONRPC(), lambda _body, _names: response(body, status))
    raised = None
    try:
        with batch:
            calls = batch.add(1), batch.call("sub", 2)
    except (RemoteError, WireError) as error:
        raised = error
    return calls, raised


def test_each_call_has_its_own_result(client):
    """The calls of a batch are sent together, and each has its own result or error."""
    with client.batch() as batch:
        three, refused, misfit, missing = batch.add(1, 2), batch.refuse(), batch.add(a="x"), batch.call("no.such")
        batch.notify.notes.take("from a batch")
        assert not three.done()
        with pytest.raises(MisuseError, match="not been sent yet"):
            three.result()
    assert three.result() == 3
    assert three.done()
    assert three.exception() is None
    with pytest.raises(RemoteError) as error:
        refused.result()
    assert (error.value.code, error.value.detail, error.value.data) == (7, "not today", {"why": "rain"})
    assert misfit.exception().code == -32602
    assert missing.exception().code == -32601
    assert client.notes == ["from a batch"]


def test_a_broken_block_sends_nothing(client):
    """A with-block that ends with an exception sends nothing; neither does an empty one."""

    def broken():
        with client.batch() as batch:
            batch.notify.notes.take("never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with client.batch():
        pass
    assert client.add(1) == 11
    assert client.notes == []


def test_notification(client):
    """A notification is run and returns None, even if it fails."""
    assert client.notify.notes.take("hello") is None
    assert client.noted.wait(60)
    assert client.notes == ["hello"]
    assert client.notify.refuse() is None
    assert client.notify.no.such() is None


def test_what_cannot_be_sent(client):
    """Arguments that can't be sent are refused when they are queued; the other calls are sent."""
    with client.batch() as batch:
        good = batch.add(1)
        with pytest.raises(MisuseError, match="by position and by name"):
            batch.add(1, b=2)
    assert good.result() == 11


def test_order_does_not_matter():
    """Answers are matched by their ids, in any order."""
    calls, raised = sent(b'[{"jsonrpc":"2.0","result":"second","id":2},{"jsonrpc":"2.0","result":"first","id":1}]')
    assert raised is None
    assert [call.result() for call in calls] == ["first", "second"]


@pytest.mark.parametrize(
    "body", [b"[]", b'[{"jsonrpc":"2.0","error":{"code":-32600,"message":"no request"},"id":null}]', b'[{"id":1},{"id":2}]']
)
def test_unanswered_calls(body):
    """A call that the answer lacks has a WireError of its own."""
    calls, raised = sent(body)
    assert raised is None
    for call in calls:
        assert isinstance(call.exception(), WireError)


def test_nothing_answered():
    """If the answer is empty, each call has a WireError."""
    calls, _ = sent(b"", 204)
    assert all(isinstance(call.exception(), WireError) for call in calls)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"jsonrpc":"2.0","error":{"code":-32600,"message":"too many"},"id":null}', 200, RemoteError),
        (b'{"title":"Service Unavailable","status":503}', 503, RemoteError),
        (b'{"jsonrpc":"2.0","result":1,"id":1}', 200, WireError),
        (b"{}", 200, WireError),
        (b'[{"jsonrpc":"2.0","result":1,"id":9}]', 200, WireError),
        (b'[1,{"id":[]}]', 200, WireError),
        (b"<html>", 200, WireError),
    ],
)
def test_refused_as_a_whole(body, status, kind):
    """An error of the whole batch is raised at the end of the block, and is the error of each call."""
    calls, raised = sent(body, status)
    assert isinstance(raised, kind)
    for call in calls:
        assert call.exception() is raised


def test_underscores(client):
    """An attribute that begins with an underscore is not a method, so tools that look for such attributes send nothing."""
    with client.batch() as batch:
        for probed in (batch, batch.stats, batch.notify, client.notify, client.notify.stats):
            assert not hasattr(probed, "_repr_html_")
    assert repr(copy.copy(client.notify.stats)) == "<NamedMethod stats>"
    assert repr(batch) == "<Batch, calls to send: 0>"


def test_repr():
    """A pending call shows its name and its state."""
    batch = Batch(JSONRPC(), lambda _body, _names: response(b'[{"jsonrpc":"2.0","result":5,"id":1}]'))
    with batch:
        call = batch.add(1)
        assert repr(call) == "<Pending add: not sent>"
    assert repr(call) == "<Pending add: 5>"

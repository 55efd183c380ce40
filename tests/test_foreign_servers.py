"""gjrpc's client with a foreign JSON-RPC 2.0 server: jsonrpclib-pelix's, on the standard library's http.server."""

import threading

import pytest
from jsonrpclib.SimpleJSONRPCServer import SimpleJSONRPCServer

from gjrpc import Client, RemoteError


@pytest.fixture
def notes():
    """The arguments with which the method `note` was called."""
    return []


@pytest.fixture
def client(notes):
    """A client of the server."""
    server = SimpleJSONRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda a, b=10: a + b, "add")
    server.register_function(notes.append, "note")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with Client(f"http://127.0.0.1:{server.server_address[1]}", dialect="jsonrpc") as client:
        yield client
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_calls(client):
    """Positional and named calls return their results, converted with `result=`."""
    assert client.add(1, 2) == 3
    assert client.add(a=1, b=2) == 3
    assert client.call("add", 1, result=float) == 11.0


@pytest.mark.parametrize(("name", "arguments", "code"), [("nope", [], -32601), ("add", [1, 2, 3], -32602)])
def test_errors(client, name, arguments, code):
    """The client raises the server's errors with their codes."""
    with pytest.raises(RemoteError) as caught:
        client.call(name, *arguments)
    assert caught.value.code == code


def test_notification(client, notes):
    """A notification runs and returns nothing."""
    assert client.notify.note("hello") is None
    assert client.add(1) == 11
    assert notes == ["hello"]


def test_batch(client, notes):
    """Each call of a batch gets its own result or error, and a notification in it runs."""
    with client.batch() as batch:
        total = batch.add(1, 2)
        missing = batch.nope()
        batch.notify.note("within")
        other = batch.add(a=5)
    assert (total.result(), other.result(), notes) == (3, 15, ["within"])
    with pytest.raises(RemoteError) as caught:
        missing.result()
    assert caught.value.code == -32601

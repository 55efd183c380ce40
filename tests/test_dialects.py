"""Both dialects as the client writes and reads them, without a server; and typed results."""

import json

import pytest
import requests

from gjrpc import Application, Client, MisuseError, Registry, RemoteError, WireError
from gjrpc.dialects import JSONRPC, Native


def answer(body, status=200):
    """A response of requests with this body."""
    response = requests.Response()
    response.status_code = status
    response._content = body
    return response


@pytest.mark.parametrize(("args", "kwargs", "params"), [((1, [2]), {}, [1, [2]]), ((), {"a": 1}, {"a": 1}), ((), {}, [])])
def test_written(args, kwargs, params):
    """Arguments are an array or an object in both dialects, and none are an empty array."""
    assert json.loads(Native().write("f", (args, kwargs))) == {"f": params}
    dialect = JSONRPC()
    assert json.loads(dialect.write("f", (args, kwargs))) == {"jsonrpc": "2.0", "method": "f", "params": params, "id": 1}
    assert json.loads(dialect.write_notification("f", (args, kwargs))) == {"jsonrpc": "2.0", "method": "f", "params": params}
    assert json.loads(dialect.write("f", (args, kwargs)))["id"] == 2


@pytest.mark.parametrize("dialect", [Native(), JSONRPC()])
@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [("f", ((1,), {"a": 2}), "by position and by name"), ("", ((), {}), "not empty"), ("f", ((object(),), {}), "can't be sent")],
)
def test_unwritable(dialect, name, arguments, match):
    """What can't be sent is a MisuseError that says why."""
    with pytest.raises(MisuseError, match=match):
        dialect.write(name, arguments)


def test_jsonrpc_error():
    """An error object becomes a RemoteError with its code, message, data and ref."""
    body = b'{"jsonrpc":"2.0","error":{"code":-32603,"message":"failed","data":{"ref":"abc"}},"id":1}'
    with pytest.raises(RemoteError) as error:
        JSONRPC().read("f", answer(body))
    told = error.value
    assert (told.code, told.detail, told.ref, told.data, told.method) == (-32603, "failed", "abc", {"ref": "abc"}, "f")


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"result":1}', b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","error":{}}', b""])
def test_no_response_object(body):
    """What is no response object is a WireError."""
    with pytest.raises(WireError):
        JSONRPC().read("f", answer(body))


def test_notification_answers():
    """A notification is taken with nothing, and a refusal is told."""
    JSONRPC().read_nothing("f", answer(b"", 204))
    JSONRPC().read_nothing("f", answer(b"", 200))
    with pytest.raises(RemoteError):
        JSONRPC().read_nothing("f", answer(b"", 503))
    with pytest.raises(RemoteError):
        JSONRPC().read_nothing("f", answer(b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"},"id":null}'))


@pytest.mark.parametrize("dialect", ["native", "jsonrpc"])
def test_typed_results(serve, dialect):
    """A result is converted to the type that the caller names, or the call fails and says what came."""
    registry = Registry()

    @registry.method
    def echo(result):
        return result

    with Client(serve(Application(registry)).url, dialect=dialect) as client:
        assert client.call("echo", 3, result=int) == 3
        assert client.call("echo", [1, 2], result=tuple[int, int]) == (1, 2)
        assert client.echo(result="not a type") == "not a type"
        with pytest.raises(WireError, match="Expected `int`"):
            client.call("echo", "x", result=int)


def test_unknown_dialect():
    """A dialect that there is not is a MisuseError."""
    with pytest.raises(MisuseError, match="native"):
        Client("http://localhost:1", dialect="soap")

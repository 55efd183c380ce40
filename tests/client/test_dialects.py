"""How the client writes calls and reads answers in both dialects, without a server; and typed results."""

import json

import pytest
from scripted_server import response

from gjrpc import Application, Client, MisuseError, Registry, RemoteError, WireError
from gjrpc.client.dialects import JSONRPC, Native


def response_object(answer_id, rest):
    """Return the bytes of a response object with this id, or none, and these members."""
    ending = "" if answer_id is None else f',"id":{answer_id}'
    return f'{{"jsonrpc":"2.0",{rest}{ending}}}'.encode()


@pytest.mark.parametrize(("args", "kwargs", "params"), [((1, [2]), {}, [1, [2]]), ((), {"a": 1}, {"a": 1}), ((), {}, [])])
def test_written(args, kwargs, params):
    """Both dialects send positional arguments as an array, named ones as an object, and none as an empty array."""
    assert json.loads(Native().write("f", (args, kwargs)).body) == {"f": params}
    dialect = JSONRPC()
    assert json.loads(dialect.write("f", (args, kwargs)).body) == {"jsonrpc": "2.0", "method": "f", "params": params, "id": 1}
    assert json.loads(dialect.write_notification("f", (args, kwargs))) == {"jsonrpc": "2.0", "method": "f", "params": params}
    assert json.loads(dialect.write("f", (args, kwargs)).body)["id"] == 2


@pytest.mark.parametrize("dialect", [Native(), JSONRPC()])
@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [("f", ((1,), {"a": 2}), "by position and by name"), ("", ((), {}), "not empty"), ("f", ((object(),), {}), "can't be sent")],
)
def test_unwritable(dialect, name, arguments, match):
    """A call that can't be sent raises MisuseError, which says why."""
    with pytest.raises(MisuseError, match=match):
        dialect.write(name, arguments)


def test_jsonrpc_error():
    """An error object becomes a RemoteError with its code, message, data and ref."""
    body = b'{"jsonrpc":"2.0","error":{"code":-32603,"message":"failed","data":{"ref":"abc"}},"id":1}'
    with pytest.raises(RemoteError) as error:
        JSONRPC().read("f", response(body), 1)
    found = error.value
    assert (found.code, found.detail, found.ref, found.data, found.method) == (-32603, "failed", "abc", {"ref": "abc"}, "f")


@pytest.mark.parametrize("body", [b"[]", b"1", b'{"result":1}', b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","error":{}}', b""])
def test_no_response_object(body):
    """An answer that is not a response object raises WireError."""
    with pytest.raises(WireError):
        JSONRPC().read("f", response(body), 1)


@pytest.mark.parametrize("answer_id", ["2", "null", '"1"', "true", "[1]", "1.5", None])
@pytest.mark.parametrize("result", ["5", "null"])
def test_a_result_for_another_call(answer_id, result):
    """A result with another id, with a null id or without one is not accepted as the result of the call."""
    with pytest.raises(WireError, match=r"expected a JSON-RPC 2\.0 response object with the id 1"):
        JSONRPC().read("f", response(response_object(answer_id, f'"result":{result}')), 1)


@pytest.mark.parametrize("error", ["false", "0", '"no"', "[]", "{}", '{"message":"x"}', '{"code":true,"message":"x"}'])
def test_a_result_beside_what_is_no_error(error):
    """A result beside an `error` that is not an error object is refused."""
    with pytest.raises(WireError, match=r"expected a JSON-RPC 2\.0 response object"):
        JSONRPC().read("f", response(response_object("1", f'"result":5,"error":{error}')), 1)


@pytest.mark.parametrize("answer_id", ["1", "null", None])
@pytest.mark.parametrize("result", ["", '"result":null,', '"result":5,'])
def test_an_error_beside_a_result(answer_id, result):
    """An error object counts, whatever result is beside it; its id is missing if the server could not read the id of the call."""
    with pytest.raises(RemoteError, match="failed") as raised:
        JSONRPC().read("f", response(response_object(answer_id, f'{result}"error":{{"code":7,"message":"failed"}}')), 1)
    assert raised.value.code == 7


@pytest.mark.parametrize("status", [200, 404, 500, 503])
@pytest.mark.parametrize("answer_id", ["2", '"1"', "true", "[1]"])
def test_an_error_of_another_call(status, answer_id):
    """An error with the id of another call is refused, whatever the status."""
    with pytest.raises(WireError, match="with the id 1"):
        JSONRPC().read("f", response(response_object(answer_id, '"error":{"code":7,"message":"failed"}'), status), 1)


def test_harmless_oddities():
    """Two oddities of other servers are accepted: a null error beside a result, and an integer id written with a fraction."""
    for body in (response_object("1", '"result":5,"error":null'), response_object("1.0", '"result":5')):
        assert JSONRPC().read("f", response(body), 1) == 5


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_error_object_behind_an_error_status(status):
    """An error object is also read from an answer with an error status; a result there is not."""
    with pytest.raises(RemoteError) as raised:
        JSONRPC().read("f", response(response_object("1", '"error":{"code":7,"message":"failed"}'), status), 1)
    assert (raised.value.code, raised.value.detail, raised.value.status) == (7, "failed", status)
    with pytest.raises(RemoteError):
        JSONRPC().read("f", response(response_object("1", '"result":5'), status), 1)


@pytest.mark.parametrize("body", [b'{"g":1}', b'{"f":1,"g":2}', b'[{"f":1}]', b'{"F":1}', b'{"f ":1}'])
def test_a_native_answer_of_another_call(body):
    """A native answer with another name, or with more than one, is refused."""
    with pytest.raises(WireError, match="expected HTTP 200 with"):
        Native().read("f", response(body))


@pytest.mark.parametrize("ids", [(1, 2, 2), (1, 2, 9), (1, 2, None), (1, True), (1, "2"), (2, 1, 1.0)])
def test_a_batch_with_odd_ids(ids):
    """The answer to a batch is refused if it has an id twice, an id that was not sent, or a result without an id."""
    body = json.dumps([{"jsonrpc": "2.0", "result": 5, "id": answer_id} for answer_id in ids]).encode()
    with pytest.raises(WireError, match="exactly one answer to each call, by its id"):
        JSONRPC().read_batch(response(body), {1, 2})


def test_what_a_server_says_is_safe_to_print():
    """The text of an error is printable and cut; its attributes have everything as received."""
    words = "\x1b[2J\u202e\r\n\x9b" + "x" * 100_000
    body = json.dumps({"jsonrpc": "2.0", "error": {"code": 7, "message": words, "data": {"ref": words}}, "id": 1}).encode()
    for reply in (response(body), response(json.dumps({"detail": words, "method": words, "ref": words}).encode(), 500)):
        with pytest.raises(RemoteError) as raised:
            JSONRPC().read("f", reply, 1)
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 10_000
        assert raised.value.detail == words
        assert raised.value.ref == words
    with pytest.raises(WireError) as odd:
        JSONRPC().read("f", response(json.dumps({"jsonrpc": "2.0", words: 1}).encode()), 1)
    assert str(odd.value).isprintable()


def test_notification_answers():
    """An empty answer accepts a notification; an error raises RemoteError."""
    JSONRPC().read_nothing("f", response(b"", 204))
    JSONRPC().read_nothing("f", response(b"", 200))
    with pytest.raises(RemoteError):
        JSONRPC().read_nothing("f", response(b"", 503))
    with pytest.raises(RemoteError):
        JSONRPC().read_nothing("f", response(b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"},"id":null}'))


@pytest.mark.parametrize("dialect", ["native", "jsonrpc"])
def test_typed_results(serve, dialect):
    """A result is converted to the caller's type; if that fails, the error says what the server sent."""
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
    """An unknown dialect raises MisuseError."""
    with pytest.raises(MisuseError, match="native"):
        Client("http://localhost:1", dialect="soap")

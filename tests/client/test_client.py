"""The client's methods and their descriptions, against the project's own server and a scripted one."""

import copy
import inspect
import json
import pickle
import pydoc

import pytest
from scripted_server import TIMEOUT, answer, dead_url

from gjrpc import Application, CallError, Client, MisuseError, Registry, RemoteError, WireError

pytestmark = pytest.mark.usefixtures("without_proxies")


@pytest.fixture
def real(serve):
    """A client of the project's own server."""
    registry = Registry()

    @registry.method
    def add(a: int, b: int = 10) -> int:
        """Add two numbers."""
        return a + b

    @registry.method
    def fail(how):
        if how == "own":
            raise CallError("no such host", status=404, data={"host": "h"})
        raise KeyError("secret")

    @registry.method(name="odd-name")
    def odd(*args, **named):
        return [args, named]

    class Stats:
        def cpu(self):
            return 0.5

    registry.register_instance(Stats())
    registry.include(_stats(), prefix="stats.")
    with Client(serve(Application(registry)).url, timeout=TIMEOUT) as made:
        yield made


def _stats():
    registry = Registry()

    @registry.method
    def disk(name):
        """Tell how full a disk is."""
        return name

    return registry


def sent(server):
    """Return the decoded bodies of the requests so far."""
    return [json.loads(body) for _, _, body in server.requests]


# Against the project's own server.


def test_calls_give_results(real):
    """Calls with positional, named and default arguments, and of dotted and odd names, return decoded results."""
    assert real.add(1, 2) == real.add(a=1, b=2) == real.call("add", 1, 2) == 3
    assert real.add(2**70) == 2**70 + 10
    assert real.stats.disk("sda") == "sda"
    assert real.cpu() == 0.5
    assert real.call("odd-name", 1, [2]) == [[1, [2]], {}]
    assert real.call("odd-name", name=1, self=2) == [[], {"name": 1, "self": 2}]


def test_errors_carry_what_the_server_says(real):
    """A RemoteError has the status, detail, method, data and reference of the server's problem."""
    with pytest.raises(RemoteError) as own:
        real.fail("own")
    assert (own.value.status, own.value.detail, own.value.method) == (404, "no such host", "fail")
    assert own.value.data == {"host": "h"}
    assert own.value.ref is None
    with pytest.raises(RemoteError) as unknown:
        real.ad(1)
    assert unknown.value.status == 404
    assert "add" in unknown.value.detail
    with pytest.raises(RemoteError) as unfit:
        real.add("x")
    assert unfit.value.status == 400
    with pytest.raises(RemoteError) as broken:
        real.fail("badly")
    assert broken.value.status == 500
    assert broken.value.ref
    assert broken.value.ref in str(broken.value)
    assert "secret" not in str(broken.value)


def test_the_server_describes_its_methods(real):
    """`dir`, `inspect` and `help` show the names, signatures and help of the project's own server."""
    assert {"add", "fail", "stats", "list_methods", "call", "close"} <= set(dir(real))
    assert "odd-name" not in dir(real)
    assert "disk" in dir(real.stats)
    assert list(inspect.signature(real.add).parameters) == ["a", "b"]
    assert str(inspect.signature(real.call)) == "(name: str, /, *args: Any, result: Any = typing.Any, **kwargs: Any) -> Any"
    assert real.add.__doc__ == "Add two numbers."
    assert "Tell how full a disk is." in pydoc.render_doc(real.stats.disk, renderer=pydoc.plaintext)


# How calls are written, and methods described.


def test_arguments_are_never_mistaken(client, server):
    """No arguments are sent as an empty array, positional ones as an array, named ones as an object; a list is one argument."""
    client.args()
    client.args(1, None)
    client.args(a=1)
    assert client.echo([1, 2]) == [1, 2]
    assert client.echo("") == ""
    assert sent(server) == [{"args": []}, {"args": [1, None]}, {"args": {"a": 1}}, {"echo": [[1, 2]]}, {"echo": [""]}]
    path, headers, _ = server.requests[0]
    assert path == "/"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == client._transport.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda client: client.add(1, b=2), "by position and by name"),
        (lambda client: client.echo(object()), "object"),
        (lambda client: client.echo(float("nan")), "nan"),
        (lambda client: client.echo("\ud800"), "surrogate"),
        (lambda client: client.call(""), "not empty"),
        (lambda client: client.call(None), "not empty"),
    ],
)
def test_misuse_sends_nothing(client, server, call, text):
    """Arguments and names that can't be sent raise MisuseError, and nothing is sent."""
    with pytest.raises(MisuseError, match=text):
        call(client)
    assert server.connections == 0


def test_attributes_send_nothing(client, server):
    """Reading attributes sends nothing, not even those that tools look for; a name with an underscore is never a method."""
    assert repr(client.stats.net) == f"<RemoteMethod stats.net of {server.url}>"
    assert client.stats.net.__name__ == "stats.net"
    for probe in ("_repr_html_", "__wrapped__", "_ipython_canary_method_should_not_exist_", "__array__"):
        assert not hasattr(client, probe)
        assert not hasattr(client.stats, probe)
    copy.copy(client.add)
    with pytest.raises(TypeError):
        pickle.dumps(client)
    assert server.connections == 0


def test_introspection_is_lazy_and_asked_once(client, server):
    """The first `dir` asks for the names, the first `help` for signature and text; both ask only once."""
    assert {"add", "ping", "stats", "class"} <= set(dir(client))
    assert "odd-name" not in dir(client)
    assert {"cpu", "net"} <= set(dir(client.stats))
    assert "_hidden" not in dir(client.stats)
    assert "in" in dir(client.stats.net)
    assert sent(server) == [{"list_methods": []}]
    assert str(inspect.signature(client.add)) == "(a, *rest, c, **more)"
    assert client.add.__doc__ == "What add does.\n\nAt length."
    assert repr(client.add) == f"<RemoteMethod add(a, *rest, c, **more) of {server.url}>"
    text = pydoc.render_doc(client.add, renderer=pydoc.plaintext)
    assert "add(a, *rest, c, **more)" in text
    assert "At length." in text
    assert sent(server)[1:] == [{"method_signature": ["add"]}, {"method_help": ["add"]}]
    assert str(inspect.signature(client.ping)) == "(*args: Any, **kwargs: Any) -> Any"


def test_introspection_survives_a_missing_server():
    """Without a server, `dir` lists the client's own names, the help says why it is missing, and the signature is open."""
    with Client(dead_url(), retries=0) as client:
        assert {"call", "close"} <= set(dir(client))
        assert "can't be read" in client.add.__doc__
        assert str(inspect.signature(client.add)) == "(*args: Any, **kwargs: Any) -> Any"


@pytest.mark.parametrize("names", [None, 5, "text", [1, 2], ["***a"], ["a", "a"]])
def test_introspection_survives_nonsense(client, server, names):
    """Whatever a server says about its methods, nothing breaks."""
    body = json.dumps(names)
    server.script = [answer(200, f'{{"list_methods":{body}}}'.encode()), answer(200, f'{{"method_signature":{body}}}'.encode())]
    assert "call" in dir(client)
    assert str(inspect.signature(client.ping)) == "(*args: Any, **kwargs: Any) -> Any"
    server.script = [answer(200, f'{{"method_signature":{{"echo":{body}}}}}'.encode())]
    assert str(inspect.signature(client.echo)) == "(*args: Any, **kwargs: Any) -> Any"


def test_deep_and_large_results_are_read(client, server):
    """A result may nest deeper than a server accepts in a request, and may have any size."""
    body = b'{"ping":' + b"[" * 300 + b"]" * 300 + b"}"
    server.script = [answer(200, body), answer(200, b'{"ping":' + b"[" * 100_000 + b"]" * 100_000 + b"}")]
    assert json.dumps({"ping": client.ping()}, separators=(",", ":")).encode() == body
    with pytest.raises(WireError, match="nested"):
        client.ping()
    assert client.echo("x" * 1_000_000) == "x" * 1_000_000


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X": "…"}},
        {"headers": {"Ä": "x"}},
        {"headers": {"X": 1}},
        {"headers": "X"},
        {"idempotent": "ping"},
        {"idempotent": (1,)},
        {"idempotent": 5},
        {"timeout": 0},
    ],
    ids=str,
)
def test_bad_options(options):
    """An option that can't be used raises MisuseError at once, which names it."""
    with pytest.raises(MisuseError, match=next(iter(options))):
        Client("http://127.0.0.1:9", **options)

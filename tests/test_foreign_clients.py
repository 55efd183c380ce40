"""Real foreign JSON-RPC 2.0 clients work unchanged with the real server."""

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import jsonrpcclient
import jsonrpclib
import pjrpc.client
import pjrpc.client.backend.requests
import pytest
import requests
import tinyrpc
import tinyrpc.protocols.jsonrpc
import tinyrpc.transports.http

from gjrpc.app.application import Application
from gjrpc.calls.registry import Registry
from gjrpc.errors import CallError

JAYSON = "jayson@4.3.0"
"""The JavaScript client: the last version that also runs on the Node of Debian 12."""


class Refused(Exception):
    """The error that a client reported."""

    def __init__(self, code, message, data=None):
        super().__init__(code, message, data)
        self.code, self.message, self.data = code, message, data


class Entry(NamedTuple):
    """One entry of a batch."""

    method: str
    params: Any
    notify: bool = False


def spread(params):
    """Return params as the arguments of a Python call."""
    return ([], params) if isinstance(params, dict) else (params, {})


class Pelix:
    """jsonrpclib-pelix: a proxy in the style of the standard library's, on http.client."""

    def __init__(self, url):
        self._proxy = jsonrpclib.ServerProxy(url)

    def call(self, method, params):
        args, kwargs = spread(params)
        return self._outcome(lambda: getattr(self._proxy, method)(*args, **kwargs))

    def notify(self, method, params):
        args, kwargs = spread(params)
        return self._unanswered(lambda: getattr(self._proxy._notify, method)(*args, **kwargs))

    def batch(self, entries):
        batch = jsonrpclib.MultiCall(self._proxy)
        for method, params, notify in entries:
            args, kwargs = spread(params)
            getattr(batch._notify if notify else batch, method)(*args, **kwargs)
        if all(entry.notify for entry in entries):
            return self._unanswered(batch) or []
        results = batch()
        return [self._outcome(lambda at=at: results[at]) for at in range(len(results))]

    @staticmethod
    def _outcome(get):
        try:
            return get()
        except jsonrpclib.ProtocolError as error:
            return Refused(*error.args[0])

    def _unanswered(self, send):
        """Send notifications, which have no answer.

        This client treats every status except 200 as a transport error, also the 204 of a notification that has run, and leaves
        the response unread on its connection; so its users catch the error and close the connection.
        """
        with pytest.raises(jsonrpclib.jsonrpc.TransportError) as caught:
            send()
        assert caught.value.args[1] == 204
        self._proxy("close")()


class JsonRpcClient:
    """jsonrpcclient: writes requests and reads responses; the library requests sends them."""

    def __init__(self, url):
        self._url = url

    def call(self, method, params):
        return self._outcome(jsonrpcclient.parse(self._post(jsonrpcclient.request(method, self._params(params))).json()))

    def notify(self, method, params):
        response = self._post(jsonrpcclient.notification(method, self._params(params)))
        return response.content or None

    def batch(self, entries):
        message = [
            (jsonrpcclient.notification if notify else jsonrpcclient.request)(method, self._params(params))
            for method, params, notify in entries
        ]
        response = self._post(message)
        return [self._outcome(one) for one in jsonrpcclient.parse(response.json())] if response.content else []

    def _post(self, message):
        response = requests.post(self._url, json=message, timeout=60)
        response.raise_for_status()
        return response

    @staticmethod
    def _params(params):
        return params if isinstance(params, dict) else tuple(params)

    @staticmethod
    def _outcome(parsed):
        return parsed.result if isinstance(parsed, jsonrpcclient.Ok) else Refused(parsed.code, parsed.message, parsed.data)


class Pjrpc:
    """pjrpc's client on requests: checks each response against the specification."""

    def __init__(self, url):
        self._client = pjrpc.client.backend.requests.Client(url)

    def call(self, method, params):
        args, kwargs = spread(params)
        return self._outcome(lambda: self._client.call(method, *args, **kwargs))

    def notify(self, method, params):
        args, kwargs = spread(params)
        return self._client.notify(method, *args, **kwargs)

    def batch(self, entries):
        with self._client.batch() as batch:
            for method, params, notify in entries:
                args, kwargs = spread(params)
                (batch.notify if notify else batch.call)(method, *args, **kwargs)
        return [self._outcome(response.unwrap_result) for response in batch.get_response() or []]

    @staticmethod
    def _outcome(get):
        try:
            return get()
        except pjrpc.client.exceptions.JsonRpcError as error:
            return Refused(error.code, error.message, error.data or None)


class Tiny:
    """tinyrpc: refuses a response with any extra member."""

    def __init__(self, url):
        transport = tinyrpc.transports.http.HttpPostClientTransport(url, timeout=60)
        self._client = tinyrpc.client.RPCClient(tinyrpc.protocols.jsonrpc.JSONRPCProtocol(), transport)

    def call(self, method, params):
        args, kwargs = spread(params)
        try:
            return self._client.call(method, args, kwargs)
        except tinyrpc.protocols.jsonrpc.JSONRPCError as error:
            return Refused(error._jsonrpc_error_code, error.message, getattr(error, "data", None))

    def notify(self, method, params):
        return self._client.call(method, *spread(params), one_way=True)

    def batch(self, entries):
        protocol = self._client.protocol
        batch = protocol.create_batch_request([protocol.create_request(e.method, *spread(e.params), e.notify) for e in entries])
        # As its batch_call does, except that batch_call always expects an answer.
        responses = self._client._send_and_handle_reply(batch, one_way=all(entry.notify for entry in entries))
        return [self._outcome(response) for response in responses or []]

    @staticmethod
    def _outcome(response):
        if hasattr(response, "error"):
            return Refused(response._jsonrpc_error_code, response.error, getattr(response, "data", None))
        return response.result


SCRIPT = """
const jayson = require('jayson');
const {url, entries, batch} = JSON.parse(process.argv[2]);
const client = jayson.client.http(url);
const show = (error, answer) => {
    if (error) { console.error(error); process.exit(1); }
    console.log(JSON.stringify(answer === undefined ? null : answer));
};
const args = (entry) => entry.notify ? [entry.method, entry.params, null] : [entry.method, entry.params];
if (batch) client.request(entries.map((entry) => client.request(...args(entry))), show);
else client.request(...args(entries[0]), show);
"""


class Jayson:
    """jayson, from npm: JavaScript, on Node's own http."""

    def __init__(self, url, folder):
        self._url = url
        self._folder = folder

    def call(self, method, params):
        return self._outcome(self._run([Entry(method, params)]))

    def notify(self, method, params):
        return self._run([Entry(method, params, notify=True)])

    def batch(self, entries):
        return [self._outcome(answer) for answer in self._run(entries, batch=True) or []]

    def _run(self, entries, batch=False):
        message = json.dumps({"url": self._url, "entries": [entry._asdict() for entry in entries], "batch": batch})
        command = ["node", "-e", SCRIPT, "script", message]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @staticmethod
    def _outcome(answer):
        if "error" in answer:
            return Refused(**answer["error"])
        return answer["result"]


@pytest.fixture(scope="session")
def jayson(npm) -> Path:
    """The folder in which the JavaScript client is installed."""
    return npm(JAYSON)


def full(disk):
    """Raise an error that is meant for the client."""
    raise CallError("the disk is full", code=17, data={"disk": disk, "left": 0})


@pytest.fixture
def notes():
    """The arguments with which the method `note` was called."""
    return []


@pytest.fixture
def url(serve, notes):
    """The URL of a server with the methods that the clients call."""
    registry = Registry()
    registry.register(lambda minuend, subtrahend: minuend - subtrahend, "subtract")
    registry.register(lambda: "pong", "ping")
    registry.register(lambda x: x, "echo")
    registry.register(lambda **values: values, "named")
    registry.register(lambda: 1 / 0, "fails")
    registry.register(lambda *values, **named: notes.append(named or list(values)), "note")
    registry.register(full)
    return serve(Application(registry)).url


@pytest.fixture(params=[Pelix, JsonRpcClient, Pjrpc, Tiny, Jayson])
def client(request, url):
    """Each client in turn."""
    if request.param is Jayson:
        return Jayson(url, request.getfixturevalue("jayson"))
    return request.param(url)


VALUES = [0, -1, 2**53 - 1, 1.5, "", "größe 名前 😀", '\n"\\\x7f', True, False, None, [], [[1], None], {}, {"a": {"b": [1]}}]


def test_positional(client):
    """A call with positional arguments, or without any, returns its result."""
    assert client.call("subtract", [42, 23]) == 19
    assert client.call("ping", []) == "pong"


def test_named(client):
    """A call with named arguments, in any order and alphabet, returns its result."""
    assert client.call("subtract", {"subtrahend": 23, "minuend": 42}) == 19
    assert client.call("named", {"größe": 1, "b": None}) == {"größe": 1, "b": None}


def test_values(client):
    """Values of every kind arrive and return unchanged."""
    assert client.call("echo", [VALUES]) == VALUES


def test_a_notification(client, notes):
    """A notification runs and returns nothing, also if it fails or its method is unknown."""
    assert client.notify("note", [1, "a"]) is None
    assert client.notify("note", {"b": 2}) is None
    assert client.notify("fails", []) is None
    assert client.notify("nope", []) is None
    assert notes == [[1, "a"], {"b": 2}]


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("nope", [], -32601, "no method 'nope'"),
        ("subtract", [1], -32602, "missing argument 'subtrahend'"),
        ("subtract", {"minuend": 1, "other": 2}, -32602, "unknown argument 'other'"),
        ("fails", [], -32603, "the method failed"),
        ("full", ["sda"], 17, "the disk is full"),
    ],
    ids=["unknown", "too few", "unknown argument", "failed", "own"],
)
def test_an_error(client, method, params, code, words):
    """An error arrives as the client's own exception, with code, message, and the method's data if there are any."""
    refused = client.call(method, params)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert words in refused.message
    if code == 17:
        assert refused.data == {"disk": "sda", "left": 0}


def test_a_batch(client, notes):
    """The calls of a batch get their results or errors in order, and its notifications run."""
    entries = [
        Entry("subtract", [42, 23]),
        Entry("note", [1], notify=True),
        Entry("nope", []),
        Entry("subtract", {"subtrahend": 1, "minuend": 3}),
        Entry("full", ["sdb"]),
        Entry("nope", [], notify=True),
        Entry("ping", []),
    ]
    first, unknown, second, own, third = client.batch(entries)
    assert (first, second, third) == (19, 2, "pong")
    assert (unknown.code, own.code, own.data) == (-32601, 17, {"disk": "sdb", "left": 0})
    assert notes == [[1]]


def test_a_batch_of_notifications(client, notes):
    """A batch of only notifications runs and returns nothing."""
    assert client.batch([Entry("note", [1], notify=True), Entry("note", {"a": 2}, notify=True)]) == []
    assert sorted(map(str, notes)) == ["[1]", "{'a': 2}"]

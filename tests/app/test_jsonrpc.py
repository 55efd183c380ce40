"""The JSON-RPC 2.0 dialect, through `Application.respond`: CONVENTION section 4, and the specification with its examples."""

import inspect
import json
import re
import signal
import threading
import time

import gevent
import gevent.event
import msgspec
import pytest
from conftest import ROOT, assert_response_object, on_a_hub

from gjrpc import errors
from gjrpc.app.application import Application
from gjrpc.app.jsonrpc import JSONRPCDialect, write_error
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import Plain
from gjrpc.errors import CallError, InvalidRequest, TooLarge
from gjrpc.http.messages import JSON, Head, Request
from gjrpc.http.problems import STATUS
from gjrpc.limits import MAX_BATCH
from gjrpc.server import gevent_runtime
from gjrpc.server.gevent_runtime import Green

SECRET = "the database's password is swordfish"
README = ROOT / "README.md"


class Full(CallError):
    """An application's own error."""

    code = 17


def subtract(minuend, subtrahend):
    """The specification's own method."""
    return minuend - subtrahend


def typed(n: int) -> int:
    """A method with an annotation."""
    return n


def fails(error=None):
    """A method that raises."""
    raise ValueError(SECRET) if error is None else TypeError(SECRET)


def refuses(data=None):
    """A method that raises an error which is meant for the client."""
    raise Full("the disk is full", data=data, status=507)


@pytest.fixture
def notes():
    """What the method `note` was called with."""
    return []


@pytest.fixture
def registry(notes):
    """The methods that the specification's examples call, and some more."""
    registry = Registry()
    for function in (subtract, typed, fails, refuses):
        registry.register(function)
    registry.register(lambda *numbers: sum(numbers), "sum")
    registry.register(lambda: ["hello", 5], "get_data")
    registry.register(lambda *_: None, "update")
    registry.register(lambda *_: None, "notify_hello")
    registry.register(lambda *_: None, "notify_sum")
    registry.register(lambda x=None: x, "echo")
    registry.register(lambda size: "x" * size, "text")
    registry.register(lambda what: {"nan": float("nan"), "object": object(), "surrogate": "\ud800"}[what], "unwritable")
    registry.register(lambda *values, **named: notes.append(values or named or None), "note")
    return registry


@pytest.fixture
def application(registry):
    """An application with all defaults."""
    return Application(registry)


def post(application, body):
    """The response to a `POST /`."""
    return application.respond(Request(Head("POST", "/"), body.encode() if isinstance(body, str) else body))


def ask(application, message):
    """The decoded response to a message, which is JSON text or a value; None if there is no content."""
    response = post(application, message if isinstance(message, (str, bytes)) else json.dumps(message))
    if response.status == 204:
        assert (response.body, response.headers) == (b"", ())
        return None
    assert (response.status, response.headers) == (200, JSON)
    assert b"\n" not in response.body
    answer = json.loads(response.body)
    for one in answer if type(answer) is list else [answer]:
        assert_response_object(one)
    assert answer != []
    return answer


def call(method, params=None, **members):
    """A request object; without an id it is a notification."""
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params}), **members}


def result(value, request_id):
    """A response object with a result."""
    return {"jsonrpc": "2.0", "result": value, "id": request_id}


def kind(answer):
    """A response with its errors reduced to code and id, which the specification defines."""
    if type(answer) is list:
        return [kind(one) for one in answer]
    return (answer["error"]["code"], answer["id"]) if answer and "error" in answer else answer


# The examples of the specification, section 7, as they stand there; of an error its code and id are compared, since the messages
# of the specification's table are the codes' meanings, and a server's own may say more.

EXAMPLES = {
    "positional": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        result(19, 1),
    ),
    "positional, the other way round": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        result(-19, 2),
    ),
    "named": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        result(19, 3),
    ),
    "named, the other way round": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        result(19, 4),
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    "a notification of a method that is not there": ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    "a method that is not there": ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', (-32601, "1")),
    "invalid JSON": ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', (-32700, None)),
    "an invalid request": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', (-32600, None)),
    "a batch of invalid JSON": (
        '[\n  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},\n  {"jsonrpc": "2.0", "method"\n]',
        (-32700, None),
    ),
    "an empty array": ("[]", (-32600, None)),
    "an invalid batch that is not empty": ("[1]", [(-32600, None)]),
    "an invalid batch": ("[1,2,3]", [(-32600, None)] * 3),
    "a batch": (
        """[
            {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
            {"foo": "boo"},
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        [result(7, "1"), result(19, "2"), (-32600, None), (-32601, "5"), result(["hello", 5], "9")],
    ),
    "a batch of notifications": (
        """[
            {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
}


@pytest.mark.parametrize(("message", "answer"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_of_the_specification(application, message, answer):
    """Each example of the specification's section 7 has the response given there."""
    assert kind(ask(application, message)) == answer


# CONVENTION, section 4, row by row.

ROWS = {
    "[]": ([], (-32600, None)),
    "[1]": ([1], [(-32600, None)]),
    "[1,2,3]": ([1, 2, 3], [(-32600, None)] * 3),
    "every kind of junk": ([None, True, "a", 1.5, [], [[]], {}], [(-32600, None)] * 7),
    "junk among valid calls": (
        [1, call("echo", [1], id=1), None, call("echo", [2], id=2), {}, [call("echo", [3], id=3)]],
        [(-32600, None), result(1, 1), (-32600, None), result(2, 2), (-32600, None), (-32600, None)],
    ),
    "a notification": (call("echo", [1]), None),
    "a notification without params": (call("echo"), None),
    "a failing notification": (call("fails"), None),
    "a refused notification": (call("refuses"), None),
    "a notification whose arguments do not fit": (call("subtract", [1]), None),
    "a notification of an unknown method": (call("nope"), None),
    "a notification whose result is not JSON": (call("unwritable", ["nan"]), None),
    "notifications only": ([call("echo"), call("fails"), call("nope"), call("subtract")], None),
    "a notification and a call": ([call("echo"), call("echo", id=1)], [result(None, 1)]),
    "a call and a notification": ([call("echo", id=1), call("fails")], [result(None, 1)]),
    "a null id": (call("echo", [1], id=None), result(1, None)),
    "a null id, unknown method": (call("nope", id=None), (-32601, None)),
    "a null id in a batch": ([call("echo", [1], id=None)], [result(1, None)]),
    "true as id": (call("echo", id=True), (-32600, None)),
    "false as id": (call("echo", id=False), (-32600, None)),
    "an object as id": (call("echo", id={}), (-32600, None)),
    "an array as id": (call("echo", id=[]), (-32600, None)),
    "bad ids in a batch": ([call("echo", id=i) for i in (True, {}, [1], "a")], [(-32600, None)] * 3 + [result(None, "a")]),
    "jsonrpc is missing in a batch": ([{"method": "echo", "id": 5}], [(-32600, 5)]),
    "jsonrpc is missing in a batch, and the id": ([{"method": "echo"}], [(-32600, None)]),
    "jsonrpc is missing in a batch, and the id is bad": ([{"method": "echo", "id": []}], [(-32600, None)]),
    "jsonrpc 1.0": (call("echo", id="a", jsonrpc="1.0"), (-32600, "a")),
    "jsonrpc 2": (call("echo", id=1, jsonrpc=2), (-32600, 1)),
    "jsonrpc 2.0 as a number": (call("echo", id=1, jsonrpc=2.0), (-32600, 1)),
    "jsonrpc null": (call("echo", id=1, jsonrpc=None), (-32600, 1)),
    "jsonrpc with a blank": (call("echo", id=1, jsonrpc="2.0 "), (-32600, 1)),
    "jsonrpc as an array": (call("echo", id=1, jsonrpc=["2.0"]), (-32600, 1)),
    "a bad version without an id": (call("echo", jsonrpc="1.0"), (-32600, None)),
    "method is missing": ({"jsonrpc": "2.0", "id": 1}, (-32600, 1)),
    "method is missing, without an id": ({"jsonrpc": "2.0"}, (-32600, None)),
    **{f"method is {text}": (call(json.loads(text), id=1), (-32600, 1)) for text in ("null", "1", "true", "[]", "{}")},
    **{f"params are {text}": (call("echo", json.loads(text), id=1), (-32600, 1)) for text in ("0", "1", '""', '"a"', "false")},
    "bad params without an id": (call("echo", 1), (-32600, None)),
    "params are null": ('{"jsonrpc":"2.0","method":"echo","params":null,"id":1}', result(None, 1)),
    "params are absent": (call("echo", id=1), result(None, 1)),
    "params are an empty array": (call("echo", [], id=1), result(None, 1)),
    "params are an empty object": (call("echo", {}, id=1), result(None, 1)),
    "params hold one null": (call("echo", [None], id=1), result(None, 1)),
    "an unknown method": (call("nope", id=1), (-32601, 1)),
    "an empty method": (call("", id=1), (-32601, 1)),
    "an underscore": (call("__init__", id=1), (-32601, 1)),
    "too few arguments": (call("subtract", [1], id=1), (-32602, 1)),
    "too many arguments": (call("subtract", [1, 2, 3], id=1), (-32602, 1)),
    "an unknown argument": (call("subtract", {"minuend": 1, "other": 2}, id=1), (-32602, 1)),
    "an argument of the wrong type": (call("typed", ["1"], id=1), (-32602, 1)),
    "an exception": (call("fails", id=1), (-32603, 1)),
    "a TypeError in a method": (call("fails", [1], id=1), (-32603, 1)),
    "a result that is NaN": (call("unwritable", ["nan"], id=1), (-32603, 1)),
    "a result of an unknown type": (call("unwritable", ["object"], id=1), (-32603, 1)),
    "a result with a lone surrogate": (call("unwritable", ["surrogate"], id=1), (-32603, 1)),
    "the library's own error": (call("refuses", id=1), (17, 1)),
    "duplicate ids": ([call("echo", [n], id=1) for n in range(3)], [result(n, 1) for n in range(3)]),
    "further members": (call("echo", [1], id=1, further=[], result=2), result(1, 1)),
    "a batch of one": ([call("echo", [1], id=1)], [result(1, 1)]),
    "malformed": ('{"jsonrpc":"2.0","method":"echo",}', (-32700, None)),
    "an array that is malformed": (" \r\n\t[1,", (-32700, None)),
    "NaN": ('{"jsonrpc":"2.0","method":"echo","params":[NaN],"id":1}', (-32700, None)),
    "Infinity": ("[Infinity]", (-32700, None)),
    "a number beyond a double": ('{"jsonrpc":"2.0","method":"echo","params":[1e400],"id":1}', (-32700, None)),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","method":"\xff","id":1}', (-32700, None)),
    "a lone surrogate": (r'{"jsonrpc":"2.0","method":"\ud800","id":1}', (-32700, None)),
    "trailing bytes": ("[1] 2", (-32700, None)),
    "nested too deep": ("[" * 101 + "]" * 101, (-32700, None)),
    "100,000 levels": ("[" * 100_000, (-32700, None)),
    "an integer of 4,301 digits": (f"[{'9' * 4301}]", (-32700, None)),
}


@pytest.mark.parametrize(("message", "answer"), ROWS.values(), ids=ROWS)
def test_a_row_of_the_convention(application, message, answer):
    """Each row of the convention's section 4 holds."""
    assert kind(ask(application, message)) == answer


@pytest.mark.parametrize("body", ["1", "null", '"jsonrpc"', "true", "{}", '{"echo":[],"x":1}', "", '{"x', '{"echo":"[jsonrpc]"'])
def test_what_is_neither_array_nor_marked_is_native(application, body):
    """A message that is no array and has no member jsonrpc is native, with its statuses and problems."""
    response = post(application, body)
    assert (response.status, response.headers) == (400, (("Content-Type", "application/problem+json"),))


@pytest.mark.parametrize("method", ["jsonrpc", "rpc.", "rpc.discover", "rpc.x.y"])
def test_the_specification_s_names_can_not_be_taken(registry, application, method):
    """No method can be named jsonrpc or begin with rpc., and calls of such names find only OpenRPC's own."""
    with pytest.raises(ValueError, match="reserved"):
        registry.register(subtract, method)
    answer = ask(application, call(method, id=1))
    if method == "rpc.discover":
        assert answer["result"]["methods"]
    else:
        assert kind(answer) == (-32601, 1)


# Ids.

IDS = [
    *('""', "0", "1.5", "-0.0", "-1", "null", '"0"', '"null"', "1e-7", "1e300", "0.1", "100.0", str(2**53 + 1), str(2**63)),
    *(str(2**70), str(-(2**70)), "9" * 4300, '"ä"', '"名前"', '"😀"', r'"\"\\\n\u0000\u007f"', r'"\ud83d\ude00"', '"%d%b{}"'),
]


@pytest.mark.parametrize("text", IDS, ids=lambda text: text[:20])
@pytest.mark.parametrize("method", ["echo", "nope"])
def test_an_id_is_echoed(application, text, method):
    """An id of any kind is echoed with all digits, with a result and with an error, alone and in a batch."""
    message = f'{{"jsonrpc":"2.0","method":"{method}","id":{text}}}'
    alone, (batched,) = ask(application, message), ask(application, f"[{message}]")
    for answer in (alone, batched):
        assert repr(answer["id"]) == repr(json.loads(text))  # tells 0 from -0.0, 0.0 and false


def test_an_id_is_text_where_it_was(application):
    """An id that is a number or a string in the usual spelling is echoed byte for byte."""
    for text in ("0", "-0.0", "1.5", str(2**70), '""', '"ä"'):
        assert post(application, f'{{"jsonrpc":"2.0","method":"echo","id":{text}}}').body.endswith(f',"id":{text}}}'.encode())


# Slots.


def test_each_slot_fails_alone(application, notes, caplog):
    """An entry that fails in any way changes nothing for the others: all run and are answered in order."""
    broken = {
        -32601: call("nope", id="nope"),
        -32602: call("subtract", [1], id="misfit"),
        -32603: call("fails", id="fails"),
        -32600: call("echo", 5, id="params"),
        17: call("refuses", id="refuses"),
    }
    unwritable = [call("unwritable", [what], id=what) for what in ("nan", "object", "surrogate")]
    entries = []
    for entry in [*broken.values(), *unwritable]:
        entries += [call("echo", [len(entries)], id=len(entries)), entry, call("note", [len(entries)])]
    expected = []
    for place, code in enumerate([*broken, -32603, -32603, -32603]):
        expected += [result(3 * place, 3 * place), (code, entries[3 * place + 1]["id"])]
    assert kind(ask(application, entries)) == expected
    assert notes == [(3 * place,) for place in range(8)]
    assert len(caplog.records) == 4


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (1, "expected a request object"),
        (call("echo", id=True), "the id must be a string, a number or null"),
        ({"method": "echo", "id": 1}, 'the member "jsonrpc" must be exactly "2.0"'),
        ({"jsonrpc": "2.0", "id": 1}, 'the member "method" must be a string'),
        (call("echo", 1, id=1), 'the member "params" must be an array or an object'),
        (call("nope", id=1), "no method 'nope'"),
        (call("subtract", [1], id=1), "missing argument 'subtrahend'"),
        (call("typed", ["1"], id=1), "argument 'n': expected `int`, got `str`"),
        (call("unwritable", ["nan"], id=1), "the method's result is not JSON: a float that is nan"),
        ([], "expected a request object"),
    ],
)
def test_an_error_says_what_is_wrong(application, entry, words):
    """An error's message says what is wrong."""
    (answer,) = ask(application, [entry])
    assert words in answer["error"]["message"]


def test_the_errors_of_a_whole_batch_say_what_is_wrong(application):
    """An empty batch and malformed JSON each have their own message."""
    assert ask(application, "[]")["error"]["message"] == "the batch is empty"
    assert ask(application, "[1,")["error"]["message"].startswith("malformed JSON: ")


def test_an_exception_is_told_by_its_reference(application, caplog):
    """A method's exception is in the log under the reference that the client gets, and only there."""
    first, second = ask(application, [call("fails", id=1), call("fails", [1], id=2)])
    refs = [answer["error"]["data"]["ref"] for answer in (first, second)]
    assert len(set(refs)) == 2
    assert all(answer["error"]["data"].keys() == {"ref"} for answer in (first, second))
    assert SECRET not in json.dumps([first, second])
    assert "Error" not in json.dumps([first, second])
    for ref, error in zip(refs, ("ValueError", "TypeError"), strict=True):
        assert re.search(f"ref {ref}: method fails: .*{error}: {SECRET}", caplog.text, re.DOTALL)


@pytest.mark.parametrize("data", [{"a": [1]}, [], "", 0, False], ids=json.dumps)
def test_the_library_s_own_error_is_told_whole(application, data):
    """An error that a method means for the client has its code, message and data; the HTTP status stays 200."""
    answer = ask(application, call("refuses", [data], id=1))
    assert answer["error"] == {"code": 17, "message": "the disk is full", "data": data}
    assert "data" not in ask(application, call("refuses", id=1))["error"]


@pytest.mark.parametrize("odd", [{"code": object()}, {"data": object()}, {"data": float("nan")}], ids=["code", "data", "NaN"])
def test_an_error_that_is_not_json_is_an_internal_error(application, registry, odd, caplog):
    """An error whose data JSON can't hold is an internal error of its entry, and is logged."""

    def raises():
        raise CallError("no", **odd)

    registry.register(raises)
    assert kind(ask(application, [call("raises", id=1), call("echo", id=2)])) == [(-32603, 1), result(None, 2)]
    assert ("the error can't be sent" if "code" in odd else "error data is not JSON") in caplog.text


def test_a_failing_notification_is_in_the_log(application, caplog):
    """A notification that fails is not answered, and its exception is in the log."""
    assert ask(application, call("fails")) is None
    assert SECRET in caplog.text


def test_notifications_are_run(application, notes):
    """Notifications run alone and in a batch, with either kind of arguments, in order."""
    ask(application, call("note", [1]))
    ask(application, [call("note", {"b": 2}), call("echo", id=1), call("note"), call("note", [4])])
    assert notes == [(1,), {"b": 2}, None, (4,)]


# Limits.


def test_the_limit_of_entries(registry, notes):
    """A batch with as many entries as the limit is answered; with one more, nothing runs, and one error names the limit."""
    application = Application(registry, max_batch=3)
    assert len(ask(application, [call("note", id=n) for n in range(3)])) == 3
    notes.clear()
    answer = ask(application, [call("note", id=n) for n in range(4)])
    assert kind(answer) == (-32600, None)
    assert answer["error"]["message"] == "the batch has 4 entries; the limit is 3"
    assert kind(ask(application, [call("note")] * 4)) == (-32600, None)
    assert notes == []


def test_the_limit_of_entries_has_a_default(application, notes):
    """The default limit is 1,000 entries."""
    assert MAX_BATCH == 1000
    assert len(ask(application, [call("note", id=1)] * 1000)) == 1000
    notes.clear()
    assert "1001 entries; the limit is 1000" in ask(application, [call("note", id=1)] * 1001)["error"]["message"]
    assert notes == []


def test_the_limit_of_bytes(registry, notes):
    """After the first response beyond the limit, calls get errors with their ids and do not run; notifications do."""
    application = Application(registry, max_answer=450)
    sizes = [10, 200, 1000, 50]
    rest = [call("note", id="late"), call("note"), {"jsonrpc": "2.0", "method": "note", "id": None}]
    answers = ask(application, [*(call("text", [size], id=str(size)) for size in sizes), *rest])
    assert [answer["id"] for answer in answers] == [*map(str, sizes), "late", None]
    assert [answer["result"] for answer in answers if "result" in answer] == ["x" * 10, "x" * 200]
    assert {kind(answer)[0] for answer in answers[2:]} == {TooLarge.code}
    assert answers[2]["error"]["message"] == "the responses to this batch have more than 450 bytes; this call ran"
    assert {answer["error"]["message"].rpartition("; ")[2] for answer in answers[3:]} == {
        "this call did not run: send it in another batch"
    }
    assert len(notes) == 1


def test_the_limit_of_bytes_has_a_default(registry):
    """By default the responses to a batch have at most 4 MiB, and no more are made."""
    ran = []

    def large() -> str:
        ran.append(1)
        return "x" * 1_000_000

    registry.register(large)
    response = Application(registry).respond(
        Request(Head("POST", "/"), json.dumps([call("large", id=n) for n in range(1000)]).encode())
    )
    assert len(response.body) < 4 * 1024 * 1024 + 1000 * 200
    assert len(ran) == 5


@pytest.mark.parametrize("runtime", [Plain(), Green()], ids=["one after the other", "concurrently"])
def test_the_limit_of_bytes_holds_for_every_slot(registry, runtime):
    """If nothing fits, each entry is still answered once, even one that is junk or has an unreadable id."""
    application = Application(registry, max_answer=1, runtime=runtime)
    answers = ask(application, [1, call("echo", id=True), call("echo", id="a"), call("echo"), call("nope", id=2)])
    assert kind(answers) == [(TooLarge.code, None), (TooLarge.code, None), (TooLarge.code, "a"), (TooLarge.code, 2)]


def test_a_single_answer_is_not_limited(registry):
    """The limit holds for batches: a single call may have a larger response."""
    assert ask(Application(registry, max_answer=1), call("text", [100], id=1)) == result("x" * 100, 1)


def test_a_batch_counts_as_its_entries(registry):
    """Observers see each entry of a batch, including notifications and failures; junk is no call."""
    told = []
    application = Application(registry, observers=[told.append])
    ask(application, [call("echo", id=1), call("note"), 5, call("fails", id=2), call("nope", id=3)])
    assert [(one.method, one.error and one.error.code) for one in told] == [
        ("echo", None),
        ("note", None),
        ("fails", -32603),
        ("nope", -32601),
    ]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, SystemExit, BaseException])
def test_an_entry_may_raise_anything(registry, kind):
    """Any exception of an entry is an internal error of that entry alone."""

    def interrupt():
        raise kind

    registry.register(interrupt)
    message = [call("interrupt", id=1), call("echo", id=2)]
    assert [answer["id"] for answer in ask(Application(registry, runtime=Plain()), message) if "error" in answer] == [1]


def test_an_interrupt_of_the_process_passes(registry):
    """A SIGINT during an entry ends what runs the batch, and is not a response."""
    registry.register(lambda: signal.raise_signal(signal.SIGINT), "interrupt")
    with pytest.raises(KeyboardInterrupt):
        ask(Application(registry, runtime=Plain()), [call("interrupt", id=1), call("echo", id=2)])


# At the same time, on gevent.


@pytest.fixture
def concurrent(registry):
    """The same methods on gevent."""
    return Application(registry, runtime=Green())


def test_entries_wait_at_the_same_time(concurrent, registry):
    """64 entries that each wait 0.1 s run in two rounds of 32, and the responses have the order of the entries."""
    running, most = 0, 0

    def nap(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        gevent.sleep(0.1 + (n % 3) / 100)
        running -= 1
        return n

    registry.register(nap)
    start = time.monotonic()
    answers = on_a_hub(lambda: ask(concurrent, [call("nap", [n], id=n) for n in range(64)]))
    took = time.monotonic() - start
    assert answers == [result(n, n) for n in range(64)]
    assert most == gevent_runtime.WIDTH == 32
    assert 0.2 <= took < 6  # one after the other it would be 7 s


def test_entries_that_do_not_wait_share_a_greenlet(concurrent, registry):
    """A batch whose entries do not wait runs in one greenlet, in order."""
    seen = []
    registry.register(lambda n: seen.append((n, gevent.getcurrent())), "see")
    on_a_hub(lambda: ask(concurrent, [call("see", [n], id=n) for n in range(100)]))
    assert [n for n, _ in seen] == list(range(100))
    assert len({greenlet for _, greenlet in seen}) == 1


@pytest.mark.parametrize("width", [1, 2, 3, 31, 32, 33, 100])
def test_no_entry_is_lost(concurrent, registry, notes, width):
    """Whichever entries wait, each runs once, and each response is in its place."""

    def maybe(n):
        notes.append(n)
        if n % width == 0:
            gevent.sleep(0)
        if n % 7 == 0:
            gevent.sleep(0.001)
        return n

    registry.register(maybe)
    entries = [call("maybe", [n]) if n % 5 == 0 else call("maybe", [n], id=n) for n in range(100)]
    assert on_a_hub(lambda: ask(concurrent, entries)) == [result(n, n) for n in range(100) if n % 5]
    assert sorted(notes) == list(range(100))


def test_entries_can_wait_for_each_other(concurrent, registry):
    """An entry may wait for a later one without a deadlock, and its response keeps its place."""
    event = gevent.event.Event()
    registry.register(lambda: event.wait(60), "wait")
    registry.register(event.set, "release")
    answers = on_a_hub(lambda: ask(concurrent, [call("wait", id=1), call("echo", ["x"], id=2), call("release", id=3)]))
    assert answers == [result(True, 1), result("x", 2), result(None, 3)]


def die():
    """A method that ends its own greenlet."""
    raise gevent.GreenletExit


def killed():
    """A method that is killed at once."""
    gevent.getcurrent().kill()


def killed_later():
    """A method that is killed by another greenlet while it waits."""
    gevent.spawn(gevent.getcurrent().kill)
    gevent.sleep(20)


def interrupted():
    """A method in which a foreign timeout fires."""
    gevent.Timeout(0.001).start()
    gevent.sleep(20)


def leave():
    """A method that wants to end the process."""
    raise SystemExit(3)


@pytest.mark.parametrize("waiting", [False, True], ids=["others do not wait", "others wait"])
@pytest.mark.parametrize(
    ("method", "blocking"),
    [*((method, False) for method in (die, killed, killed_later, interrupted, leave)), (die, True), (leave, True)],
    ids=["raises it", "killed", "killed later", "interrupted", "exit", "raises it in a thread", "exit in a thread"],
)
def test_an_entry_that_is_killed_fails_alone(concurrent, registry, method, waiting, blocking, caplog):
    """An entry whose greenlet is killed has an error with a reference, and all others are answered."""
    registry.register(method, "method", blocking=blocking)
    registry.register(lambda n: gevent.sleep(0.01 if waiting else 0) or n, "nap")
    entries = [call("nap", [n], id=n) if n % 4 else call("method", id=n) for n in range(40)]
    answers = on_a_hub(lambda: ask(concurrent, entries))
    assert [kind(answer) for answer in answers] == [result(n, n) if n % 4 else (-32603, n) for n in range(40)]
    refs = [answer["error"]["data"]["ref"] for answer in answers if "error" in answer]
    assert len(set(refs)) == 10
    assert all(f"ref {ref}: method method:" in caplog.text for ref in refs)


def test_a_killed_notification_loses_nothing(concurrent, registry):
    """A notification whose greenlet is killed has no response, and the others have theirs."""
    registry.register(die)
    answers = on_a_hub(lambda: ask(concurrent, [call("die"), call("echo", [1], id=1), call("die"), call("echo", [2], id=2)]))
    assert answers == [result(1, 1), result(2, 2)]


def test_a_killed_batch_stops(concurrent, registry, notes):
    """Killing the greenlet of a batch ends the entry that it runs, or all of them if it waits for the others."""
    waiting = gevent.event.Event()

    def hang(n):
        notes.append(n)
        if len(notes) == 2:
            waiting.set()
        gevent.sleep(20)

    registry.register(hang)

    def run():
        asker = gevent.spawn(ask, concurrent, [call("hang", [n], id=n) for n in range(2)])
        assert waiting.wait(60)
        asker.kill(block=False)
        gevent.sleep(0.01)
        assert not asker.dead
        asker.kill(timeout=60)
        assert isinstance(asker.value, gevent.GreenletExit)
        gevent.sleep(0.01)

    on_a_hub(run)


def test_a_batch_of_one_is_run_in_place(concurrent, registry):
    """A batch of one entry runs in the caller's greenlet, and is still a batch."""
    seen = []
    registry.register(lambda: seen.append(gevent.getcurrent()), "see")
    caller = []

    def run():
        caller.append(gevent.getcurrent())
        return ask(concurrent, [call("see", id=1)])

    assert on_a_hub(run) == [result(None, 1)]
    assert seen == caller


def test_blocking_methods_run_at_the_same_time(concurrent, registry):
    """Blocking entries run in threads at the same time, and the other entries do not wait for them."""
    barrier = threading.Barrier(4, timeout=60)
    order, threads = [], []

    def meet(n):
        barrier.wait()
        order.append("met")
        return n

    def note(n):
        order.append("noted")
        threads.append(threading.get_ident())
        return n

    def run():
        threads.append(threading.get_ident())
        gevent.spawn_later(0.05, barrier.wait)
        return ask(concurrent, [call("meet" if n < 3 else "noted", [n], id=n) for n in range(6)])

    registry.register(meet, blocking=True)
    registry.register(note, "noted")
    assert on_a_hub(run) == [result(n, n) for n in range(6)]
    assert order == ["noted"] * 3 + ["met"] * 3
    assert len(set(threads)) == 1


def test_a_blocking_entry_fails_alone(concurrent, registry, caplog):
    """An exception in a thread is the error of its entry, and notifications of blocking methods run."""
    notified = threading.Event()
    registry.register(fails, "fails_in_a_thread", blocking=True)
    registry.register(notified.set, "notify", blocking=True)
    entries = [call("fails_in_a_thread", id=1), call("notify"), call("echo", ["x"], id=2)]
    assert kind(on_a_hub(lambda: ask(concurrent, entries))) == [(-32603, 1), result("x", 2)]
    assert notified.is_set()
    assert SECRET in caplog.text


def test_a_deadline_is_an_entry_s_own(concurrent, registry):
    """An entry that exceeds its deadline has an error that says so; the others are answered."""
    registry.register(lambda seconds: gevent.sleep(seconds) or seconds, "nap", deadline=0.05)
    entries = [call("nap", [20], id=1), call("nap", [0], id=2), call("nap", [20]), call("echo", ["x"], id=3)]
    answers = on_a_hub(lambda: ask(concurrent, entries))
    assert kind(answers) == [(errors.DeadlineExceeded.code, 1), result(0, 2), result("x", 3)]
    assert "0.05 s" in answers[0]["error"]["message"]


def test_a_batch_within_a_batch(concurrent, registry):
    """A method may itself send a batch to the application."""
    inner = [call("nap", [n], id=n) for n in range(3)]
    registry.register(lambda n: gevent.sleep(0.001) or n, "nap")
    registry.register(lambda: ask(concurrent, inner), "outer")
    answers = on_a_hub(lambda: ask(concurrent, [call("outer", id=1), call("outer", id=2)]))
    assert [answer["result"] for answer in answers] == [[result(n, n) for n in range(3)]] * 2


# The dialect alone.


def test_a_dialect_runs_nothing_itself():
    """A dialect runs calls, and the entries of a batch, by the functions that it was given."""
    seen = []

    def run(one):
        seen.append((one.name, one.arguments, one.text))
        return b"[ 1 ]" if one.name == "a" else InvalidRequest("no")

    def each(function, items):
        seen.append(len(items))
        return [function(item) for item in items]

    dialect, request = JSONRPCDialect(run, each), Request(Head("POST", "/"))
    assert dialect.answer(call("a", {"x": 1}, id=1), request).body == b'{"jsonrpc":"2.0","result":[ 1 ],"id":1}'
    assert dialect.answer([call("a"), call("b", [2], id="x")], request).body == (
        b'[{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"},"id":"x"}]'
    )
    assert seen == [("a", {"x": 1}, False), 2, ("a", [], False), ("b", [2], False)]


@pytest.mark.parametrize("message", [{}, {"add": [1]}, "jsonrpc", 1, None])
def test_a_message_of_another_dialect_is_not_answered(message):
    """A message that is neither an array nor an object with a member `jsonrpc` is left to another dialect."""
    assert JSONRPCDialect(None, None).answer(message, Request(Head("POST", "/"))) is None


@pytest.mark.parametrize(("body", "answered"), [(b" [1,", True), (b'{"jsonrpc":', True), (b'{"add":', False), (b"", False)])
def test_a_malformed_message_is_answered_if_it_was_meant_for_json_rpc(body, answered):
    """A body that can't be decoded is answered if it begins as an array or names the member `jsonrpc`."""
    response = JSONRPCDialect(None, None).answer_malformed(Request(Head("POST", "/"), body), errors.ParseError("no"))
    assert (response is not None) == answered


def test_an_error_object_has_what_there_is():
    """An error is written with its code and message, its data if there are any, and the id that was read."""
    assert write_error(Full("no")) == b'{"jsonrpc":"2.0","error":{"code":17,"message":"no"},"id":null}'
    assert write_error(Full("no", data=[1]), b"5") == b'{"jsonrpc":"2.0","error":{"code":17,"message":"no","data":[1]},"id":5}'
    failed = errors.InternalError("no", ref="abc")
    assert msgspec.json.decode(write_error(failed))["error"] == {"code": -32603, "message": "no", "data": {"ref": "abc"}}


# The codes.

CODES = {
    kind.code: kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, CallError) and "code" in vars(kind)
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_in_the_docs(code):
    """Each code that the library uses is in the README's table, with the HTTP status of native calls."""
    status = CODES[code].status or STATUS[CODES[code]]
    assert re.search(rf"^\| {code} \| {status} \| .+ \|$", README.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_docs_have_no_other_code():
    """The README's table has no code that the library does not use."""
    listed = re.findall(r"^\| (-32\d+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(map(int, listed)) == sorted(CODES)

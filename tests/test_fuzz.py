"""Any JSON, bytes, target and verb get a well-formed answer.

Hypothesis fuzzes the bytes of HTTP itself in tests/http; here atheris fuzzes them again, guided by coverage.
"""

import json
import logging
import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import assert_response_object, on_a_hub, untraced
from http_messages import BAD, GOOD
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gjrpc.app.application import Application
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import Plain
from gjrpc.errors import CallError, ParseError, TooLarge
from gjrpc.http.messages import Head, Request
from gjrpc.server.gevent_runtime import Green
from gjrpc.values import codec

fuzz = settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,  # so that runs in CI are reproducible
    suppress_health_check=[HealthCheck.too_slow],  # on a busy machine the first examples are slow
)


@dataclass
class Point:
    """An argument that is an object."""

    x: int
    y: float = 0.5


def fails(*values: Any, **named: Any) -> None:
    """Raise an exception that is not for the client."""
    raise ValueError(values, named)


def refuses(data: Any = None) -> None:
    """Raise an error that is meant for the client."""
    raise CallError("no", code=17, data=data, status=507)


def move(to: Point, how: str = "slow", *, fast: bool = False) -> list[Any]:
    """Take arguments with several kinds of annotations."""
    return [to.x, to.y, how, fast]


def typed(n: int, names: list[str] | None = None) -> Any:
    """Take arguments with simple annotations."""
    return [n, names]


def a_registry():
    """Return a registry with every kind of signature."""
    registry = Registry()
    for function in (fails, refuses, move, typed):
        registry.register(function)
    registry.register(lambda: "pong", "ping")
    registry.register(lambda a, b=10: [a, b], "pair")
    registry.register(lambda x: x, "echo")
    registry.register(lambda a, /, *rest, key=None, **named: [a, rest, key, named], "all")
    registry.register(lambda *values: object(), "unwritable")
    return registry


REGISTRY = a_registry()
APPLICATION = Application(REGISTRY, max_batch=20, max_answer=5000, runtime=Plain())
METHODS = [name for name in REGISTRY.list_methods() if not name.startswith("method_")]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-100, 100)
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(METHODS)
keywords = st.sampled_from(["a", "b", "x", "n", "names", "to", "how", "fast", "key", "data"])
arguments = (
    st.lists(values, max_size=3)
    | st.dictionaries(keywords, values, max_size=3)
    | st.sampled_from(
        [[], {}, [1], [1, 2], {"n": 1}, {"n": 1, "names": ["a"]}, [{"x": 1}], {"to": {"x": 1, "y": 2.5}, "fast": True}]
    )
)
members = {
    "jsonrpc": st.just("2.0") | st.sampled_from(["2.0", "1.0", 2.0, None]),
    "method": names | names | st.text(max_size=5) | scalars,
    "params": arguments | arguments | values,
    "id": scalars | values,
}
requests = st.fixed_dictionaries({"jsonrpc": st.just("2.0"), "method": names}, optional={"params": arguments, "id": scalars})
oddities = st.fixed_dictionaries({}, optional=members)
batches = st.lists(requests | oddities | values, min_size=1, max_size=22)
documents = values | requests | oddities | batches | st.dictionaries(names, arguments | values, min_size=1, max_size=2)


@st.composite
def damaged(draw):
    """JSON in any spelling, with a few bytes replaced, removed or added."""
    document = draw(documents)
    text = json.dumps(document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    body = bytearray(text.encode())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        new = draw(
            st.binary(max_size=3)
            | st.sampled_from([b"", b"[", b"}", b'"', b"\\", b"\\ud800", b"NaN", b"-", b"1e999", b",", b"0"])
        )
        body[at : at + draw(st.integers(0, 3))] = new
    return bytes(body)


bodies = damaged() | st.binary(max_size=40)
latin = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc"])
targets = (
    st.sampled_from(
        ["/", "*", "/-/", "/-/healthy", "/-/nope", "/ping", "/typed?n=1&names=a", "/echo;x", "/?a=1", "//", "/;", "/?"]
    )
    | st.builds("/{}".format, st.text(latin, max_size=20))
    | st.builds("/{}?{}".format, names, st.text(latin | st.sampled_from("&=%+"), max_size=20))
    | st.builds("/{};{}".format, names, st.text(latin | st.sampled_from(";%"), max_size=20))
)
verbs = st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT", "get", "BREW"]) | st.text("ABCxyz-!", min_size=1, max_size=8)
headers = st.lists(
    st.sampled_from(
        [
            ("origin", "http://a"),
            ("origin", "null"),
            ("host", "a"),
            ("content-type", "application/json"),
            ("content-type", "\xff"),
        ]
    ),
    max_size=3,
)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Drop the log of the thousands of failures that these tests cause."""
    caplog.set_level(logging.CRITICAL, "gjrpc.calls")


def read(body):
    """Read one line of JSON, as strictly as possible."""
    assert b"\n" not in body

    def refuse(constant):
        raise AssertionError(f"{constant} in {body!r}")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def assert_well_formed(response):
    """Check an answer against the convention: status, writable headers, a JSON body, and a reference with a 500."""
    assert type(response.body) is bytes
    for name, value in response.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value)
    if response.status == 204:
        assert response.body == b""
        return
    kinds = [value for name, value in response.headers if name == "Content-Type"]
    if response.status == 200:
        assert kinds == ["application/json"]
        read(response.body)
        return
    assert kinds == ["application/problem+json"]
    problem = read(response.body)
    assert (
        {"type", "title", "status", "detail"} <= problem.keys() <= {"type", "title", "status", "detail", "method", "ref", "data"}
    )
    assert response.status == problem["status"]
    assert 400 <= response.status <= 599
    assert problem["type"] == "about:blank"
    assert type(problem["title"]) is type(problem["detail"]) is str
    if response.status == 500:
        assert re.fullmatch(r"[0-9a-f]{12}", problem["ref"])


def post(application, body):
    """Return the response to a `POST /` after checking it."""
    response = application.respond(Request(Head("POST", "/"), body))
    assert_well_formed(response)
    return response


def as_id(entry):
    """Return the id that the answer to an entry must echo."""
    found = entry.get("id") if type(entry) is dict else None
    return found if type(found) in (str, int, float) else None


def is_notification(entry):
    """Return whether an entry is a request object without an id."""
    return (
        type(entry) is dict
        and "id" not in entry
        and entry.get("jsonrpc") == "2.0"
        and type(entry.get("method")) is str
        and type(entry.get("params")) in (list, dict, type(None))
    )


def assert_slots(application, batch):
    """Check that each entry of a batch is answered exactly once and in order, unless it is a notification."""
    response = post(application, json.dumps(batch).encode())
    expected = [as_id(entry) for entry in batch if not is_notification(entry)]
    if not expected:
        assert response.status == 204
        return
    answers = read(response.body)
    assert [repr(answer["id"]) for answer in answers] == [repr(found) for found in expected]
    for answer in answers:
        assert_response_object(answer)
        if answer.get("error", {}).get("code") == -32603:
            assert re.fullmatch(r"[0-9a-f]{12}", answer["error"]["data"]["ref"])


@fuzz
@given(verbs, targets, headers, bodies)
@example("POST", "/", [], b"[" * 100_000)
@example("POST", "/", [], b'{"a":' * 100_000)
@example("POST", "/ping", [], b"[" * 100_000)
@example("GET", "/echo?x=%", [], b"")
@example("GET", "/echo;%ff", [], b"")
@example("GET", "/typed?n=" + "9" * 5000, [], b"")
@example("GET", "/move?to=%7B%22x%22:1e999%7D", [], b"")
def test_any_request_is_answered(verb, target, headers, body):
    """Any verb, target, headers and body get a well-formed answer; nothing raises."""
    assert_well_formed(APPLICATION.respond(Request(Head(verb, target, headers), body)))


@fuzz
@given(bodies)
@example(b"")
@example(b"\xef\xbb\xbf[]")
@example(b'{"jsonrpc":"2.0","method":"echo","params":[1],"id":' + b"9" * 4300 + b"}")
@example(b'{"jsonrpc":"2.0","method":"echo","params":[1],"id":-' + b"9" * 4300 + b"}")
@example(b"[" + b"1," * 1_000_000 + b"1]")
def test_any_body_is_answered(body):
    """Any bytes sent as a message get an answer in their dialect, as its specification demands."""
    response = post(APPLICATION, body)
    try:
        message = codec.decode(body)
    except (ParseError, TooLarge):
        message = None
    if type(message) is list or (type(message) is dict and "jsonrpc" in message):
        assert response.status in (200, 204)
        answers = read(response.body) if response.body else []
        for answer in answers if type(answers) is list else [answers]:
            assert_response_object(answer)


@fuzz
@given(st.lists(requests | oddities | values, min_size=1, max_size=20))
def test_each_slot_is_answered_once(batch):
    """Each entry of a batch is answered exactly once and in order, unless it is a notification."""
    assert_slots(APPLICATION, batch)


def test_each_slot_is_answered_once_concurrently():
    """The same holds if the entries of a batch run at the same time."""
    import gevent

    registry = a_registry()

    def nap(n: int = 0) -> int:
        gevent.sleep(abs(n) % 3 / 1000)
        return n

    def die() -> None:
        raise gevent.GreenletExit

    for function in (nap, die):
        registry.register(function)
    application = Application(registry, max_answer=5000, runtime=Green())
    waiting = st.fixed_dictionaries(
        {"jsonrpc": st.just("2.0"), "method": st.sampled_from(["nap", "nap", "die"])},
        optional={"params": st.lists(st.integers(-5, 5), max_size=1), "id": scalars},
    )

    @settings(fuzz, max_examples=100)
    @given(st.lists(waiting | waiting | requests | oddities, min_size=2, max_size=50))
    def check(batch):
        assert_slots(application, batch)

    on_a_hub(check)


KINDS = {-32601: 404, -32602: 400, -32603: 500, 17: 507}


@fuzz
@given(names | st.text(min_size=1, max_size=8), arguments)
def test_the_dialects_agree(method, params):
    """A call has the same result, or the same kind of error with the same words, in either dialect."""
    assume(method != "jsonrpc")
    native = post(APPLICATION, json.dumps({method: params}).encode())
    foreign = read(post(APPLICATION, json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()).body)
    body = read(native.body)
    if "result" in foreign:
        assert (native.status, body) == (200, {method: foreign["result"]})
        return
    error = foreign["error"]
    assert native.status == KINDS[error["code"]]
    assert body["detail"] == error["message"]
    if error["code"] == -32603:
        assert "ref" in body
    else:
        assert body.get("data") == error.get("data")


def read_strictly(body):
    """Read JSON with the standard library, without its extensions to RFC 8259."""

    def refuse(_):
        raise ValueError

    def finite(text):
        number = float(text)
        return number if math.isfinite(number) else refuse(text)

    value = json.loads(body.decode("utf-8"), parse_constant=refuse, parse_float=finite)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate is not text
    return value


def same(ours, theirs):
    """Return whether two values are equal, with equal types: 1 is neither 1.0 nor true."""
    if type(ours) is not type(theirs):
        return False
    if type(ours) is dict:
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if type(ours) is list:
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return repr(ours) == repr(theirs)


digits = st.text("0123456789", min_size=1, max_size=30)
fractions = st.just("") | st.builds(".{}".format, digits)
exponents = st.sampled_from(["", "e5", "E-7", "e+308", "e-320", "e309"])
numbers = st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), digits, fractions, exponents)


@settings(fuzz, max_examples=600)
@given(bodies | numbers.map(str.encode) | numbers.map(lambda text: f"[{text},{text}]".encode()))
@example(b"-0")
@example(b"-0.0")
@example(b'"\x7f"')
@example(b'"\x1f"')
@example(b'"\\/\\u0000"')
@example(b'"\\ud83d\\ude00"')
@example(b'"\\ude00"')
@example(b'{"a":1,"a":2}')
@example(b"\x0b1")
@example(b"18446744073709551616")
@example(b"-9223372036854775809")
@example(b"1E400")
@example(b"-1e400")
@example(b"1e999+")
@example(b"[1.5, 2e999.]")
@example(b"5e-324")
@example(b"1e-400")
@example(b"0." + b"3" * 2000)
@example(b"\xed\xa0\x80")
def test_decoding_agrees_with_the_standard_library(body):
    """The decoder accepts what the standard library accepts at its strictest, and returns the same values."""
    try:
        theirs = read_strictly(body)
    except (ValueError, RecursionError):
        with pytest.raises(ParseError):
            codec.decode(body)
        return
    assert same(codec.decode(body), theirs)
    assert same(codec.decode(b"[" + b",".join([body] * 120) + b"]"), [theirs] * 120)


brackets = st.text('[]{}"\\a,', max_size=60).map(str.encode)


@settings(fuzz, max_examples=600)
@given(
    st.lists(brackets | st.sampled_from([b"[]" * 20, b"{[]}" * 20, b'{"a":[]},' * 9, b'"["' * 9, b"[" * 9]), max_size=6),
    st.integers(1, 30),
)
def test_the_limits_of_any_bytes(pieces, limit):
    """The limits of depth and values hold exactly as if each mark outside of strings were counted."""
    text = b"".join(pieces)
    deepest, values, well_formed = count_slowly(text)
    for limits, found in ({"max_depth": limit, "max_values": 1000}, deepest), ({"max_depth": 1000, "max_values": limit}, values):
        try:
            codec.Decoder(**limits).decode(text)
            refused = False
        except TooLarge:
            refused = True
        except ParseError as error:
            refused = "deeper" in error.message
        assert refused or found <= limit
        assert not refused or found > limit or not well_formed


def count_slowly(text):
    """Count depth and values byte by byte, up to the first malformed string; return also whether all strings are well-formed."""
    state, depth, deepest, values = "between", 0, 0, 0
    for byte in text.decode("latin-1"):
        if state == "escape":
            state = "string"
        elif state == "string":
            state = {"\\": "escape", '"': "behind"}.get(byte, "string")
        elif byte == "\\" or (byte == '"' and state == "behind"):
            return deepest, values, False
        elif byte == '"':
            state = "string"
        elif byte in "[]{},":
            state = "between"
            depth += {"[": 1, "{": 1, ",": 0}.get(byte, -1)
            deepest = max(deepest, depth)
            values += byte in "[{,"
    return deepest, values, True


GUIDED = """
import sys
import atheris

with atheris.instrument_imports(include=["gjrpc"]):
    from gjrpc.errors import BadMessage, ParseError, TooLarge
    from gjrpc.limits import Limits
    from gjrpc.http.reader import Memory, Reader
    from gjrpc.values import codec

def read(data):
    try:
        codec.Decoder(20, 50).decode(data)
    except (ParseError, TooLarge):
        pass
    reader = Reader(Limits(head=400, headers=10, body=200), Memory())
    half = len(data) // 2
    try:
        for piece in filter(None, (data[:half], data[half:])):
            request = reader.receive(piece)
            while request is not None:
                request = reader.next()
        reader.end()
    except BadMessage:
        pass

atheris.Setup(sys.argv, read)
atheris.Fuzz()
"""


def test_coverage_guided_bytes(tmp_path):
    """No bytes that a coverage-guided fuzzer finds in ten seconds crash or hang the decoder or the reader."""
    pytest.importorskip("atheris", reason="atheris has wheels only for Python 3.11 and newer on Linux on x86-64")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds = [data for data, _ in [*GOOD.values(), *BAD.values()] if len(data) < 1000]
    seeds += [b'[{"a":1.5e5,"b":[null,true,"\\u00e4\\n"]},-12]', b'{"a":' * 21 + b"1" + b"}" * 21, b"[1e999+]"]
    for number, data in enumerate(seeds):
        (corpus / str(number)).write_bytes(data)
    bounds = ["-seed=1", "-runs=30000", "-max_total_time=10", "-max_len=1000", "-timeout=5"]
    command = [sys.executable, "-c", GUIDED, *bounds, str(corpus)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=untraced())
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Done " in done.stderr

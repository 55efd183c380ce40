"""One connection over a real socket: order, limits of time, clients that vanish, and both ways to an answer."""

import base64
import gc
import json
import logging
import re
import socket
import ssl
import struct
import sys
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from wsgiref.validate import validator

import bcrypt
import gevent
import pytest
from conftest import TIMEOUT, Wire, read_all, wait_until

from gjrpc.app.application import Application
from gjrpc.auth.credentials import guard
from gjrpc.auth.tokens import make
from gjrpc.calls.registry import Registry
from gjrpc.limits import Limits, Timeouts
from gjrpc.server.state import State
from gjrpc.server.tls import server_context

HOST = b"Host: a\r\n"
PING = b"GET /ping HTTP/1.1\r\n" + HOST + b"\r\n"
PONG = b'{"ping":"pong"}'
LAST_PING = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SECONDS = 15.0
"""What a time limit of half a second may take on a busy machine; far from what it would be if it were renewed."""


class Gate:
    """Holds calls until the test lets them go on."""

    def __init__(self):
        self.entered = 0
        self.opened = threading.Event()

    def hold(self):
        """Wait for the test, as a greenlet."""
        self.entered += 1
        while not self.opened.is_set():
            gevent.sleep(0.005)
        return "held"


@pytest.fixture
def gate():
    """A gate that is open at the end, so that the server can stop."""
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def application(gate):
    """An application with methods to try."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    registry.register(lambda x: x, "echo")
    registry.register(lambda n: "x" * int(n), "big")
    registry.register(len, "length")
    registry.register(gate.hold)
    registry.register(gate.hold, "held", deadline=0.2)

    @registry.method
    def fail():
        raise ZeroDivisionError("a secret")

    return Application(registry)


def wrapped(application):
    """The same application as a foreign WSGI callable."""
    return partial(application)


@pytest.fixture(params=[lambda application: application, wrapped], ids=["short way", "WSGI"])
def door(request):
    """Each way to the application."""
    return request.param


@pytest.fixture(autouse=True)
def untroubled(caplog, capfd):
    """No test here leaves a traceback in the log or on standard error, but for exceptions that a method raised on purpose."""
    caplog.set_level(logging.DEBUG, "gjrpc")
    yield
    assert "Traceback" not in capfd.readouterr().err
    for record in caplog.records:
        assert record.exc_info is None or "a secret" in str(record.exc_info[1]), caplog.text


def post(body, *lines, path=b"/"):
    """A POST with its length."""
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n%b" % (path, HOST, len(body), head, body)


def test_a_connection_is_kept(serve, application, door):
    """Several requests are answered on one connection, and it is closed when the client asks for that."""
    served = serve(door(application))
    with served.wire() as wire:
        for number in range(5):
            assert wire.ask(PING).body == PONG
            assert wire.ask(post(b'{"echo":%d}' % number)).body == b'{"echo":%d}' % number
        answer = wire.ask(LAST_PING)
        assert (answer.headers["connection"], wire.rest()) == ("close", b"")


def test_an_old_client(serve, application, door):
    """HTTP/1.0 ends its connection with the answer unless the client requested keep-alive."""
    served = serve(door(application))
    with served.wire() as wire:
        answer = wire.ask(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (answer.headers["connection"], answer.body) == ("keep-alive", PONG)
        answer = wire.ask(b"GET /ping HTTP/1.0\r\n\r\n")
        assert (answer.headers["connection"], answer.body, wire.rest()) == ("close", PONG, b"")


def test_pipelined_requests(serve, application, door):
    """A hundred requests in one write are answered in order."""
    served = serve(door(application))
    with served.wire() as wire:
        wire.send(b"".join(PING if number % 3 == 0 else post(b'{"echo":%d}' % number) for number in range(100)))
        told = [wire.answer().json() for _ in range(100)]
        assert told == [{"ping": "pong"} if number % 3 == 0 else {"echo": number} for number in range(100)]
        assert wire.ask(LAST_PING).body == PONG


def test_a_slow_call_keeps_its_place(serve, application, gate):
    """Requests behind one that waits are answered after it."""
    served = serve(application)
    with served.wire() as wire:
        wire.send(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n" + PING)
        wait_until(lambda: gate.entered, "the call")
        wire.send(PING)
        with served.wire() as other:
            assert other.ask(PING).body == PONG
        gate.opened.set()
        assert [list(wire.answer().json()) for _ in range(3)] == [["hold"], ["ping"], ["ping"]]


def test_a_bad_request_among_pipelined_ones(serve, application, door):
    """Requests before a bad one are answered, it is refused, and those behind it are never run."""
    served = serve(door(application))
    with served.wire() as wire:
        wire.send(PING * 50 + b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n" + PING * 49)
        assert [wire.answer().body for _ in range(50)] == [PONG] * 50
        refused = wire.answer()
        assert (refused.status, refused.headers["connection"], wire.rest()) == (400, "close", b"")


def test_requests_byte_by_byte(serve, application, door):
    """Requests that come one byte at a time are answered as if they had come whole."""
    served = serve(door(application))
    body = post(b'{"echo":"x"}')
    chunks = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[7]\r\n0\r\n\r\n"
    with served.wire() as wire:
        wire.send(*(bytes([byte]) for byte in PING + body + chunks))
        assert [wire.answer().json() for _ in range(3)] == [{"ping": "pong"}, {"echo": "x"}, {"echo": 7}]


def test_empty_lines_between_requests(serve, application):
    """An empty line after a request does not hurt the next one."""
    served = serve(application)
    with served.wire() as wire:
        for _ in range(3):
            assert wire.ask(b"\r\n", PING + b"\r\n").body == PONG


def test_head_has_no_body(serve, application, door):
    """HEAD is answered as GET without the body, with the length that it would have, and the connection stays open."""
    served = serve(door(application))
    with served.wire() as wire:
        for target, status in ((b"/ping", 200), (b"/nope", 404)):
            answer = wire.ask(b"HEAD %b HTTP/1.1\r\n%b\r\n" % (target, HOST), verb="HEAD")
            assert answer.status == status
            assert int(answer.headers["content-length"]) == len(wire.ask(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, HOST)).body)


@pytest.mark.parametrize("lines", [b"HEAD * HTTP/1.1\r\nHost: a", b"HEAD / HTTP/1.1", b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x"])
def test_head_that_is_refused_has_no_body(serve, application, lines):
    """HEAD gets no body either where the whole head is refused, which says how long it would be."""
    with serve(application).connect() as connection:
        connection.sendall(lines + b"\r\n\r\n")
        told = read_all(connection)
        assert told.startswith(b"HTTP/1.1 4")
        assert b"Content-Length: 1" in told
        assert told.endswith(b"\r\n\r\n")


def test_one_piece(serve, application, door):
    """A response is there whole at the first read of the client."""
    served = serve(door(application))
    with served.connect() as connection:
        for _ in range(20):
            connection.sendall(PING)
            data = connection.recv(65536)
            assert data.startswith(b"HTTP/1.1 200 OK\r\n")
            assert data.endswith(b"\r\n\r\n" + PONG)


def test_no_delay(serve, application):
    """Nagle's algorithm is off on each connection."""
    served = serve(application)
    with served.wire() as wire:
        wire.ask(PING)
        (connection,) = served.server.connections
        assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_stall(serve, application, door):
    """Most of fifty calls one after the other take far less than the 40 ms of a delayed acknowledgement."""
    served = serve(door(application))
    with served.wire() as wire:
        begins = [time.perf_counter()]
        for _ in range(50):
            wire.ask(PING)
            wire.ask(post(b'{"echo":1}'))
            begins.append(time.perf_counter())
    assert sorted(map(float.__sub__, begins[1:], begins))[25] < 0.035


EXPECT = b"POST /length HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"


def test_continue_is_said_while_the_body_is_awaited(serve, application, door):
    """A client that waits for 100 Continue gets it once, before its body, for each request."""
    served = serve(door(application))
    with served.wire() as wire:
        for _ in range(2):
            assert wire.ask(EXPECT % 5).status == 100
            wire.send(b'["x')
            assert wire.ask(b'"]').body == b'{"length":1}'


def test_continue_is_not_said_when_the_body_is_there(serve, application, door):
    """Where the body came with the head there is no interim answer."""
    served = serve(door(application))
    with served.wire() as wire:
        assert wire.ask(EXPECT % 5 + b'["x"]').body == b'{"length":1}'
        wire.send(EXPECT % 5 + b'["x"]' + EXPECT % 5)
        assert wire.answer().body == b'{"length":1}'
        assert wire.answer().status == 100
        assert wire.ask(b'["x"]').body == b'{"length":1}'


def test_continue_after_a_body_in_pieces(serve, application):
    """A request whose head comes with the end of another body gets its 100 Continue too."""
    served = serve(application)
    with served.wire() as wire:
        wire.send(post(b'{"echo":1}')[:-3])
        wait_until(lambda: [c for c in served.server.connections if c._http.reader.in_body], "the first body has begun")
        assert wire.ask(b":1}" + EXPECT % 5).body == b'{"echo":1}'
        assert wire.answer().status == 100
        assert wire.ask(b'["x"]').body == b'{"length":1}'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (EXPECT % (11 * 1024 * 1024), 413),
        (EXPECT.replace(b"100-continue", b"miracle") % 5, 417),
        (EXPECT.replace(b"Host: a", b"Hots: a") % 5, 400),
    ],
)
def test_continue_is_not_said_to_a_refused_request(serve, application, head, status):
    """A request that is refused by its head gets that answer at once, and no 100 Continue."""
    served = serve(application)
    with served.wire() as wire:
        answer = wire.ask(head)
        assert (answer.status, answer.headers["connection"], wire.rest()) == (status, "close", b"")


@pytest.fixture
def guarded(gate, tmp_path):
    """An application that knows one caller by a token and one by a password, and what the caller with the token sends."""
    token, line = make("alice")
    (tmp_path / "tokens").write_text(line)
    (tmp_path / "tokens").chmod(0o600)
    (tmp_path / "users").write_text(f"carol:{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n")
    (tmp_path / "users").chmod(0o600)
    registry = Registry()
    registry.register(len, "length")
    known = guard(token_file=str(tmp_path / "tokens"), htpasswd=str(tmp_path / "users"), max_failures=2)
    return Application(registry, guard=known, allowed_hosts=["a"]), f"Authorization: Bearer {token}\r\n".encode()


def basic(password):
    """A header line with carol's name and a password."""
    return b"Authorization: Basic %b\r\n" % base64.b64encode(f"carol:{password}".encode())


BODIES = {
    "announced": b"Content-Length: 900000\r\n",
    "of a byte": b"Content-Length: 1\r\n",
    "chunked": b"Transfer-Encoding: chunked\r\n",
    "awaited": b"Content-Length: 900000\r\nExpect: 100-continue\r\n",
}
STRANGERS = {
    "without credentials": (b"", 401),
    "with a wrong token": (b"Authorization: Bearer x\r\n", 401),
    "with a wrong password": (basic("wrong"), 401),
    "of another site": (b"TOKENSec-Fetch-Site: cross-site\r\n", 403),
    "of another origin": (b"TOKENOrigin: http://evil.example\r\n", 403),
    "with a form": (b"TOKENOrigin: http://a\r\nContent-Type: text/plain\r\n", 403),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("lines", "status"), STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_is_refused_before_the_body(serve, guarded, body, lines, status):
    """A caller without rights is refused by the head alone: no byte of the body is awaited, and no 100 Continue is sent."""
    application, token = guarded
    with serve(application).wire() as wire:
        answer = wire.ask(b"POST /length HTTP/1.1\r\nHost: a\r\n%b%b\r\n" % (lines.replace(b"TOKEN", token), body))
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert wire.rest() == b""


@pytest.mark.parametrize(("verb", "target", "status"), [("PUT", "/length", 405), ("POST", "/-/", 405), ("POST", "/?a", 400)])
def test_what_no_body_can_save_is_refused_before_it(serve, guarded, verb, target, status):
    """A verb or a target that takes no body is refused before one comes."""
    application, token = guarded
    with serve(application).wire() as wire:
        head = b"%b %b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n%b\r\n" % (verb.encode(), target.encode(), token)
        assert wire.ask(head).status == status
    with serve(application).wire() as wire:
        assert wire.ask(head.replace(b"Host: a", b"Host: b")).status == 421


def test_a_caller_s_body_is_awaited(serve, guarded):
    """A caller with rights gets 100 Continue, and the connection stays open; a password is checked once."""
    application, token = guarded
    with serve(application).wire() as wire:
        for lines in (token, basic("right"), token):
            head = EXPECT.replace(b"Host: a\r\n", b"Host: a\r\n" + lines) % 5
            assert wire.ask(head).status == 100
            assert wire.ask(b'["x"]').body == b'{"length":1}'


def test_guessing_with_bodies_is_stopped(serve, guarded):
    """Guesses are counted once each though their bodies never come, and then answered with 429 from the head too."""
    served = serve(guarded[0])
    told = []
    for number in range(4):
        with served.wire() as wire:
            lines = basic(f"guess{number}")
            told.append(wire.ask(b"POST /length HTTP/1.1\r\nHost: a\r\n%bContent-Length: 9\r\n\r\n" % lines).status)
    assert told == [401, 401, 429, 429]


def test_a_password_is_checked_off_the_loop(serve, guarded, monkeypatch):
    """While the password of a request whose body is awaited is checked, others are answered."""
    entered, leave = threading.Event(), threading.Event()

    def check(password, hashed):
        entered.set()
        return leave.wait(TIMEOUT) and False

    monkeypatch.setattr(bcrypt, "checkpw", check)
    served = serve(guarded[0])
    with served.wire() as wire, served.wire() as other:
        wire.send(b"POST /length HTTP/1.1\r\nHost: a\r\n%bContent-Length: 9\r\n\r\n" % basic("slow"))
        assert entered.wait(TIMEOUT)
        assert other.ask(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        leave.set()
        assert wire.answer().status == 401


def test_with_too_many_calls_no_body_is_awaited(serve, application, gate):
    """Where no further call can be taken, one whose body is still to come is refused by its head."""
    served = serve(application, max_calls=1)
    with served.wire() as held, served.wire() as wire:
        held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: gate.entered, "the call is held")
        answer = wire.ask(EXPECT % 5)
        assert (answer.status, answer.headers["retry-after"], wire.rest()) == (503, "1", b"")
        gate.opened.set()
        assert held.answer().body == b'{"hold":"held"}'


LIMITS = Limits(target=100, head=300, headers=5, body=1000)

PAGE = b"https://page.example"
OF_A_PAGE = b"Host: a\r\nOrigin: %b\r\n" % PAGE
REFUSED_TO_A_PAGE = {
    "a large body": (b"POST / HTTP/1.1\r\n" + OF_A_PAGE + b"Content-Length: 1001\r\n\r\n", 413, True),
    "a large chunk": (
        b"POST / HTTP/1.1\r\n" + OF_A_PAGE + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        413,
        True,
    ),
    "a large head": (b"GET / HTTP/1.1\r\n" + OF_A_PAGE + b"X: " + b"y" * 300, 431, True),
    "many headers": (b"GET / HTTP/1.1\r\n" + OF_A_PAGE + b"X: y\r\n" * 9 + b"\r\n", 431, True),
    "a large head without an end": (b"GET / HTTP/1.1\r\nX: " + b"y" * 300, 431, False),
    "an odd expectation": (b"GET / HTTP/1.1\r\norigin:%b \r\nHost: a\r\nExpect: x\r\n\r\n" % PAGE, 417, True),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: b\r\n" + OF_A_PAGE + b"\r\n", 400, True),
    "a large target": (b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n" + OF_A_PAGE + b"\r\n", 414, True),
    "of another page": (
        b"POST / HTTP/1.1\r\n" + OF_A_PAGE.replace(b"page.", b"evil.") + b"Content-Length: 1001\r\n\r\n",
        413,
        False,
    ),
    "of nobody": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, False),
    "no head": (b"GET / HTTP/1.1\r\n\r\n", 400, False),
    "nothing of HTTP": (b"\x16\x03\x01", 400, False),
}


@pytest.mark.parametrize(("data", "status", "readable"), REFUSED_TO_A_PAGE.values(), ids=REFUSED_TO_A_PAGE)
@pytest.mark.parametrize("before", [b"", PING], ids=["first", "second"])
def test_a_page_can_read_why_the_connection_refused_it(serve, before, data, status, readable):
    """A refusal before there is a call names the listed origin where that has come, and depends on it in any case."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    with serve(Application(registry, allowed_origins=[PAGE.decode()]), limits=LIMITS).wire() as wire:
        if before:
            assert wire.ask(before).body == PONG
        answer = wire.ask(data)
        assert (answer.status, answer.headers["vary"]) == (status, "Origin")
        assert answer.headers.get("access-control-allow-origin") == (PAGE.decode() if readable else None)


@pytest.mark.parametrize("rest", [b"", b"Co", b"Content-Length: 9\r\nContent-Type: application/json\r\n\r\n[1"])
def test_a_page_can_read_that_it_was_too_slow(serve, application, rest):
    """A page whose request took too long, in its head or in its body, can read that."""
    slow = Application(application.registry, allowed_origins=["*"])
    with serve(slow, timeouts=timed(head=0.3, body=0.3)).wire() as wire:
        answer = wire.ask(b"POST /echo HTTP/1.1\r\n" + OF_A_PAGE + rest)
        assert (answer.status, answer.headers["vary"]) == (408, "Origin")
        assert answer.headers["access-control-allow-origin"] == PAGE.decode()


def test_a_page_can_read_that_there_is_too_much_to_do(serve, application, gate):
    """A page whose call is one too many can read that."""
    full = Application(application.registry, allowed_origins=["*"])
    served = serve(full, max_calls=1)
    with served.wire() as held, served.wire() as wire:
        held.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: gate.entered, "the call is held")
        answer = wire.ask(b"GET /ping HTTP/1.1\r\n" + OF_A_PAGE + b"\r\n")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (503, PAGE.decode())
        gate.opened.set()
        assert held.answer().headers["vary"] == "Origin"


@pytest.mark.parametrize(
    ("message", "status", "words"),
    [
        (b"GET / HTTP/3.0\r\n\r\n", 400, "GET / HTTP/3.0"),
        (b"GET /%b HTTP/1.1\r\n" % (b"a" * 100), 414, "100 bytes"),
        (b"GET / HTTP/1.1\r\nX: %b" % (b"y" * 300), 431, "300 bytes"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 6, 431, "5 headers"),
        (post(b"x" * 1001), 413, "1000"),
        (PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413, "1000"),
        (PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, "chunk"),
        (PING[:-2] + b"Expect: x\r\n\r\n", 417, "'x'"),
    ],
)
def test_refusals(serve, application, door, message, status, words):
    """What is refused before there is a call is answered with a problem that names the limit, and the connection is closed."""
    served = serve(door(application), limits=LIMITS)
    with served.wire() as wire:
        answer = wire.ask(message)
        problem = answer.json()
        assert (answer.status, wire.rest()) == (status, b"")
        assert (answer.headers["content-type"], answer.headers["connection"]) == ("application/problem+json", "close")
        assert (problem["status"], problem["title"], problem["type"]) == (status, HTTPStatus(status).phrase, "about:blank")
        assert words in problem["detail"]


@pytest.mark.parametrize("data", [PING[:-1], post(b"hello")[:-1], b"G", PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"])
def test_a_request_that_is_cut_off(serve, application, door, data):
    """A request that ends before its end is refused and not run, and those before it are answered."""
    served = serve(door(application))
    told = served.exchange(PING + data)
    assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"200", b"400"]
    assert b"cut off" in told


def test_a_connection_that_ends_between_requests(serve, application, door):
    """A client that closes its side after a request gets the answer and nothing else."""
    served = serve(door(application))
    assert served.exchange(PING).endswith(PONG)
    assert served.exchange() == b""


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "chunked"])
def test_a_refused_upload_can_read_its_answer(serve, application, announced):
    """A client that keeps sending a refused body can read why it was refused."""
    served = serve(application, limits=LIMITS)
    piece = b"x" * 4000
    head = post(piece)[:-4000] if announced else PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\nfa0\r\n"
    for pieces in (1, 10, 2000):
        answer = served.exchange(head, *[piece] * pieces)
        assert answer.startswith(b"HTTP/1.1 413 "), f"{pieces} pieces"


def test_bytes_behind_the_last_request_do_not_lose_its_answer(serve, application, door):
    """A client that sends more behind a request that closes the connection can still read the answer."""
    served = serve(door(application))
    big = b"GET /big?n=1000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with served.wire() as wire:
        wire.send(big + b"x" * 100_000)
        assert len(wire.answer().json()["big"]) == 1_000_000


# The limits of time.


def timed(**seconds):
    """Time limits of half a second where they are not given; a rate that asks for no more time."""
    return Timeouts(**{"head": 0.5, "body": 0.5, "idle": 0.5, "write": 0.5, "rate": 1e9} | seconds)


def drip(connection, data):
    """Send a byte every now and then until the other side closes; give the answer and the seconds that it took."""
    begin = time.monotonic()
    connection.settimeout(0.03)
    received = b""
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
            piece = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        received += piece
        if not piece:
            break
    connection.settimeout(SECONDS)
    return received + read_all(connection), time.monotonic() - begin


LONG_HEAD = b"GET / HTTP/1.1\r\nX: " + b"y" * 1000


@pytest.mark.parametrize("before", [b"", PING, PING + PING[:5]], ids=["first", "second", "pipelined"])
def test_a_head_that_drips(serve, application, before):
    """A head that comes byte by byte is refused with 408 at its time limit, which no byte renews."""
    served = serve(application, timeouts=timed(idle=60))
    with served.wire() as wire:
        if before:
            assert wire.ask(before).body == PONG
        told, seconds = drip(wire.socket, LONG_HEAD[len(before) % len(PING) :])
    assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"application/problem+json" in told
    assert seconds < SECONDS


def test_a_head_that_drips_after_one_in_pieces(serve, application):
    """The time limit of a head holds also where an earlier request on the connection came in pieces."""
    served = serve(application, timeouts=timed(idle=60))
    with served.wire() as wire:
        wire.send(PING[:9])
        wait_until(lambda: [c for c in served.server.connections if not c.idle], "the first piece")
        assert wire.ask(PING[9:]).body == PONG
        told, seconds = drip(wire.socket, LONG_HEAD)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert seconds < SECONDS


@pytest.mark.parametrize("head", [post(b"x" * 1000)[:-1000], PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"])
def test_a_body_that_drips(serve, application, head):
    """A body that comes too slowly is refused with 408 at its time limit."""
    served = serve(application, timeouts=timed(head=60, idle=60))
    with served.wire() as wire:
        wire.send(head)
        told, seconds = drip(wire.socket, b"x" * 1000)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert seconds < SECONDS


def test_a_body_at_the_least_rate(serve, application):
    """A body that arrives at the minimum rate may take longer than its first time limit."""
    served = serve(application, timeouts=timed(body=1, rate=10_000))
    body = b'["' + b"x" * 30_000 + b'"]'
    with served.wire() as wire:
        begin = time.monotonic()
        wire.send(post(body, path=b"/length")[: -len(body)])
        for at in range(0, len(body), 1000):
            wire.send(body[at : at + 1000])
            threading.Event().wait(0.06)
        assert wire.answer().body == b'{"length":30000}'
        assert time.monotonic() - begin > 1.7


def test_an_idle_connection(serve, application):
    """A connection that is used stays, and one that is not is closed without a word at its time limit."""
    served = serve(application, timeouts=timed(idle=1))
    with served.wire() as wire:
        end = time.monotonic() + 1.6
        while time.monotonic() < end:
            assert wire.ask(PING).body == PONG
            threading.Event().wait(0.1)
        begin = time.monotonic()
        assert wire.rest() == b""
        assert 0.3 < time.monotonic() - begin < SECONDS


def test_a_connection_without_a_byte(serve, application):
    """A client that connects and sends nothing is closed without a word at the time limit of a head."""
    served = serve(application, timeouts=timed(idle=60))
    begin = time.monotonic()
    with served.connect() as connection:
        assert read_all(connection) == b""
    assert time.monotonic() - begin < SECONDS


def test_a_call_has_no_time_limit_of_the_client(serve, application, gate):
    """While a call runs, no time limit of the client's holds."""
    served = serve(application, timeouts=timed())
    with served.wire() as wire:
        wire.send(b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_until(lambda: gate.entered, "the call")
        sweeps = served.server.shared.now
        wait_until(lambda: served.server.shared.now > sweeps + 1.4, "three sweeps")
        gate.opened.set()
        assert wire.answer().body == b'{"hold":"held"}'


BIG = b"GET /big?n=20000000 HTTP/1.1\r\n" + HOST + b"\r\n"
MANY = b"GET /big?n=100000 HTTP/1.1\r\nHost: a\r\n\r\n" * 2000  # more answers than buffers hold, at any speed


def test_clients_that_do_not_read(serve, application, door):
    """A client that takes nothing of its answer is closed at the time limit of a write, whatever it sent behind its request."""
    served = serve(door(application), timeouts=timed(idle=60, head=60))
    wires = [served.wire(narrow=True) for _ in range(5)]
    for wire, asked in zip(wires, [BIG, BIG * 2, BIG + PING[:9], BIG + b"no request\r\n", MANY], strict=True):
        assert wire.ask(PING).body == PONG
        wire.socket.settimeout(0.5)
        with suppress(OSError):  # the server reads no further while it can't write
            wire.send(asked)
    wait_until(lambda: served.connections == 0, "their end", SECONDS)
    for wire in wires:
        wire.socket.close()


def test_a_client_that_stops_reading_later(serve, application):
    """The time limit of a write holds also after an answer that had to wait and was taken."""
    served = serve(application, timeouts=timed(idle=60, head=60, write=2))
    with served.wire(narrow=True) as wire:
        assert len(wire.ask(BIG).body) > 20_000_000
        wire.socket.settimeout(0.5)
        with suppress(OSError):  # the server reads no further while it can't write
            wire.send(MANY)
        wait_until(lambda: served.connections == 0, "its end", SECONDS)


def test_a_client_that_reads_slowly(serve, application):
    """A client that reads its answer at the minimum rate gets all of it, even beyond the time limit of a write."""
    served = serve(application, timeouts=timed(rate=5_000_000, idle=60))
    with served.wire(narrow=True) as wire:
        wire.send(BIG)
        taken = 0
        while taken < 20_000_000:  # twice as fast as it must
            threading.Event().wait(0.1)
            taken += len(wire._exactly(1_000_000))
        assert wire._until(b'x"}').startswith(b"x")
        assert wire.ask(PING).body == PONG


def test_a_deadline(serve, application, gate):
    """A call beyond its method's deadline is answered with 504, and the connection stays open."""
    served = serve(application)
    with served.wire() as wire:
        answer = wire.ask(b"GET /held HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (answer.status, answer.json()["method"], "0.2 s" in answer.json()["detail"]) == (504, "held", True)
        assert wire.ask(PING).body == PONG


# Clients that vanish.

HOLD = b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n"


def reset(connection):
    """Close a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        PING[:-2],
        PING,
        PING + PING[:9],
        post(b"hello")[:-2],
        post(b"x" * 1_000_000)[:-400_000],
        PING[:-2] + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        EXPECT % 5,
        HOLD,
        HOLD + PING,
        BIG,
        BIG * 3,
        b"bad\r\n\r\n",
    ],
)
def test_a_client_that_vanishes(serve, application, gate, door, sent, end):
    """A client that goes away at any moment leaves no connection and no traceback behind, and hurts no other."""
    served = serve(door(application))
    connection = served.connect()
    connection.sendall(sent)
    if HOLD in sent:
        wait_until(lambda: gate.entered, "the call")
    end(connection)
    with served.wire() as other:
        assert other.ask(PING).body == PONG
        gate.opened.set()
        wait_until(lambda: served.connections == 1, "its end")
        assert other.ask(PING).body == PONG


# Both ways to an answer.

CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
ASKED = {
    "GET": PING,
    "query": b"GET /echo?x=a%20b HTTP/1.1\r\nHost: a\r\n\r\n",
    "value": b"GET /echo;a%3Bb HTTP/1.1\r\nHost: a\r\n\r\n",
    "coded value": b"GET /echo%3Ba HTTP/1.1\r\nHost: a\r\n\r\n",
    "UTF-8": b"GET /echo;%C3%A9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute": b"GET http://a/echo;x HTTP/1.1\r\nHost: a\r\n\r\n",
    "two slashes": b"GET //ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST": post(b'{"echo":[null]}'),
    "POST of arguments": post(b'{"x":"\xc3\xa9"}', path=b"/echo"),
    "POST without a body": b"POST /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST of nothing": post(b""),
    "chunks": b"POST /echo HTTP/1.1\r\nHost: a\r\n" + CHUNKS + b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
    "no chunk": b"POST /ping HTTP/1.1\r\nHost: a\r\n" + CHUNKS + b"0\r\n\r\n",
    "JSON-RPC": post(b'{"jsonrpc":"2.0","method":"ping","id":1}'),
    "a batch": post(b'[{"jsonrpc":"2.0","method":"ping","id":1},1]'),
    "a notification": post(b'{"jsonrpc":"2.0","method":"ping"}'),
    "HEAD": b"HEAD /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS": b"OPTIONS /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "another verb": b"DELETE /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "a verb of one's own": b"brew /ping HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown method": b"GET /nope HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad arguments": b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    "a bad path": b"GET /%FF HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad JSON": post(b"{"),
    "a GET with a body": b"GET /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "a failure": b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n",
    "a foreign origin": b"GET /ping HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n",
    "form content": post(b'{"ping":""}', b"Content-Type: application/x-www-form-urlencoded"),
    "a large answer": b"GET /big?n=300000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "healthy": b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n",
    "ready": b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n",
    "no page": b"GET /-/nope HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.0": b"GET /ping HTTP/1.0\r\n\r\n",
    "HTTP/1.0, kept": b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.0 HEAD": b"HEAD /ping HTTP/1.0\r\n\r\n",
    "close": LAST_PING,
    "close, HEAD": LAST_PING.replace(b"GET", b"HEAD"),
    "malformed": b"GET / HTTP/1.1\r\n\r\n",
}


def undated(data):
    """Responses without what differs each time."""
    return re.sub(rb'"ref":"\w+"', b'"ref":""', re.sub(rb"Date: [^\r]+ GMT\r\n", b"", data))


@pytest.fixture
def both(serve, application):
    """The same application served by both ways, under the validator of the standard library where it's WSGI."""
    return serve(application), serve(wrapped(application))


def test_both_ways_agree(both):
    """The same bytes get the same bytes by both ways, but for the date: alone and followed by another request."""
    short, wsgi = both
    for name, asked in ASKED.items():
        for data in (asked, asked + LAST_PING):
            told = short.exchange(data)
            assert told.count(b"Date: ") == len(re.findall(rb"HTTP/1\.1 \d\d\d ", told)) > 0, name
            assert undated(told) == undated(wsgi.exchange(data)), name


def test_the_application_is_valid_behind_the_server(serve, application):
    """The standard library's validator finds no fault in the environ or in the answers."""
    served = serve(validator(application))
    plain = serve(application)
    for name, asked in ASKED.items():
        if name not in ("OPTIONS *", "another verb", "a verb of one's own"):  # the validator knows only paths, and some verbs
            assert undated(served.exchange(asked)) == undated(plain.exchange(asked)), name


# Foreign applications.


class Closing:
    """An iterable that notes that it was closed."""

    closed = 0

    def __init__(self, *pieces):
        self.pieces = pieces

    def __iter__(self):
        yield from self.pieces

    def close(self):
        type(self).closed += 1


TEXT = ("Content-Type", "text/plain")


def plain(environ, start_response):
    """An answer with its length."""
    start_response("200 OK", [TEXT, ("Content-Length", "5")])
    return [b"hel", b"lo"]


def streaming(environ, start_response):
    """An answer of unknown length."""
    start_response("200 Fine", [TEXT])
    return Closing(b"he", b"", b"llo")


def writing(environ, start_response):
    """An answer by write()."""
    write = start_response("200 OK", [TEXT])
    write(b"he")
    write(b"l")
    return [b"lo"]


def empty(environ, start_response):
    """An answer without a body."""
    start_response("404 Not Found", [TEXT, ("Content-Length", "0")])
    return []


def no_content(environ, start_response):
    """An answer that has no body by its status."""
    start_response("204 No Content", [])
    return []


def replaced(environ, start_response):
    """An answer that is replaced before it has begun."""
    start_response("200 OK", [TEXT, ("X-First", "1")])
    try:
        raise ValueError("a secret")
    except ValueError:
        start_response("500 Oh No", [TEXT, ("X-Second", "2")], sys.exc_info())
    return [b"hello"]


def reading(environ, start_response):
    """An answer from the body."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    start_response("200 OK", [TEXT, ("Content-Length", str(len(body)))])
    return [body]


def raising(environ, start_response):
    """No answer."""
    raise ValueError("a secret")


def cut_off(environ, start_response):
    """An answer that breaks off."""
    start_response("200 OK", [TEXT, ("Content-Length", "5")])
    yield b"he"
    raise ValueError("a secret")


def cut_off_stream(environ, start_response):
    """An answer of unknown length that breaks off."""
    start_response("200 OK", [TEXT])
    yield b"he"
    raise ValueError("a secret")


@pytest.mark.parametrize(
    ("foreign", "status", "body"),
    [
        (plain, 200, b"hello"),
        (streaming, 200, b"hello"),
        (writing, 200, b"hello"),
        (empty, 404, b""),
        (no_content, 204, b""),
        (replaced, 500, b"hello"),
    ],
)
def test_a_foreign_application(serve, foreign, status, body):
    """Any valid WSGI callable is served, on a kept connection, for HEAD without the body, and to an old client."""
    served = serve(validator(foreign))
    with served.wire() as wire:
        for _ in range(2):
            answer = wire.ask(PING)
            assert (answer.status, answer.body) == (status, body)
            assert ("content-length" in answer.headers) + ("transfer-encoding" in answer.headers) == (status != 204)
            answer = wire.ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", verb="HEAD")
            assert answer.status == status
            assert "connection" not in answer.headers
    with served.wire() as wire:
        answer = wire.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert (answer.status, answer.body, wire.rest()) == (status, body, b"")
        assert "transfer-encoding" not in answer.headers


def test_what_an_application_sends_is_sent_at_once(serve, gate):
    """Each piece of a streamed answer reaches the client when the application gives it."""

    def app(environ, start_response):
        start_response("200 OK", [TEXT])
        yield b"first"
        gate.hold()
        yield b"second"

    served = serve(validator(app))
    with served.connect() as connection:
        connection.sendall(PING)
        assert connection.recv(65536).endswith(b"5\r\nfirst\r\n")
        gate.opened.set()
        assert Wire(connection)._until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


def test_headers_are_replaced_before_the_answer_has_begun(serve):
    """Of two start_response calls the second, with exc_info, gives the headers."""
    with serve(validator(replaced)).wire() as wire:
        answer = wire.ask(PING)
        assert ("x-first" in answer.headers, "x-second" in answer.headers) == (False, True)


@pytest.mark.parametrize(
    "asked",
    [
        post(b"hello"),
        b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKS + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_an_application_that_reads_its_body(serve, asked):
    """An application gets the body without its coding and with its length, and what it does not read is no next request."""
    served = serve(validator(reading))
    with served.wire() as wire:
        assert [wire.ask(asked).body for _ in range(2)] == [b"hello"] * 2
    served = serve(validator(plain))
    with served.wire() as wire:
        assert [wire.ask(asked).body for _ in range(2)] == [b"hello"] * 2


def test_the_environ(serve):
    """The environ has what PEP 3333 asks for and what the client sent, once decoded, and the raw target beside it."""
    seen = []

    def app(environ, start_response):
        seen.append(environ)
        return plain(environ, start_response)

    served = serve(validator(app))
    host, port = served.address
    lines = [b"Host: example.org:80", b"X-Twice: 1", b"x-twice: 2", b"Cookie: a=1", b"Cookie: b=2", b"X_Hidden: 1"]
    lines += [b"Content-Type: text/x", b"Content-Length: 2", b"", b"[]"]
    served.exchange(b"\r\n".join([b"POST /a%20b%2Fc;d?e=%20&f HTTP/1.1", *lines]))
    (environ,) = seen
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c;d",
        "QUERY_STRING": "e=%20&f",
        "REQUEST_URI": "/a%20b%2Fc;d?e=%20&f",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "2",
        "HTTP_HOST": "example.org:80",
        "HTTP_X_TWICE": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "wsgi.url_scheme": "http",
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert not {"HTTP_X_HIDDEN", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(environ)


def test_an_application_that_fails_before_its_answer(serve):
    """An application that raises before its answer has begun is answered for with 500 and a ref, and the secret stays."""
    told = serve(raising).exchange(PING)
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"Connection: close" in head
    assert json.loads(body)["ref"]
    assert b"secret" not in told


@pytest.mark.parametrize(("foreign", "sent"), [(cut_off, b"he"), (cut_off_stream, b"2\r\nhe\r\n")])
def test_an_application_that_fails_in_its_answer(serve, foreign, sent):
    """An answer that breaks off is not made to look whole, and the connection ends with it."""
    told = serve(foreign).exchange(PING + PING)
    assert told.startswith(b"HTTP/1.1 200 ")
    assert told.endswith(b"\r\n\r\n" + sent)


@pytest.mark.parametrize("kind", [SystemExit, gevent.Timeout, BaseException, OSError, EOFError, BrokenPipeError])
def test_an_application_that_raises_anything(serve, kind):
    """Whatever an application raises, it is answered with 500, and the server keeps running."""

    def app(environ, start_response):
        raise kind("a secret") if kind is not gevent.Timeout else TimedOut()

    class TimedOut(gevent.Timeout):
        def __str__(self):
            return "a secret"

    served = serve(app)
    for _ in range(2):
        assert served.exchange(PING).startswith(b"HTTP/1.1 500 ")


def test_an_application_that_never_begins_its_answer(serve, caplog):
    """An application that gives an answer without start_response, or none at all, is answered for with 500."""
    for pieces in ([b"hello"], []):
        told = serve(lambda environ, start_response, pieces=pieces: pieces).exchange(PING)
        assert told.startswith(b"HTTP/1.1 500 ")
        caplog.clear()


@pytest.mark.parametrize("headers", [[], [("Content-Length", "five")], [("X", "a\nb")], [("X", b"a")]])
def test_an_application_that_can_t_write(serve, caplog, headers):
    """An application that gives text for bytes, or headers that are none, is answered for with 500."""

    def app(environ, start_response):
        start_response("200 OK", headers)
        return [b"hello" if headers else "hello"]

    assert serve(app).exchange(PING).startswith(b"HTTP/1.1 500 ")
    caplog.clear()


def test_the_answer_of_a_foreign_application_is_closed(serve, gate):
    """The iterable of an answer is closed at its end, and also when the client went away in its midst."""
    Closing.closed = 0
    served = serve(streaming)
    served.exchange(PING)
    assert Closing.closed == 1

    def endless(environ, start_response):
        start_response("200 OK", [TEXT])

        class Endless(Closing):
            def __iter__(self):
                while True:
                    yield b"x" * 65536

        return Endless()

    served = serve(endless)
    with served.wire() as wire:
        wire.send(PING)
        wire.socket.recv(65536)
    wait_until(lambda: served.connections == 0, "its end")


def test_repr_tells_the_state(serve, application, gate):
    """A connection says whose it is and what it is doing."""
    served = serve(application)
    with served.wire() as wire:
        wire.ask(PING)
        (connection,) = served.server.connections
        wait_until(lambda: repr(connection) == "<Connection of 127.0.0.1, idle>", "idle")
        wire.send(PING[:5])
        wait_until(lambda: repr(connection) == "<Connection of 127.0.0.1, reading>", "reading")
        wire.send(PING[5:] + HOLD)
        wait_until(lambda: repr(connection) == "<Connection of 127.0.0.1, in a call>", "in a call")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET /ping HTTP/9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"x" * 50,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n" + b"x" * 20,
    ],
    ids=["an answer", "a refusal", "a body cut off", "chunks cut off"],
)
def test_a_closed_connection_is_gone_at_once(serve, application, sent):
    """A closed connection takes its memory with it, without waiting for the cyclic collector."""
    served = serve(application)
    gc.disable()
    try:
        with served.wire() as wire:
            wait_until(lambda: served.connections == 1, "it is open")
            gone = weakref.ref(next(iter(served.server.connections)))
            wire.send(sent)
            wire.socket.shutdown(socket.SHUT_WR)
            wire.rest()
        wait_until(lambda: served.connections == 0 and gone() is None, "it is gone")
    finally:
        gc.enable()


def test_a_quick_answer_does_not_wait_for_a_slow_call(serve, application, gate):
    """Of calls that came together, the answers that are ready go out as soon as a later call waits."""
    served = serve(application)
    with served.wire() as wire:
        wire.send(PING + PING + b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n" + PING)
        assert [wire.answer().json() for _ in range(2)] == [{"ping": "pong"}] * 2
        assert not gate.opened.is_set()
        gate.opened.set()
        assert [wire.answer().json() for _ in range(2)] == [{"hold": "held"}, {"ping": "pong"}]


def test_answers_to_calls_that_came_together_go_out_together(serve, application):
    """Many calls in one piece are answered with few writes, and others get their turn in between."""
    served = serve(application, limits=Limits(pipelined=10))
    with served.wire() as wire, served.wire() as other:
        assert wire.ask(PING).status == other.ask(PING).status == 200
        wire.send(PING * 100)
        pieces, data = 0, b""
        while data.count(PONG) < 100:
            data += wire.socket.recv(1 << 20)
            pieces += 1
        assert pieces <= 50
        assert other.ask(PING).status == 200


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_who_takes_nothing_of_a_large_answer_has_no_more_time_for_it(serve, application, tls, certificate):
    """A client that takes nothing of its answer is given up after the write timeout, however large the answer is."""
    context = server_context(certificate.cert, certificate.key) if tls else None
    served = serve(application, timeouts=timed(write=0.5, idle=60, rate=1024), ssl_context=context)
    with served.connect() as bare, suppress(OSError):
        trust = ssl.create_default_context(cafile=certificate.ca)
        connection = trust.wrap_socket(bare, server_hostname="localhost") if tls else bare
        connection.sendall(BIG)
        begin = time.monotonic()
        wait_until(lambda: served.connections == 1, "it is open")
        wait_until(lambda: served.connections == 0, "it is given up", timeout=SECONDS)
        assert time.monotonic() - begin < SECONDS
        connection.close()


def test_pipelined_requests_beyond_a_turn_are_answered_to_a_client_that_reads_late(serve, application):
    """Requests that have to wait for their turn are answered, also where the answers before them had to wait for the client."""
    served = serve(application, limits=Limits(pipelined=4), timeouts=Timeouts(write=30))
    with served.wire(narrow=True) as wire:
        wire.send(b"GET /big?n=60000 HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        wait_until(lambda: any(c.state is State.SENDING for c in served.server.connections), "one waits for the client")
        assert [len(wire.answer().body) for _ in range(200)] == [60_000 + len(b'{"big":""}')] * 200


def test_after_a_call_that_waited_answers_go_out_at_once(serve, application, gate):
    """An answer that comes after a wait is not held back for a later call that waits too, whichever of them came first."""
    served = serve(application)
    hold = b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n"
    with served.wire() as wire:
        wire.send(b"GET /held HTTP/1.1\r\n" + HOST + b"\r\n" + PING + hold)
        assert wire.answer().status == 504  # its deadline is short
        assert wire.answer().json() == {"ping": "pong"}
        assert not gate.opened.is_set()
        gate.opened.set()
        assert wire.answer().json() == {"hold": "held"}


def test_what_is_told_at_the_end_of_the_grace_period_comes_in_order(serve, application, gate):
    """A call cut off at a stop gets its error after the answers of the calls before it."""
    served = serve(application, timeouts=Timeouts(grace=0.5))
    with served.wire() as wire:
        wire.send(b"GET /held HTTP/1.1\r\n" + HOST + b"\r\n" + PING + b"GET /hold HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_until(lambda: gate.entered == 2, "the last call has begun")
        served.stop()
        assert [wire.answer().status for _ in range(3)] == [504, 200, 504]


def test_what_is_held_back_is_bounded(serve):
    """A streamed body goes out as it comes, also where a further request has come already."""
    fed = threading.Event()

    def stream(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"x" * 100_000
        while not fed.is_set():
            gevent.sleep(0.005)
        yield b"y"

    served = serve(stream)
    with served.wire() as wire:
        wire.send(PING + PING)
        begin = b""
        while begin.count(b"x") < 100_000:
            begin += wire.socket.recv(65536)
        assert not fed.is_set()
        fed.set()


def test_a_304_may_tell_a_length(serve):
    """A foreign application's 304 with a Content-Length is a 304."""

    def unchanged(environ, start_response):
        start_response("304 Not Modified", [("Content-Length", "5")])
        return []

    with serve(unchanged).wire() as wire:
        for _ in range(2):
            assert wire.ask(PING).status == 304

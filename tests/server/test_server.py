"""The server: where it listens, calls side by side, TLS, and stopping in good order."""

import json
import logging
import re
import socket
import ssl
import threading
import time
from functools import partial
from types import MappingProxyType

import gevent
import pytest
from conftest import TIMEOUT, Wire, read_all, wait_until

from gjrpc.app.application import Application
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import Plain
from gjrpc.errors import SettingsError
from gjrpc.http.messages import Head, Request
from gjrpc.limits import Timeouts
from gjrpc.server.gevent_runtime import Green
from gjrpc.server.server import Server
from gjrpc.server.tls import server_context

PING = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
PONG = b'{"ping":"pong"}'
READY = b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = b"GET /big?n=20000000 HTTP/1.1\r\nHost: a\r\n\r\n"
AT_ONCE = 10.0
"""Seconds that something may take on a busy machine which is to happen at once."""


def get(name):
    """A request for a method."""
    return b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode()


class Gate:
    """Holds calls until the test lets them go on: greenlets, and threads."""

    def __init__(self):
        self.entered = 0
        self.opened = threading.Event()

    def hold(self):
        """Wait as a greenlet."""
        self.entered += 1
        while not self.opened.is_set():
            gevent.sleep(0.005)
        return "held"

    def block(self):
        """Wait as a thread does."""
        self.entered += 1
        assert self.opened.wait(TIMEOUT)
        return "blocked"


@pytest.fixture
def gate():
    """A gate that is open at the end, so that the server can stop."""
    gate = Gate()
    yield gate
    gate.opened.set()


def raising(error):
    """A method that raises."""

    def method():
        raise error

    return method


RAISED = {
    "exit": SystemExit(3),
    "timeout": gevent.Timeout(1),
    "base": BaseException("on purpose"),
    "interrupt": KeyboardInterrupt(),
    "greenlet_exit": gevent.GreenletExit(),
    "generator_exit": GeneratorExit(),
    "stop": StopIteration(),
}


@pytest.fixture
def registry(gate):
    """Methods to try."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    registry.register(lambda n: "x" * int(n), "big")
    registry.register(gate.hold)
    registry.register(gate.block, blocking=True)
    registry.register(gate.hold, "held", deadline=0.2)
    registry.register(gate.block, "blocked", blocking=True, deadline=0.2)
    for name, error in RAISED.items():
        registry.register(raising(error), name)
        registry.register(raising(error), f"{name}.thread", blocking=True)
    return registry


@pytest.fixture
def application(registry):
    """An application of them."""
    return Application(registry)


@pytest.fixture(autouse=True)
def untroubled(caplog, capfd):
    """No test here leaves a traceback in the log or on standard error, but for what a method raised on purpose."""
    caplog.set_level(logging.INFO, "gjrpc")
    yield
    assert "Traceback" not in capfd.readouterr().err
    for record in caplog.records:
        assert record.exc_info is None or record.exc_info[1] in RAISED.values(), caplog.text


# Where it listens.


def test_a_port_of_the_kernel_s_choice(serve, application):
    """With port 0 the server says which port it has."""
    served = serve(application)
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d+", served.url)
    assert served.wire().ask(PING).body == PONG


def test_ipv6(serve, application):
    """An IPv6 address is served, and is in brackets in the URL."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    served = serve(application, listener=("::1", 0))
    assert re.fullmatch(r"http://\[::1\]:\d+", served.url)
    with served.wire() as wire:
        assert wire.ask(PING).body == PONG
        assert "::1" in repr(next(iter(served.server.connections)))


@pytest.mark.parametrize("door", [lambda application: application, partial], ids=["short way", "WSGI"])
def test_a_unix_socket(serve, application, tmp_path, door):
    """A bound Unix socket is served, by both ways."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        served = serve(door(application), listener=listener)
        assert served.url == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(path)
            assert Wire(connection).ask(PING).body == PONG
            assert "unix" in repr(next(iter(served.server.connections)))
        wait_until(lambda: served.connections == 0, "the end of the connection")
        served.stop()
        served.join()


def test_a_bound_socket(serve, application):
    """A listening socket that the caller bound is served, although it is a blocking one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        served = serve(application, listener=listener)
        assert served.address == address
        with served.wire() as one, served.wire() as other:
            assert [one.ask(PING).body, other.ask(PING).body] == [PONG, PONG]
        served.stop()
        served.join()


def asked_for(served, host):
    """The status of a ping for this host."""
    with served.wire() as wire:
        return wire.ask(b"GET /ping HTTP/1.1\r\nHost: %b\r\n\r\n" % host).status


LOOPBACK_HOSTS = [b"localhost", b"127.0.0.1:9999", b"[::1]"]


@pytest.mark.parametrize("bound", [False, True], ids=["an address", "a socket"])
def test_on_loopback_only_loopback_names_are_answered_for(serve, registry, bound):
    """A server on a loopback address answers for loopback names only, where its application says nothing: no page can rebind."""
    application = Application(registry)
    listener = socket.create_server(("127.0.0.1", 0)) if bound else ("127.0.0.1", 0)
    served = serve(application, listener=listener, hosts=None)
    assert [asked_for(served, host) for host in LOOPBACK_HOSTS] == [200] * 3
    for _ in range(2):
        assert asked_for(served, b"evil.example") == 421
    # The same application elsewhere, and other callers of it, are as they were.
    assert asked_for(serve(application, listener=("0.0.0.0", 0), hosts=None), b"evil.example") == 200
    assert application.respond(Request(Head("GET", "/ping", [("host", "evil.example")]))).status == 200


@pytest.mark.parametrize("allowed", [["*"], ["rpc.example"], []])
def test_hosts_that_an_application_was_given_hold(serve, registry, allowed):
    """An application with its own list of hosts, even `*`, answers for these on a loopback address as elsewhere."""
    served = serve(Application(registry, allowed_hosts=allowed), hosts=None)
    assert asked_for(served, b"rpc.example") == 200
    assert asked_for(served, b"localhost") == (421 if "rpc.example" in allowed else 200)


def test_a_server_may_be_told_its_hosts(serve, registry):
    """The server's list of hosts applies to an application without a list of its own."""
    application = Application(registry)
    assert asked_for(serve(application, hosts=["*"]), b"rpc.example") == 200
    named = serve(application, hosts=["rpc.example"])
    assert (asked_for(named, b"rpc.example:80"), asked_for(named, b"localhost")) == (200, 421)


def test_a_taken_port(serve, application):
    """A port that is taken is an OSError at the start."""
    served = serve(application)
    with pytest.raises(OSError, match="in use"):
        serve(application, listener=served.address)


def test_repr(serve, application, gate):
    """A server says where it listens, what it is doing and how many connections it has."""
    assert re.fullmatch(r"<Server http://127.0.0.1:0, not started, 0 connections>", repr(Server(("127.0.0.1", 0), application)))
    served = serve(application)
    with served.wire() as wire:
        wire.send(get("hold"))
        wait_until(lambda: gate.entered, "the call")
        assert repr(served.server) == f"<Server {served.url}, serving, 1 connection>"
        served.stop()
        wait_until(lambda: repr(served.server) == f"<Server {served.url}, draining, 1 connection>", "draining")


def test_the_limit_of_a_body_is_the_application_s(serve, registry):
    """Without limits of its own the server has the application's for a body."""
    served = serve(Application(registry, max_body=10))
    assert served.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_an_application_s_own_runtime_is_kept(serve, registry):
    """The server gives its runtime to an application that has the plain one, and leaves any other."""

    class Own:
        passes = Plain.passes
        call, map = Plain.call, Plain.map

    for runtime, expected in ((None, Green), (Plain(), Green), (Own(), Own)):
        application = Application(registry, runtime=runtime)
        serve(application)
        assert type(application.dispatcher.runtime) is expected


# Calls side by side.


def test_blocking_methods_stall_nobody(serve, application, gate):
    """While ten blocking methods run, pings are answered; then each gets its answer."""
    served = serve(application)
    wires = [served.wire() for _ in range(10)]
    for wire in wires:
        wire.send(get("block"))
    with served.wire() as other:
        wait_until(lambda: gate.entered == 10, "ten calls in their threads")
        begin = time.perf_counter()
        for _ in range(20):
            assert other.ask(PING).body == PONG
        assert time.perf_counter() - begin < AT_ONCE
    gate.opened.set()
    for wire in wires:
        with wire:
            assert wire.answer().body == b'{"block":"blocked"}'


def test_waiting_methods_run_side_by_side(serve, application, gate):
    """Any number of methods wait at the same time, each on its connection."""
    served = serve(application)
    wires = [served.wire() for _ in range(100)]
    for wire in wires:
        wire.send(get("hold"))
    wait_until(lambda: gate.entered == 100, "a hundred calls")
    gate.opened.set()
    for wire in wires:
        with wire:
            assert wire.answer().body == b'{"hold":"held"}'


def test_a_batch_runs_side_by_side(serve, application, gate):
    """The calls of one batch wait at the same time, and their answers come in order."""
    served = serve(application)
    entries = [{"jsonrpc": "2.0", "method": name, "id": name} for name in ("hold", "ping", "block", "held", "exit")]
    body = json.dumps(entries).encode()
    with served.wire() as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        wait_until(lambda: gate.entered == 3, "three calls")
        threading.Event().wait(0.3)  # the deadline of the third passes
        gate.opened.set()
        answers = wire.answer().json()
    assert [answer["id"] for answer in answers] == ["hold", "ping", "block", "held", "exit"]
    assert [answer.get("result", answer.get("error", {}).get("code")) for answer in answers] == [
        "held",
        "pong",
        "blocked",
        -32003,
        -32603,
    ]


@pytest.mark.parametrize("name", ["held", "blocked"])
def test_a_deadline(serve, application, gate, name):
    """A call beyond its deadline gets 504, as a greenlet and in a thread, and the connection stays open."""
    served = serve(application)
    with served.wire() as wire:
        answer = wire.ask(get(name))
        assert answer.status == 504
        assert wire.ask(PING).body == PONG
    assert gate.entered == 1


@pytest.mark.parametrize("name", [*RAISED, *(f"{name}.thread" for name in RAISED)])
def test_a_method_that_raises_what_is_no_exception(serve, application, name):
    """A method that raises SystemExit, a stray timeout or anything else gets 500 and a ref; the server keeps running."""
    served = serve(application)
    with served.wire() as wire:
        for _ in range(2):
            answer = wire.ask(get(name))
            assert (answer.status, bool(answer.json()["ref"])) == (500, True)
            assert wire.ask(PING).body == PONG


@pytest.mark.parametrize("name", RAISED)
def test_whatever_raises_it_there_is_an_answer(serve, registry, name):
    """An observer, an access log, a guard and a value's own code may raise anything: each request has its one answer."""

    def fail(*_, **__):
        raise RAISED[name]

    class Odd(dict):
        items = __iter__ = keys = fail

    class Log:
        write = fail

    class Doorkeeper:
        schemes = MappingProxyType({})
        authenticate = fail

    registry.register(lambda: Odd(a=1), "odd")
    served = serve(Application(registry, observers=[fail]), access_log=Log())
    with served.wire() as wire:
        for _ in range(2):
            assert wire.ask(PING).body == PONG
            assert wire.ask(get("odd")).status in (200, 500)  # msgspec may read it without its methods
    with serve(Application(registry, guard=Doorkeeper())).wire() as wire:
        for asked in (PING, PING.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")):
            answer = wire.ask(asked)
            assert (answer.status, bool(answer.json()["ref"])) == (500, True)


@pytest.mark.parametrize("name", RAISED)
def test_an_entry_of_a_batch_raises_anything(serve, application, name):
    """Whatever an entry of a batch raises, it alone is an error, and the others have their results."""
    entries = [{"jsonrpc": "2.0", "method": called, "id": called} for called in ("ping", name, f"{name}.thread", "ping")]
    body = json.dumps(entries).encode()
    with serve(application).wire() as wire:
        answers = wire.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)).json()
        assert [answer.get("result", answer.get("error", {}).get("code")) for answer in answers] == [
            "pong",
            -32603,
            -32603,
            "pong",
        ]


@pytest.mark.parametrize("name", RAISED)
def test_a_foreign_application_raises_anything(serve, name):
    """Whatever a foreign application raises, also in its answer, the client gets an error and the server keeps running."""

    def broken(environ, start_response):
        if environ["PATH_INFO"] == "/late":
            return iter(raising(RAISED[name]), None)
        raise RAISED[name]

    served = serve(broken)
    for path in (b"/", b"/late", b"/"):
        assert served.exchange(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path).startswith(b"HTTP/1.1 500 ")


def test_a_timeout_that_a_method_leaves_running(serve, registry, caplog):
    """A timeout that a method left running ends no answer that has not begun: the call that it hits gets an error."""

    @registry.method
    def leave():
        gevent.Timeout.start_new(0.05, BaseException("on purpose"))

    @registry.method
    def nap():
        gevent.sleep(TIMEOUT)

    with serve(Application(registry)).wire() as wire:
        assert wire.ask(get("leave") + get("nap")).status == 200
        assert wire.answer().status == 500
    caplog.clear()


def test_a_method_whose_greenlet_is_killed(serve, registry):
    """A call whose greenlet is killed from elsewhere is answered all the same; its connection ends, and no other."""
    running = []

    @registry.method
    def waits():
        running.append(gevent.getcurrent())
        gevent.sleep(TIMEOUT)

    @registry.method
    def kill():
        gevent.kill(running.pop())

    served = serve(Application(registry))
    with served.wire() as other:
        for _ in range(2):
            with served.wire() as wire:
                wire.send(get("waits"))
                wait_until(lambda: running, "the call")
                assert other.ask(get("kill")).status == 200
                answer = wire.answer()
                assert (answer.status, answer.headers["connection"], wire.rest()) == (504, "close", b"")
        assert other.ask(PING).body == PONG


# Stopping.


def test_calls_in_flight_are_answered(serve, application, gate):
    """At a stop the listener and idle connections are closed at once, and the calls in flight are answered and closed."""
    served = serve(application)
    idle = [served.wire() for _ in range(20)]
    for wire in idle[:10]:
        assert wire.ask(PING).body == PONG
    busy = [served.wire() for _ in range(20)]
    for number, wire in enumerate(busy):
        wire.send(get("hold" if number < 15 else "block"))
    wait_until(lambda: gate.entered == 20, "the calls")
    begin = time.monotonic()
    served.stop()
    assert [wire.rest() for wire in idle] == [b""] * 20
    assert time.monotonic() - begin < AT_ONCE
    with pytest.raises(ConnectionRefusedError):
        served.connect()
    assert served.connections == 20
    gate.opened.set()
    for wire in busy:
        with wire:
            answer = wire.answer()
            assert (answer.status, answer.headers["connection"], wire.rest()) == (200, "close", b"")
    served.join()
    assert served.connections == 0


def test_requests_that_have_come_are_answered(serve, application):
    """A request that arrived before the stop is answered, although the server had not begun to read it."""
    served = serve(application)
    wires = [served.wire() for _ in range(50)]
    for wire in wires:
        wire.ask(PING)
    for wire in wires:
        wire.send(PING)
    served.stop()
    for wire in wires:
        with wire:
            assert wire.answer().body == PONG
            assert wire.rest() == b""
    served.join()


def test_not_ready_while_stopping(serve, application, gate):
    """A request whose end comes during the stop is answered, and /-/ready says that the server is stopping."""
    served = serve(application)
    with served.wire() as ready, served.wire() as healthy, served.wire() as busy:
        assert ready.ask(READY).json() == {"ready": True}
        ready.send(READY[:9])
        healthy.send(get("-/healthy")[:9])
        busy.send(get("hold"))
        wait_until(lambda: gate.entered and sum(not c.idle for c in served.server.connections) == 3, "all have begun")
        served.stop()
        wait_until(lambda: served.server.draining, "the stop")
        answer = ready.ask(READY[9:])
        assert (answer.status, answer.headers["connection"], answer.headers["retry-after"]) == (503, "close", "1")
        assert ready.rest() == b""
        answer = healthy.ask(get("-/healthy")[9:])
        assert (answer.status, answer.headers["connection"], healthy.rest()) == (200, "close", b"")
        gate.opened.set()
        assert busy.answer().headers["connection"] == "close"
    served.join()


def test_the_end_of_the_grace_period(serve, application, gate, caplog):
    """Calls that are stuck at the end of the grace period are answered with 504, without Retry-After, and the server ends."""
    served = serve(application, timeouts=Timeouts(grace=0.3))
    with served.wire() as wire:
        wire.send(get("hold"))
        wait_until(lambda: gate.entered, "the call")
        begin = time.monotonic()
        served.stop()
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"], wire.rest()) == (504, "close", b"")
        assert "retry-after" not in answer.headers
        assert "may have taken effect" in answer.json()["detail"]
        gate.opened.set()
    served.join()
    assert time.monotonic() - begin < AT_ONCE
    assert "the grace period is over: the server closes 1 open connection" in caplog.text


def test_the_end_of_the_grace_period_in_an_answer(serve, gate):
    """An answer that has begun when the grace period ends breaks off, and nothing is put into its body."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"begun"
        gate.hold()

    served = serve(app, timeouts=Timeouts(grace=0.3))
    with served.wire() as wire:
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        wait_until(lambda: gate.entered, "the call")
        served.stop()
        assert wire.rest().endswith(b"\r\n\r\nbegun")
        gate.opened.set()
    served.join()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_client_that_came_just_before_a_stop(serve, application, certificate, secure):
    """A client that has just connected has a moment for its first request when the server stops, and no more than that."""
    served = serve(application, **({"ssl_context": server_context(certificate.cert, certificate.key)} if secure else {}))

    def wire_to(served, sock=None):
        sock = sock or served.connect()
        return Wire(client_context(certificate).wrap_socket(sock, server_hostname="localhost") if secure else sock)

    with served.connect() as late, served.connect() as silent, wire_to(served) as idle:
        assert idle.ask(PING).body == PONG
        wait_until(lambda: served.connections == 3, "they are there")
        served.stop()
        assert idle.rest() == b""  # from now on nobody else is awaited
        with wire_to(served, late) as wire:
            answer = wire.ask(PING)
            assert (answer.body, answer.headers["connection"]) == (PONG, "close")
        silent.settimeout(AT_ONCE)
        assert read_all(silent) == b""
    served.join(AT_ONCE)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_a_stop_after_a_large_answer(serve, application, certificate, secure):
    """A connection that had a large answer and is idle now is closed at once like any other."""
    served = serve(application, **({"ssl_context": server_context(certificate.cert, certificate.key)} if secure else {}))
    with secured(served, certificate) if secure else served.wire(narrow=True) as wire:
        assert len(wire.ask(BIG).body) > 20_000_000
        begin = time.monotonic()
        served.stop()
        wire.socket.settimeout(AT_ONCE)
        assert wire.rest() == b""
        served.join(AT_ONCE)
        assert time.monotonic() - begin < AT_ONCE


def test_a_large_answer_is_sent_to_its_end_at_a_stop(serve, application):
    """An answer that is being sent when the stop begins comes whole."""
    served = serve(application)
    with served.wire(narrow=True) as wire:
        wire.send(BIG)
        first = wire.socket.recv(1000)
        wire.socket.settimeout(AT_ONCE)
        served.stop()
        wait_until(lambda: served.server.draining, "the stop")
        told = first + read_all(wire.socket)
    assert len(told.partition(b"\r\n\r\n")[2]) == 20_000_010
    served.join()


def test_stopping_twice(serve, application):
    """A second stop of a stopped server does nothing."""
    served = serve(application)
    served.stop()
    served.stop()
    served.join()


# TLS. The process of these tests is not patched by gevent; one of them is.


@pytest.fixture
def tls(serve, application, certificate):
    """The application served over TLS, with short time limits."""
    context = server_context(certificate.cert, certificate.key)
    return serve(application, ssl_context=context, timeouts=Timeouts(handshake=0.5, head=1))


def client_context(certificate, version=None):
    """What a client needs to trust the server."""
    context = ssl.create_default_context(cafile=certificate.ca)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def secured(served, certificate, context=None, **options):
    """A TLS connection."""
    context = context or client_context(certificate)
    return Wire(context.wrap_socket(served.connect(), server_hostname="localhost", **options))


def test_tls(tls, certificate):
    """Calls are answered over TLS on a kept connection, also large and pipelined ones."""
    assert tls.url.startswith("https://127.0.0.1:")
    with secured(tls, certificate) as wire:
        for _ in range(3):
            assert wire.ask(PING).body == PONG
        wire.send(PING * 100 + BIG + PING)
        assert [wire.answer().body for _ in range(100)] == [PONG] * 100
        assert len(wire.answer().body) > 20_000_000
        assert wire.answer().body == PONG


def test_a_large_answer_that_waits_over_tls(tls, certificate):
    """A large answer comes whole to a client that takes its time, and again on the same connection."""
    with secured(tls, certificate) as wire:
        for _ in range(2):
            wire.send(BIG)
            threading.Event().wait(0.2)  # the server's buffers are full by now
            assert wire.answer().body == b'{"big":"%b"}' % (b"x" * 20_000_000)
        assert wire.ask(PING).body == PONG


def test_a_large_body_over_tls(serve, certificate, registry):
    """A body of many TLS records is read whole."""
    registry.register(len, "length")
    served = serve(Application(registry), ssl_context=server_context(certificate.cert, certificate.key))
    body = b'["' + b"x" * 1_000_000 + b'"]'
    with secured(served, certificate) as wire:
        for _ in range(2):
            head = b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
            assert wire.ask(head + body + PING).body == b'{"length":1000000}'
            assert wire.answer().body == PONG


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(tls, certificate, version):
    """A client that comes again takes up its session."""
    context = client_context(certificate, version)
    with secured(tls, certificate, context) as wire:
        assert wire.ask(PING).body == PONG
        assert not wire.socket.session_reused
        session = wire.socket.session
    with secured(tls, certificate, context, session=session) as wire:
        assert wire.ask(PING).body == PONG
        assert wire.socket.session_reused


def silent(served, certificate):
    """Connect and say nothing."""
    with served.connect() as connection:
        assert read_all(connection) == b""


def plain_http(served, certificate):
    """Speak HTTP to the TLS port."""
    with served.connect() as connection:
        connection.sendall(PING)
        read_all(connection)


def garbage(served, certificate):
    """Send bytes that are nothing."""
    with served.connect() as connection:
        connection.sendall(b"\x16\x03\x01\xff\xff" + b"\x00" * 500)
        read_all(connection)


def leaving(served, certificate):
    """Connect and go."""
    served.connect().close()


def half_way(served, certificate):
    """Go in the middle of the handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    greeting = client_context(certificate).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        greeting.do_handshake()
    with served.connect() as connection:
        connection.sendall(outgoing.read())
        connection.recv(100)


def distrusting(served, certificate):
    """Refuse the server's certificate."""
    with pytest.raises(ssl.SSLCertVerificationError):
        secured(served, certificate, ssl.create_default_context())


BAD_HANDSHAKES = [silent, plain_http, garbage, leaving, half_way, distrusting]


@pytest.mark.parametrize("client", BAD_HANDSHAKES)
def test_a_bad_handshake_is_one_line(tls, certificate, caplog, client):
    """A client that does not shake hands costs one line in the log and no traceback, and the server keeps running."""
    client(tls, certificate)
    wait_until(lambda: "handshake failed" in caplog.text, "the line")
    with secured(tls, certificate) as wire:
        assert wire.ask(PING).body == PONG
    wait_until(lambda: tls.connections == 0, "the end of the connections")
    assert [record.levelname for record in caplog.records if "handshake failed" in record.message] == ["WARNING"]
    assert re.search(r"127\.0\.0\.1: TLS handshake failed: \S", caplog.text)


def test_a_silent_handshake_stalls_nobody(tls, certificate):
    """While many clients are in their handshake, calls are answered."""
    silents = [tls.connect() for _ in range(20)]
    with secured(tls, certificate) as wire:
        begin = time.monotonic()
        assert wire.ask(PING).body == PONG
        assert time.monotonic() - begin < AT_ONCE
    for connection in silents:
        with connection:
            assert read_all(connection) == b""


def test_time_limits_over_tls(serve, application, certificate):
    """The time limits of a head and of an answer hold over TLS, and the refusal can be read."""
    context = server_context(certificate.cert, certificate.key)
    served = serve(application, ssl_context=context, timeouts=Timeouts(head=1, write=1, rate=1e9))
    with secured(served, certificate) as wire, secured(served, certificate) as other:
        wire.send(PING[:9])
        assert other.ask(PING).body == PONG
        other.send(BIG * 3)
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        wait_until(lambda: served.connections == 0, "the end of both")


@pytest.mark.parametrize("sent", [b"", PING[:9], PING, get("hold"), BIG * 4, b"bad\r\n"])
def test_a_client_that_vanishes_from_tls(tls, certificate, gate, sent):
    """A TLS client that goes away at any moment leaves no connection behind and hurts no other."""
    with secured(tls, certificate) as wire:
        wire.send(sent)
        if b"hold" in sent:
            wait_until(lambda: gate.entered, "the call")
    gate.opened.set()
    wait_until(lambda: tls.connections == 0, "its end")
    with secured(tls, certificate) as wire:
        assert wire.ask(PING).body == PONG


def test_stopping_over_tls(tls, certificate, gate):
    """At a stop a call in flight over TLS is answered, and an idle TLS connection is closed."""
    with secured(tls, certificate) as busy, secured(tls, certificate) as idle:
        assert idle.ask(PING).body == PONG
        busy.send(get("hold"))
        wait_until(lambda: gate.entered, "the call")
        tls.stop()
        assert idle.rest() == b""
        gate.opened.set()
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    tls.join()


def test_a_context_that_can_t_be_served(application):
    """A context of a class of its own, whose sockets would block the loop, is refused with a word on what to do."""

    class Own(ssl.SSLContext):
        __slots__ = ("own",)

    for context in (Own(ssl.PROTOCOL_TLS_SERVER), "cert.pem"):
        with pytest.raises(SettingsError, match=rf"{type(context).__name__} can't be served; make an ssl\.SSLContext"):
            Server(("127.0.0.1", 0), application, ssl_context=context)


SCRIPT = """
import ssl, sys
early = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if "early" in sys.argv else None
from gevent import monkey
monkey.patch_all()
import logging
logging.basicConfig(level="INFO")
from gjrpc import Application, Registry, Server
from gjrpc.limits import Timeouts
from gjrpc.server.tls import server_context
registry = Registry()
registry.register(lambda: "pong", "ping")
context = early or server_context(*sys.argv[1:3])
if early:
    early.load_cert_chain(*sys.argv[1:3])
server = Server(("127.0.0.1", 0), Application(registry), hosts=["a"], ssl_context=context, timeouts=Timeouts(handshake=0.5))
server.start()
print(server.url, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_tls_in_a_patched_process(launch, certificate, tmp_path, when):
    """In a process that gevent has patched TLS is the same, whether its context was made before or after the patching."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    program = launch(str(script), certificate.cert, certificate.key, when)
    host, port = program.wait_url().removeprefix("https://").split(":")
    program.address = (host, int(port))
    program.connect = lambda: socket.create_connection(program.address, timeout=TIMEOUT)
    for number, client in enumerate(BAD_HANDSHAKES, 1):
        client(program, certificate)
        program.wait_for(rf"(?s)(handshake failed.*){{{number}}}")
        with secured(program, certificate) as wire:
            assert wire.ask(PING * 2).body == PONG
            assert wire.answer().body == PONG
    assert "Traceback" not in program.output
    assert program.output.count("handshake failed") == len(BAD_HANDSHAKES)


def test_a_coded_body_is_for_applications_that_decode_it(serve, registry):
    """A gzip body is refused by its head where methods are called, each time; another WSGI application gets it as it is."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    with serve(Application(registry)).wire() as wire:
        for _ in range(3):
            assert wire.ask(head % (b"identity", 11) + b'{"ping":""}').json() == {"ping": "pong"}
        answer = wire.ask(head % (b"gzip", 9000))
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")

    def length(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["HTTP_CONTENT_ENCODING"].encode(), environ["wsgi.input"].read()]

    with serve(length).wire() as wire:
        assert wire.ask(head % (b"gzip", 3) + b"\x1f\x8b\0").body == b"gzip\x1f\x8b\0"

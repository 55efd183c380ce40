"""Running a call to its end."""

import asyncio
import logging
import math
import re
import signal
from dataclasses import dataclass

import pytest

from gjrpc.calls.call import Call
from gjrpc.calls.disclosure import internal_error
from gjrpc.calls.dispatch import Dispatcher, Finished
from gjrpc.calls.method import Method
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import Plain
from gjrpc.errors import CallError, DeadlineExceeded, InternalError, InvalidArguments, MethodNotFound

SECRET = "the database's password is swordfish"
GENERIC = "the method failed; the server's log has the details under this ref"


class OwnError(CallError):
    """An application's own error."""

    code = 7


class Forgetful(CallError):
    """An error whose __init__ does not call that of its base."""

    def __init__(self):
        pass


@dataclass
class Positive:
    """An argument whose class raises an exception that is not about the value."""

    n: int

    def __post_init__(self):
        raise KeyError(SECRET)


def dispatcher(function, observers=(), runtime=None, **options):
    """A dispatcher of one method, called `m`."""
    registry = Registry()
    registry.register(function, "m", **options)
    return Dispatcher(registry, runtime or Plain(), observers)


def raising(error):
    """A method that raises."""

    def method():
        raise error

    return method


def run(function, arguments=(), **options):
    """Run one call of a function."""
    return dispatcher(function, **options).run(Call("m", list(arguments)))


def test_a_result_is_json():
    """A call returns its result as JSON."""
    assert run(lambda a, b: a + b, [1, 2]) == b"3"
    assert run(lambda: None) == b"null"


@pytest.mark.parametrize(("arguments", "text"), [({"a": ["1"]}, True), ({"a": 1}, False), ([1], False), ("1", True), (1, False)])
def test_arguments_are_bound_as_they_came(arguments, text):
    """JSON is bound as JSON and text as text."""

    def method(a: int) -> int:
        return a

    assert dispatcher(method).run(Call("m", arguments, text)) == b"1"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pong", "no method 'pong'; did you mean 'ping'?"),
        ("xyz", "no method 'xyz'; list_methods lists them all"),
        ("", "no method ''; list_methods lists them all"),
    ],
)
def test_an_unknown_method_is_named(name, hint):
    """The error for an unknown method names it, and close matches if there are any."""
    registry = Registry()
    registry.register(lambda: 0, "ping")
    outcome = Dispatcher(registry, Plain()).run(Call(name, []))
    assert isinstance(outcome, MethodNotFound)
    assert outcome.message == hint


def test_an_endless_name_is_not_repeated():
    """The error for a name of megabytes has only its beginning, and the name is not compared with others."""
    outcome = dispatcher(lambda: 0).run(Call("m" * 5_000_000, []))
    assert isinstance(outcome, MethodNotFound)
    assert outcome.message == f"no method '{'m' * 100}…'; list_methods lists them all"


def test_hints_name_later_methods():
    """Hints include methods that were registered later."""
    registry = Registry()
    registry.register(lambda: 0, "ping")
    run = Dispatcher(registry, Plain()).run
    assert "did you mean 'ping'?" in run(Call("pinh", [])).message
    registry.register(lambda: 0, "pinb")
    assert "did you mean 'pinb' or 'ping'?" in run(Call("pinh", [])).message


@pytest.mark.parametrize(("arguments", "text"), [([1], False), ({"x": 1}, False), ("x", True)])
def test_arguments_that_do_not_fit_are_told(arguments, text, caplog):
    """An argument error is found before the call, is sent to the client, and is not logged."""
    outcome = dispatcher(raising(AssertionError("the method was called"))).run(Call("m", arguments, text))
    assert isinstance(outcome, InvalidArguments)
    assert not caplog.records


FAULTS = [
    ValueError(SECRET),
    TypeError(f"m() takes {SECRET}"),
    KeyError(SECRET),
    AssertionError(SECRET),
    RecursionError(SECRET),
    MemoryError(SECRET),
    NameError(SECRET),
    StopIteration(SECRET),
    OSError(5, SECRET),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, SECRET),
    SystemExit(SECRET),
    KeyboardInterrupt(SECRET),
    GeneratorExit(SECRET),
    BaseException(SECRET),
    type("Own", (BaseException,), {})(SECRET),
]


def assert_hidden(outcome, caplog, words):
    """Assert that the answer has only a reference, under which the log has the rest."""
    assert type(outcome) is InternalError
    assert SECRET not in f"{outcome.message} {outcome.data}"
    assert re.fullmatch(r"[0-9a-f]{12}", outcome.ref)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("gjrpc.calls", logging.ERROR)
    assert f"ref {outcome.ref}: method m: " in caplog.text
    for word in words:
        assert word in caplog.text


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("options", [{}, {"blocking": True}, {"deadline": 5}], ids=["plain", "blocking", "with a deadline"])
def test_an_exception_is_told_by_its_reference_only(error, options, caplog):
    """Whatever a method raises becomes an internal error with a reference, and only the log has its text and traceback."""
    outcome = run(raising(error), **options)
    assert outcome.message == GENERIC
    assert_hidden(outcome, caplog, [SECRET, type(error).__name__, "Traceback", "in method"])


def test_each_failure_has_its_own_reference(caplog):
    """Each failure has its own reference."""
    assert len({run(raising(ValueError())).ref for _ in range(50)}) == 50


def test_an_interrupt_of_the_process_passes(caplog):
    """A SIGINT during a method ends what runs the call, and is not an error of the call."""
    with pytest.raises(KeyboardInterrupt):
        run(lambda: signal.raise_signal(signal.SIGINT))
    assert not caplog.records


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, SystemExit, BaseException])
def test_an_observer_may_raise_anything(kind, caplog):
    """Whatever an observer raises is logged; the other observers are called, and the call returns its result."""
    told = []

    def observe(finished):
        raise kind(SECRET)

    assert run(lambda: 5, observers=[observe, told.append]) == b"5"
    assert len(told) == 1
    assert SECRET in caplog.text


def test_an_argument_s_own_fault_is_an_internal_error(caplog):
    """An exception raised by the class of an argument is an internal error."""

    def method(p: Positive) -> None: ...

    outcome = dispatcher(method).run(Call("m", [{"n": 1}]))
    assert_hidden(outcome, caplog, [SECRET, "KeyError"])


@pytest.mark.parametrize(
    "error",
    [CallError("no", code=5, data={"a": 1}, status=404), OwnError("no"), InvalidArguments("no"), DeadlineExceeded("no")],
    ids=lambda error: type(error).__name__,
)
def test_the_library_s_own_errors_are_told(error, caplog):
    """A CallError that a method raises is sent to the client, and is not logged."""
    assert run(raising(error)) is error
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CallError("no", data=object()), "error data is not JSON: Encoding objects of type object"),
        (CallError("no", data=[math.nan]), "error data is not JSON: a float that is nan"),
        (CallError(ValueError(SECRET)), "the error can't be sent"),
        (CallError("no", data="\ud800"), "error data is not JSON: a str with a lone surrogate"),
        (Forgetful(), "the error can't be sent"),
    ],
    ids=["an object", "NaN", "an exception as the message", "a lone surrogate", "no message"],
)
def test_error_data_that_is_not_json_is_an_internal_error(error, words, caplog):
    """An error that can't be sent becomes an internal error with a reference, and the log has the error."""
    outcome = run(raising(error))
    assert words in outcome.message
    assert_hidden(outcome, caplog, [type(error).__name__, "Traceback"])


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (object(), "type object"),
        ([1, math.inf], "a float that is inf"),
        ({"a": (math.nan,)}, "a float that is nan"),
        ("\ud800", "a str with a lone surrogate"),
        ({1, 2}.__iter__(), "set_iterator"),
    ],
    ids=["an object", "infinity", "NaN", "a lone surrogate", "an iterator"],
)
def test_a_result_that_is_not_json_is_named(result, words, caplog):
    """A result that JSON can't represent is an internal error that names its type, with a reference."""
    outcome = run(lambda: result)
    assert outcome.message.startswith("the method's result is not JSON: ")
    assert words in outcome.message
    assert_hidden(outcome, caplog, ["NotJSON"])


class Recording(Plain):
    """A runtime that records what it runs, and lets deadlines pass."""

    def __init__(self):
        self.asked = []

    def call(self, method, positional, named):
        self.asked.append((method.name, list(positional), named))
        if method.options.deadline:
            raise DeadlineExceeded("too late")
        return super().call(method, positional, named)


@pytest.mark.parametrize(("options", "asked"), [({}, []), ({"blocking": True}, [("m", [1], {})])])
def test_only_what_is_not_plain_goes_to_the_runtime(options, asked):
    """A plain method is called directly; the runtime calls one that blocks or has a deadline."""
    runtime = Recording()
    assert run(lambda a: a, [1], runtime=runtime, **options) == b"1"
    assert runtime.asked == asked


def test_a_passed_deadline_is_told():
    """If the runtime raises DeadlineExceeded, that is the outcome."""
    outcome = run(lambda a: a, [1], runtime=Recording(), deadline=1)
    assert isinstance(outcome, DeadlineExceeded)


def test_calls_run_in_order():
    """The runtime runs several calls, and their outcomes are in order."""
    assert list(dispatcher(lambda: 0).each(str, [1, 2])) == ["1", "2"]


def test_observers_are_told_of_each_call():
    """Each observer gets name, time and error of each finished call, also of a call to an unknown method."""
    first, second = [], []
    observed = dispatcher(raising(OwnError("no")), [first.append, second.append])
    assert observed.run(Call("list_methods", [])).startswith(b"[")
    error = observed.run(Call("m", []))
    unknown = observed.run(Call("nope", []))
    assert first == second
    assert [(told.method, told.error) for told in first] == [("list_methods", None), ("m", error), ("nope", unknown)]
    assert all(0 <= told.seconds < 60 for told in first)


def test_a_failing_observer_spoils_nothing(caplog):
    """An exception in an observer is logged, and affects neither the outcome nor the other observers."""
    told = []
    observed = dispatcher(lambda: 1, [raising(ValueError(SECRET)), lambda finished: 1 / 0, told.append])
    assert observed.run(Call("m", [])) == b"1"
    assert len(told) == 1
    assert [record.name for record in caplog.records] == ["gjrpc.calls"] * 2
    assert "ZeroDivisionError" in caplog.text


def test_without_observers_nothing_is_measured(monkeypatch):
    """Without observers no time is measured."""
    monkeypatch.setattr("time.perf_counter", raising(AssertionError("the time was taken")))
    assert run(lambda: 1) == b"1"


def test_what_observers_are_told_does_not_change():
    """An observer can't change the record of a finished call for the next one."""
    with pytest.raises(AttributeError):
        Finished("m", 0.0, None).method = "n"


def test_a_failure_outside_of_a_method_is_logged_too(caplog):
    """A failure outside of a method is logged under its reference without a method's name."""
    outcome = internal_error("the sentence", ValueError(SECRET))
    assert outcome.message == "the sentence"
    assert f"ref {outcome.ref}: the sentence" in caplog.text
    assert SECRET in caplog.text


def test_an_asyncio_loop_beside_another(caplog):
    """A method that starts an event loop beside that of another call fails, and the log says how to register it."""

    async def value():
        return 1

    async def outer():
        inner = value()
        try:
            return run(lambda: asyncio.run(inner))
        finally:
            inner.close()

    assert run(lambda: asyncio.run(value())) == b"1"
    outcome = asyncio.run(outer())
    assert isinstance(outcome, InternalError)
    assert "asyncio" not in outcome.message
    assert "register methods that use asyncio with blocking=True" in caplog.text


@pytest.mark.parametrize("name", ["x", "a.b"])
def test_an_instance_s_own_dispatch_is_run(name):
    """A call to an unregistered name runs the instance's _dispatch."""

    class Instance:
        def _dispatch(self, method, params):
            return [method, params]

    registry = Registry()
    registry.register_instance(Instance())
    assert Dispatcher(registry, Plain()).run(Call(name, {"a": 1})) == b'["%b",{"a":1}]' % name.encode()


def test_a_method_can_be_moved_to_threads():
    """An offloaded method runs by the runtime from its next call on, also one of the protocol's own methods."""
    runtime = Recording()
    registry = Registry()
    registry.register(lambda: 1, "m")
    dispatcher = Dispatcher(registry, runtime, own=[Method.of("rpc.discover", lambda: 2)])
    for name, result in (("m", b"1"), ("rpc.discover", b"2")):
        assert dispatcher.run(Call(name, [])) == result
        assert not runtime.asked
        dispatcher.offload(registry.find(name) or dispatcher._own[name])
        assert dispatcher.run(Call(name, [])) == result
        assert runtime.asked.pop() == (name, [], {})


def test_offloading_registers_nothing():
    """A name that only an instance's _dispatch answers is not registered by offloading its method."""

    class Instance:
        def _dispatch(self, method, params):
            return method

    registry = Registry()
    registry.register_instance(Instance())
    Dispatcher(registry, Plain()).offload(registry.find_dispatched("x"))
    assert registry.find("x") is None

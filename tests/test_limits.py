"""Each limit has one default, wherever it can be set."""

import ast
import inspect
from pathlib import Path

import pytest

import gjrpc
from gjrpc import limits
from gjrpc.app.jsonrpc import JSONRPCDialect
from gjrpc.app.options import Options as ApplicationOptions
from gjrpc.auth import credentials
from gjrpc.client.client import Client
from gjrpc.client.options import Options as ClientOptions
from gjrpc.commands.settings import Settings
from gjrpc.limits import Limits, Timeouts
from gjrpc.process.threads import Threads
from gjrpc.server import addresses
from gjrpc.server.gevent_runtime import Green
from gjrpc.server.scheduler import Greenlets
from gjrpc.server.server import Server
from gjrpc.server.watchdog import Watchdog
from gjrpc.values.codec import Decoder

# Where the limit behind an option can be set in Python: (option, callable, its parameter).
PARAMETERS = [
    ("max_answer", ApplicationOptions, "max_answer"),
    ("max_depth", ApplicationOptions, "max_depth"),
    ("max_values", ApplicationOptions, "max_values"),
    ("max_answer", JSONRPCDialect, "max_answer"),
    ("max_depth", Decoder, "max_depth"),
    ("max_values", Decoder, "max_values"),
    ("max_bodies", Server, "max_bodies"),
    ("max_calls", Server, "max_calls"),
    ("max_connections", Server, "max_connections"),
    ("max_queued", Server, "max_queued"),
    ("max_unsent", Server, "max_unsent"),
    ("threads", Server, "threads"),
    ("max_calls", Greenlets, "most"),
    ("threads", Green, "threads"),
    ("max_queued", Green, "queue"),
    ("threads", Threads, "most"),
    ("max_queued", Threads, "queue"),
    ("max_failures", credentials.guard, "max_failures"),
    ("socket_mode", addresses.Endpoint, "mode"),
    ("stall_limit", Watchdog, "limit"),
]

# Limits without an option: (default, callable, its parameter).
OTHERS = [
    (limits.MAX_BODY, ApplicationOptions, "max_body"),
    (limits.MAX_BATCH, ApplicationOptions, "max_batch"),
    (limits.MAX_BATCH, JSONRPCDialect, "max_batch"),
    (limits.CLIENT_TIMEOUT, Client, "timeout"),
    (limits.CLIENT_RETRIES, Client, "retries"),
    (limits.CLIENT_POOL, Client, "pool"),
    (limits.CLIENT_MAX_ANSWER, Client, "max_answer"),
    (limits.CLIENT_TIMEOUT, ClientOptions, "timeout"),
    (limits.CLIENT_RETRIES, ClientOptions, "retries"),
    (limits.CLIENT_POOL, ClientOptions, "pool"),
    (limits.CLIENT_MAX_ANSWER, ClientOptions, "max_answer"),
]

FILES = sorted(path for path in Path(gjrpc.__file__).parent.rglob("*.py") if path.name != "limits.py")
# Words that name other things too.
NAMES = {name for _, _, name in [*PARAMETERS, *OTHERS]} - {"most", "limit", "timeout"}


def default_of(function, parameter):
    """The default of a parameter."""
    return inspect.signature(function).parameters[parameter].default


@pytest.mark.parametrize(("option", "function", "parameter"), PARAMETERS, ids=lambda part: getattr(part, "__name__", part))
def test_an_option_has_the_default_of_its_parameter(option, function, parameter):
    """An option of the command line and the parameter that it sets have the same default."""
    assert getattr(Settings(), option) == default_of(function, parameter)


@pytest.mark.parametrize(("number", "function", "parameter"), OTHERS, ids=lambda part: getattr(part, "__name__", part))
def test_a_parameter_has_its_default(number, function, parameter):
    """A limit that is no option has the default of the table."""
    assert default_of(function, parameter) == number


def test_the_options_make_the_default_limits():
    """Without options the limits of a message, the timeouts and the backlog are those of the table."""
    assert Settings().limits == Limits()
    assert Settings().timeouts == Timeouts()
    assert Settings().backlog == Server.backlog == limits.BACKLOG


def numbers(function):
    """The parameters of a function whose defaults are written as numbers."""
    places = [*function.args.posonlyargs, *function.args.args]
    pairs = [
        *zip(reversed(places), reversed(function.args.defaults), strict=False),
        *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True),
    ]
    return {arg.arg for arg, default in pairs if isinstance(getattr(default, "value", None), (int, float))}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_default_is_written_twice(path):
    """No function outside the table writes the default of a limit as a number."""
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]
    assert set().union(*map(numbers, functions)) & NAMES == set()

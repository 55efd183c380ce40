"""The caller of the current call, for methods."""

import subprocess
import sys

import pytest

from gjrpc.calls import context
from gjrpc.calls.registry import Registry
from gjrpc.calls.rights import Caller, Rights


@pytest.fixture
def alice():
    """Run the test within a request of alice, who may call `ping`."""
    entered = context.enter(Caller("alice", Rights(["ping"])))
    yield
    context.leave(entered)


def methods():
    """A registry of three methods."""
    registry = Registry()
    registry.register(lambda: 1, "ping")
    registry.register(lambda: 1, "add")
    registry.register(lambda: 1, "wipe", scope="admin")
    return registry


def test_the_caller_is_there_within_a_request(alice):
    """Within a request, the name of the caller is known."""
    assert context.caller == "alice"
    assert context.current().name == "alice"


def test_outside_of_a_request_there_is_none():
    """Outside of a request there is no caller, and all methods are shown."""
    assert context.caller is None
    assert all(map(context.permits, methods()))


def test_a_caller_sees_what_it_may_call(alice):
    """A caller may call the methods that its patterns and scopes allow."""
    assert [method.name for method in methods() if context.permits(method)] == [
        "list_methods",
        "method_signature",
        "method_help",
        "ping",
    ]


def test_introspection_shows_what_may_be_called(alice):
    """Introspection treats a method that the caller may not call as if it did not exist."""
    registry = methods()
    assert registry.list_methods() == ["list_methods", "method_help", "method_signature", "ping"]
    for hidden in ("add", "wipe", "nope"):
        assert registry.method_signature(hidden) == {hidden: "method/function not found"}
        assert registry.method_help(hidden) == f"Method [{hidden}] not found"
    assert registry.method_signature("ping") == {"ping": []}


def test_another_name_is_not_there():
    """Any other name is an AttributeError that says so."""
    with pytest.raises(AttributeError, match=r"'gjrpc\.calls\.context' has no attribute 'nope'"):
        _ = context.nope


def test_it_is_reached_from_the_package():
    """`gjrpc.context.caller` works after `import gjrpc` alone."""
    program = "import gjrpc; print(gjrpc.context.caller)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "None\n"

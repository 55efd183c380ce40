"""The methods of an instance."""

import functools
import math
import re
import threading

import pytest

from gjrpc.calls.instances import Fallback, public_methods
from gjrpc.calls.options import MethodOptions
from gjrpc.errors import MethodNotFound


def add(a, b=10):
    """Add two numbers."""
    return a + b


def names(instance):
    """The names of an instance's methods, sorted."""
    return sorted(name for name, _ in public_methods(instance, ""))


class Shape:
    def __call__(self, x):
        return x


class Ping:
    def ping(self):
        return "pong"


class Disk(Ping):
    """An instance with attributes that become methods, and others that don't."""

    def __init__(self):
        self.ping_twice = Ping()
        self._hidden = Ping()
        self.parent = self
        self.name = "sda"
        self.module = math
        self.kind = Shape
        self.pattern = re.compile("a")
        self.lock = threading.Lock()
        self.shape = Shape()
        self.function = add

    def free(self, path):
        return path

    def _secret(self):
        return 1

    @property
    def broken(self):
        raise RuntimeError("a property must not be run")

    @functools.cached_property
    def cached(self):
        raise RuntimeError("a cached property must not be run")

    @staticmethod
    def static(x):
        return x

    @classmethod
    def cls(cls):
        return cls.__name__


DISK = ["cls", "free", "function", "ping", "ping_twice.ping", "shape", "static"]


@pytest.mark.parametrize("prefix", ["", "disk."])
def test_what_of_an_instance_is_reached(prefix):
    """Public methods and, under dotted names, those of attributes are served; private, built-in and computed ones are not."""
    found = dict(public_methods(Disk(), prefix))
    assert sorted(found) == [prefix + name for name in DISK]
    assert found[prefix + "ping_twice.ping"]() == "pong"
    assert found[prefix + "cls"]() == "Disk"
    assert found[prefix + "function"](1, 2) == 3


def test_a_cycle_is_entered_once():
    """A cycle of instances is entered once."""
    left, right = Ping(), Ping()
    left.right, right.left = right, left
    assert names(left) == ["ping", "right.ping"]


class Slots:
    __slots__ = ("unset",)

    def __dir__(self):
        return ["dynamic", "missing", "unset"]

    def __getattr__(self, name):
        if name == "dynamic":
            return add
        raise AttributeError(name)


def test_attributes_may_be_made_up_or_missing():
    """Attributes that an instance computes are served, and those that do not exist are left out."""
    assert names(Slots()) == ["dynamic"]


class Dispatching:
    """An instance with a _dispatch, as in py-jrpc."""

    def public(self):
        raise AssertionError("an instance's own _dispatch must not be passed by")

    def _dispatch(self, method, params):
        if method == "unknown":
            raise NameError(f"method {method} is not supported")
        if method == "missing":
            raise MethodNotFound("no such thing")
        if method == "fault":
            return undefined  # noqa: F821  the fault that is tested
        if method == "unbound":
            return self.unbound()
        return [method, params]

    def unbound(self):
        if not self:
            value = 1
        return value


FALLBACK = Fallback("", Dispatching()._dispatch, MethodOptions())


@pytest.mark.parametrize("prefix", ["", "d."])
def test_a_dispatch_gets_what_comes(prefix):
    """_dispatch gets the name without the prefix and the arguments as received, and no call with another prefix."""
    fallback = Fallback(prefix, Dispatching()._dispatch, MethodOptions(blocking=True))
    method = fallback.find(prefix + "public")
    assert (method.name, method.options.blocking) == (prefix + "public", True)
    for value in ([1, 2], {"a": 1}, 5, "", None):
        positional, named = method.binding.bind(value)
        assert method.function(*positional, **named) == ["public", value]
    assert Fallback("other.", Dispatching()._dispatch, MethodOptions(blocking=True)).find(prefix + "public") is None


@pytest.mark.parametrize(
    ("text", "params"),
    [(None, ""), ("", ""), ("v", "v"), ({"a": ["1"], "b": ["1", "2"]}, {"a": "1", "b": ["1", "2"]})],
)
def test_an_instance_s_own_dispatch_gets_texts(text, params):
    """_dispatch gets the arguments of a GET as text, and repeated ones as a list of its own."""
    method = FALLBACK.find("x")
    positional, named = method.binding.bind_text(text)
    assert method.function(*positional, **named) == ["x", params]
    assert method.binding.names == ["params"]


@pytest.mark.parametrize("name", ["_x", "a._x", "__class__", "a.__init__.b"])
def test_an_instance_s_own_dispatch_gets_no_private_name(name):
    """No name with a part that begins with an underscore reaches _dispatch."""
    assert FALLBACK.find(name) is None


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("unknown", MethodNotFound, "no method 'unknown'"),
        ("missing", MethodNotFound, "no such thing"),
        ("fault", NameError, "undefined"),
        ("unbound", UnboundLocalError, "value"),
    ],
)
def test_a_dispatch_says_that_it_knows_no_such_method(name, kind, words):
    """A NameError raised by hand means an unknown method, as in py-jrpc; the interpreter's own stays a NameError."""
    with pytest.raises(kind, match=words) as caught:
        FALLBACK.find(name).function([])
    assert type(caught.value) is kind

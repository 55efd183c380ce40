"""The registered methods, by name."""

import functools
import math

import pytest

from gjrpc.calls.registry import Registry
from gjrpc.errors import RegistrationError

INTROSPECTION = ["list_methods", "method_help", "method_signature"]


@pytest.fixture
def registry():
    """An empty registry."""
    return Registry()


def own(registry):
    """The names in a registry, without the introspection methods."""
    return [name for name in registry.list_methods() if name not in INTROSPECTION]


def run(registry, name, *arguments):
    """Call a method of a registry."""
    return registry.find(name).function(*arguments)


def add(a, b=10):
    """Add two numbers.

    Both may be large.
    """
    return a + b


class Shape:
    def area(self):
        """How large it is."""
        return 5

    @classmethod
    def made(cls):
        return cls.__name__

    @staticmethod
    def unit(a):
        return a

    def __call__(self, x):
        return x


# Registering functions.


def test_the_decorator_bare(registry):
    """The bare decorator registers a function under its own name and returns it unchanged."""
    assert registry.method(add) is add
    assert run(registry, "add", 1, 2) == 3


def test_the_decorator_with_options(registry):
    """The decorator keeps its options with the method, and returns the function unchanged."""
    decorated = registry.method(name="plus", blocking=True, deadline=2.5, scope="admin", description="Adds.")(add)
    method = registry.find("plus")
    assert decorated is add
    assert (method.options.blocking, method.options.deadline, method.description, method.function) == (True, 2.5, "Adds.", add)
    assert (method.options.scope, method.plain, registry.scopes) == ("admin", False, {"admin"})
    assert method.renamed("other").options.scope == "admin"
    assert own(registry) == ["plus"]


def test_options_have_plain_defaults(registry):
    """A method without options runs in place without a deadline, and its docstring describes it."""
    registry.method()(add)
    method = registry.find("add")
    assert (method.options.blocking, method.options.deadline, method.options.scope, method.plain) == (False, None, None, True)
    assert not registry.scopes
    assert method.description == "Add two numbers.\n\nBoth may be large."
    assert repr(method) == "<Method add(a, b)>"


CALLABLES = {
    "a function": (add, None, "add"),
    "a function by another name": (add, "plus", "plus"),
    "a bound method": (Shape().area, None, "area"),
    "a class method": (Shape.made, None, "made"),
    "a static method": (Shape.unit, None, "unit"),
    "a static method inside its class": (staticmethod(add), None, "add"),
    "a class": (Shape, None, "Shape"),
    "a callable with a name given": (Shape(), "shape", "shape"),
    "a partial": (functools.partial(add, 1), None, "add"),
    "a lambda with a name given": (lambda: 1, "one", "one"),
    "a built-in function": (math.sqrt, None, "sqrt"),
    "a name of any letters": (add, "größe 3/4;?", "größe 3/4;?"),
    "an underscore, asked for": (add, "_add", "_add"),
}


@pytest.mark.parametrize(("function", "name", "known"), CALLABLES.values(), ids=CALLABLES)
def test_callables_of_each_kind_are_registered(registry, function, name, known):
    """Every callable with a signature can be registered, under its own name or a given one, and is returned unchanged."""
    assert registry.register(function, name) is function
    assert own(registry) == [known]
    assert registry.find(known).function is function


def test_py_jrpc_s_name_for_register(registry):
    """`register_function`, as in py-jrpc, registers a function with or without a name."""
    registry.register_function(add)
    registry.register_function(add, "plus")
    assert own(registry) == ["add", "plus"]


async def coroutine():
    """A coroutine."""


REFUSED = {
    "a taken name": (add, {"name": "taken"}, "method name 'taken' is taken by <function add"),
    "an introspection method's name": (add, {"name": "list_methods"}, "method name 'list_methods' is taken"),
    "an empty name": (add, {"name": ""}, "method name '': expected a non-empty string"),
    "a number as a name": (add, {"name": 5}, "method name 5: expected a non-empty string"),
    "jsonrpc": (add, {"name": "jsonrpc"}, "method name 'jsonrpc' is reserved: it marks a JSON-RPC 2.0 request"),
    "the specification's names": (add, {"name": "rpc.add"}, "method name 'rpc.add' is reserved"),
    "the pages' names": (add, {"name": "-/add"}, "method name '-/add' is reserved: paths under '/-/' are pages, not methods"),
    "a line break": (add, {"name": "a\nb"}, "it contains a character that can't be printed"),
    "a lone surrogate": (add, {"name": "a\ud800"}, "it contains a character that can't be printed"),
    "not callable": (5, {"name": "five"}, "5 can't be registered: it is not callable"),
    "a lambda without a name": (lambda: 0, {}, "has no name; pass one as name="),
    "a callable without a name": (Shape(), {}, "has no name; pass one as name="),
    "an empty scope": (add, {"scope": ""}, "method 'add' can't be registered: scope='': expected one word, such as 'admin'"),
    "a deadline of zero": (
        add,
        {"deadline": 0},
        "method 'add' can't be registered: deadline=0: expected a number of seconds above 0",
    ),
    "no signature": (max, {}, "method 'max' can't be registered: its signature can't be read"),
    "an async function": (coroutine, {}, "method 'coroutine' can't be registered: it is an async function"),
}


@pytest.mark.parametrize(("function", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_an_error_at_once(registry, function, options, words):
    """A mistake is an error at registration that says what is wrong, and nothing is added or replaced."""
    registry.register(add, "taken")
    with pytest.raises(RegistrationError) as caught:
        registry.register(function, **options)
    assert words in str(caught.value)
    assert own(registry) == ["taken"]


@pytest.mark.parametrize("name", ["json", "rpc", "rpcs.add", "-", "jsonrpc2", "a.rpc.b"])
def test_names_that_look_reserved_are_free(registry, name):
    """Names that only look like reserved ones can be registered."""
    registry.register(add, name)
    assert own(registry) == [name]


# Instances.


class Ping:
    def ping(self):
        """Answers."""
        return "pong"


class Disk(Ping):
    def __init__(self):
        self.shape = Shape()
        self.parts = [Ping()]
        self.ping_twice = Ping()

    def free(self, path):
        return path


@pytest.mark.parametrize("prefix", ["", "disk."])
def test_an_instance_s_public_methods_are_registered(registry, prefix):
    """The public methods of an instance and, under dotted names, of its attributes are registered with the prefix."""
    registry.register_instance(Disk(), prefix)
    assert own(registry) == [prefix + name for name in ("free", "ping", "ping_twice.ping", "shape")]
    assert run(registry, prefix + "ping_twice.ping") == "pong"


def test_an_instance_s_methods_can_all_be_blocking(registry):
    """`blocking` applies to each method of the instance."""
    registry.register_instance(Ping(), blocking=True)
    assert registry.find("ping").options.blocking


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (object(), "the object instance has no public method and no _dispatch"),
        (type("Empty", (), {"_private": add, "value": 5})(), "the Empty instance has no public method"),
        (Ping, "Ping is a class: register an instance of it"),
    ],
)
def test_an_instance_with_nothing_to_call_is_an_error(registry, instance, words):
    """An instance without a public method, or a class instead of an instance, is an error that names it."""
    with pytest.raises(RegistrationError, match=words):
        registry.register_instance(instance)


def test_an_instance_is_registered_whole_or_not_at_all(registry):
    """If one name of an instance is taken, none of its methods is added."""
    registry.register(add, "ping")
    with pytest.raises(RegistrationError, match="'ping' is taken"):
        registry.register_instance(Disk())
    assert own(registry) == ["ping"]


class Dispatching:
    """An instance with a _dispatch, as in py-jrpc."""

    def public(self):
        raise AssertionError("an instance's own _dispatch must not be passed by")

    def _dispatch(self, method, params):
        return [method, params]


@pytest.mark.parametrize("prefix", ["", "d."])
def test_an_instance_s_own_dispatch_gets_unknown_names(registry, prefix):
    """_dispatch gets the name without the prefix and the arguments as received, and no public method bypasses it."""
    registry.register(add)
    registry.register_instance(Dispatching(), prefix, blocking=True)
    assert own(registry) == ["add"]
    method = registry.find_dispatched(prefix + "public")
    assert (method.name, method.options.blocking) == (prefix + "public", True)
    for value in ([1, 2], {"a": 1}, 5, "", None):
        positional, named = method.binding.bind(value)
        assert method.function(*positional, **named) == ["public", value]


def test_a_dispatch_is_reached_through_its_prefix_only(registry):
    """A name without the prefix is unknown, and without a _dispatch so is every unregistered name."""
    assert registry.find_dispatched("x") is None
    registry.register_instance(Dispatching(), "d.")
    assert registry.find_dispatched("x") is None


def test_a_second_dispatch_is_an_error(registry):
    """Only one instance with a _dispatch can be registered."""
    registry.register_instance(Dispatching())
    with pytest.raises(RegistrationError, match="the _dispatch of another instance is already registered"):
        registry.register_instance(Dispatching(), "other.")


# Including other registries.


def test_registries_compose(registry):
    """A registry includes the methods of another with a prefix and their options, without its introspection methods."""
    other = Registry()
    other.register(add, blocking=True, deadline=3, description="Adds.")
    other.register_instance(Dispatching(), "d.")
    registry.include(other, prefix="host.")
    registry.include(Registry())
    method = registry.find("host.add")
    assert (method.name, method.options.blocking, method.options.deadline, method.description) == ("host.add", True, 3, "Adds.")
    assert method.binding is other.find("add").binding
    assert own(registry) == ["host.add"]
    assert own(other) == ["add"]
    assert registry.find_dispatched("host.d.x").function(1) == ["x", 1]
    assert registry.find_dispatched("d.x") is None


def test_a_registry_can_be_included_in_itself(registry):
    """A registry can include its own methods under other names."""
    registry.register(add)
    registry.include(registry, "again.")
    assert own(registry) == ["add", "again.add"]


@pytest.mark.parametrize(("prefix", "words"), [("", "'taken' is taken"), ("rpc.", "is reserved"), ("a\t", "printed")])
def test_a_registry_is_included_whole_or_not_at_all(registry, prefix, words):
    """If one name can't be included, nothing is."""
    other = Registry()
    other.register(add, "first")
    other.register(add, "taken")
    other.register_instance(Dispatching())
    registry.register(add, "taken")
    with pytest.raises(RegistrationError, match=words):
        registry.include(other, prefix)
    assert own(registry) == ["taken"]
    assert registry.find_dispatched(prefix + "x") is None


# Introspection (CONVENTION, section 2).


def test_introspection_is_always_registered(registry):
    """Each registry has the three introspection methods, and lists them too, sorted."""
    registry.register(add, "zebra")
    registry.register(add, "Aa")
    assert run(registry, "list_methods") == ["Aa", "list_methods", "method_help", "method_signature", "zebra"]
    assert sorted(method.name for method in registry) == registry.list_methods()
    assert len(registry) == 5
    assert repr(registry) == "<Registry of 5 methods>"


def test_signatures(registry):
    """method_signature returns the names of the parameters, or says that there is no such method."""
    registry.register(add)
    registry.register(lambda a, *rest, k, **more: 0, "all")
    assert run(registry, "method_signature", "add") == {"add": ["a", "b"]}
    assert run(registry, "method_signature", "all") == {"all": ["a", "*rest", "k", "**more"]}
    assert run(registry, "method_signature", "list_methods") == {"list_methods": []}
    assert run(registry, "method_signature", "nope") == {"nope": "method/function not found"}


def test_help(registry):
    """method_help returns the description, or the docstring as pydoc does, or says that there is no such method."""
    registry.register(add)
    registry.register(add, "plus", description="Adds.")
    registry.register(lambda: 0, "silent", description="")
    registry.register(Shape().area)
    assert run(registry, "method_help", "add") == "Add two numbers.\n\nBoth may be large."
    assert run(registry, "method_help", "plus") == "Adds."
    assert run(registry, "method_help", "silent") == ""
    assert run(registry, "method_help", "area") == "How large it is."
    assert run(registry, "method_help", "nope") == "Method [nope] not found"


def test_looking_up(registry):
    """A name is looked up; an unknown one gives None."""
    registry.register(add)
    assert registry.find("add").name == "add"
    assert registry.find("nope") is None

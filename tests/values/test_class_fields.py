"""The fields of dataclasses and attrs classes, as their constructors accept them."""

import sys
import threading
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Generic, TypeVar

import attrs
import msgspec
import pytest

from gjrpc.values.class_fields import non_init_fields
from gjrpc.values.conversion import prepare
from gjrpc.values.typed_decoder import decoder_for

T = TypeVar("T")


def decoded(annotation, value):
    """A JSON value, converted to a type: once on the way from text, once from decoded JSON."""
    got = decoder_for(annotation)(msgspec.json.encode(value))
    assert got == msgspec.convert(value, annotation)
    return got


@dataclass
class Computed:
    a: int
    total: int = field(init=False)
    kept: list[int] = field(init=False, default_factory=list)
    constant: int = field(init=False, default=7)
    b: int = 2

    def __post_init__(self):
        self.kept.append(self.a)
        self.total = self.a + self.b


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    a: int
    kept: list[int] = field(init=False, default_factory=list)


@dataclass
class Heir(Computed):
    c: int = 3


@dataclass
class Box(Generic[T]):
    a: T
    kept: list[T] = field(init=False, default_factory=list)


@attrs.define
class Made:
    a: int
    constant: int = attrs.field(init=False, default=7)
    kept: list[int] = attrs.field(init=False, factory=list)
    total: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        self.total = self.a + self.constant


def names_of(cls):
    """The names of the fields of a class."""
    cls = getattr(cls, "__origin__", cls)
    return [each.name for each in (attrs.fields(cls) if cls is Made else fields(cls))]


SENT = {"a": 1, "total": 50, "kept": [50], "constant": 50}


@pytest.mark.parametrize("cls", [Computed, Frozen, Heir, Box, Box[int], Made])
def test_fields_without_init_are_not_read(cls):
    """A field that the constructor does not accept can't be set from JSON, is not required, and gets its default."""
    before = names_of(cls)
    for annotation, wrap in ((cls, lambda v: v), (cls | None, lambda v: v), (list[cls], lambda v: [v])):
        for sent in ({"a": 1}, SENT):
            got = decoded(annotation, wrap(sent))
            assert got == wrap(cls(a=1))
            assert msgspec.to_builtins(got) == msgspec.to_builtins(wrap(cls(a=1)))
    assert before == names_of(cls)


@dataclass
class Plain:
    a: int
    b: int = 2
    c: list[int] = field(default_factory=list)


@dataclass
class Later(Plain):
    d: str = "d"


@pytest.mark.parametrize("cls", [Plain, Later, Computed, Heir, Made])
def test_defaults_are_in_the_json_of_what_was_read(cls):
    """An instance that was decoded from JSON has the same JSON as one from the constructor, with all defaults."""
    assert msgspec.json.decode(msgspec.json.encode(decoded(cls, {"a": 1}))) == msgspec.to_builtins(cls(1))
    assert vars(decoded(cls, {"a": 1})) == vars(cls(1)) if cls is not Made else True
    if cls is Plain:
        assert decoded(cls, {"a": 1, "b": 5}) == Plain(1, 5)


def test_fields_without_init_are_not_read_though_msgspec_knew_them():
    """This holds even if msgspec has converted to the class before."""

    @dataclass
    class Known:
        a: int
        b: int = field(init=False, default=7)

    assert msgspec.convert({"a": 1, "b": 5}, Known).b == 5
    assert decoded(Known, {"a": 1, "b": 5}) == Known(1)


@pytest.mark.parametrize(
    ("cls", "names"),
    [(Computed, ["total", "kept", "constant"]), (Box[int], ["kept"]), (Made, ["constant", "kept", "total"]), (Plain, [])],
)
def test_fields_that_the_constructor_does_not_accept(cls, names):
    """The fields that no JSON can set are known by name."""
    assert non_init_fields(cls) == names


def test_other_threads_see_whole_classes():
    """While classes are prepared, no other thread sees one without its fields, not even a thread that was already waiting."""
    classes = [make_dataclass(f"Made{n}", [("a", int), ("b", int, field(init=False, default=n))]) for n in range(60)]
    before = sys.getswitchinterval()
    done, seen = threading.Event(), set()

    def look():
        while not done.is_set():
            seen.update(len(fields(cls)) for cls in classes)

    watcher = threading.Thread(target=look)
    sys.setswitchinterval(1e-6)
    try:
        watcher.start()
        for _ in range(10):
            prepare(tuple[tuple(classes)])
        assert sys.getswitchinterval() == pytest.approx(1e-6)
    finally:
        sys.setswitchinterval(before)
        done.set()
        watcher.join()
    assert seen == {2}

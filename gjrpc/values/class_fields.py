"""Makes msgspec, which calls no constructors, see dataclasses and attrs classes as their constructors do.

Owns what msgspec learns of the fields of these classes: it would read fields from JSON that no constructor takes.
"""

import dataclasses
import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec import inspect

_LONG = 0.1  # seconds that Python lets a thread run while others wait
_one = allocate_lock()  # of the system's threads, also under gevent
_DATACLASS = ("__dataclass_fields__", "__post_init__")
_ATTRS = ("__attrs_attrs__", "__attrs_post_init__")


@contextmanager
def constructor_fields_only(types: Iterable[inspect.Type]) -> Iterator[set[Any]]:
    """Within this, msgspec finds in dataclasses and attrs classes only the fields that their constructors take.

    It does not call constructors: it would read a field with `init=False` from JSON, and leaves what has a default in the class
    out of the instance, whose JSON then lacks it. What it learns of a class here it keeps: the defaults are filled in as the
    constructor does it, before `__post_init__`.

    Yields:
        The classes that it would otherwise see differently.
    """
    named = [info.cls for info in types if isinstance(info, inspect.DataclassType)]
    classes = {cls: getattr(cls, "__origin__", cls) for cls in named}
    wanting = [cls for cls in set(classes.values()) if any(not f.init or _is_in_class(cls, f) for f in _fields(cls))]
    with ExitStack() as stack:
        if wanting:
            stack.enter_context(_undisturbed())
        for cls in wanting:
            stack.enter_context(_narrowed(cls))
        yield {*map(_as_written, classes), *classes.values()}


def non_init_fields(cls: Any) -> list[str]:
    """The names of the fields of a dataclass or attrs class that its constructor does not take."""
    return [field.name for field in _fields(getattr(cls, "__origin__", cls)) if not field.init]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within this, which takes a millisecond, no other thread runs: it would see classes that lack fields."""
    with _one:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_LONG)
        try:
            # A thread that waits already does so by the old interval; once the lock of Python was free, it waits by the new one.
            os.stat("/")
            yield
        finally:
            sys.setswitchinterval(before)


def _as_written(cls: Any) -> Any:
    """A generic class with its arguments as people write it: for `Box[(int,)]`, as msgspec has it, typing makes another one."""
    arguments: Any = getattr(cls, "__args__", ())
    return cls.__origin__[arguments[0]] if len(arguments) == 1 else cls


def _fields(cls: Any) -> tuple[Any, ...]:
    return dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else tuple(cls.__attrs_attrs__)


@contextmanager
def _narrowed(cls: type) -> Iterator[None]:
    names = _DATACLASS if dataclasses.is_dataclass(cls) else _ATTRS
    every = getattr(cls, names[0])
    narrow: Any = tuple(f for f in every if f.init) if names == _ATTRS else {n: f for n, f in every.items() if f.init}
    before = {name: vars(cls)[name] for name in names if name in vars(cls)}
    fill = _filling(cls, getattr(cls, names[1], None))
    type.__setattr__(cls, names[0], narrow)
    type.__setattr__(cls, names[1], fill)
    try:
        yield
    finally:
        for name in names:
            if name in before:
                type.__setattr__(cls, name, before[name])
            else:
                type.__delattr__(cls, name)


def _filling(cls: type, after: Callable[[Any], None] | None) -> Callable[[Any], None]:
    """What runs on an instance once its fields are set: it sets the others, and does what the class itself has to do then."""
    constants = {f.name: f.default for f in _fields(cls) if f.init and _is_in_class(cls, f)}
    left_out = [(f.name, maker) for f in _fields(cls) if not f.init and (maker := _maker(cls, f)) is not None]

    def fill(instance: Any) -> None:
        for name, value in constants.items():
            vars(instance).setdefault(name, value)
        for name, maker in left_out:
            object.__setattr__(instance, name, maker())
        if after is not None:
            after(instance)

    return fill


def _is_in_class(cls: type, field: Any) -> bool:
    """Whether a field's default is an attribute of the class, where an instance finds it and its JSON does not."""
    return field.default is not dataclasses.MISSING and getattr(cls, field.name, cls) is field.default


def _maker(cls: type, field: Any) -> Callable[[], Any] | None:
    """What makes the default that a constructor sets of a field which it does not take; None where it sets none."""
    factory = getattr(field, "default_factory", getattr(field.default, "factory", dataclasses.MISSING))
    if factory is not dataclasses.MISSING:
        return factory  # type: ignore[no-any-return]  # of dataclasses, or an attrs.Factory
    absent = field.default is dataclasses.MISSING or type(field.default).__name__ == "_Nothing"  # attrs.NOTHING
    return None if absent or _is_in_class(cls, field) else lambda: field.default

"""Makes msgspec treat the fields of dataclasses and attrs classes as their constructors do.

Owns what msgspec learns about the fields of these classes: as it calls no constructors, it would read fields from JSON that no
constructor accepts. It knows no parameter and no JSON.
"""

import dataclasses
import os
import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec import inspect

_LONG = 1.0  # seconds for which one thread runs while others wait; rarely, another thread waits for all of it
_one = allocate_lock()  # for threads of the system, also under gevent
_DATACLASS = ("__dataclass_fields__", "__post_init__")
_ATTRS = ("__attrs_attrs__", "__attrs_post_init__")


@contextmanager
def constructor_fields_only(types: Iterable[inspect.Type]) -> Iterator[set[Any]]:
    """Show msgspec only those fields of dataclasses and attrs classes that their constructors accept.

    msgspec does not call constructors: it would read a field with `init=False` from JSON, and a field whose default is in the
    class would be missing in the instance, and so in its JSON. msgspec keeps what it learns about a class within this context.
    The defaults are filled in as the constructor does it, before `__post_init__`.

    Yields:
        The classes that msgspec would otherwise treat differently.
    """
    named = [info.cls for info in types if isinstance(info, inspect.DataclassType)]
    classes = {cls: getattr(cls, "__origin__", cls) for cls in named}
    differing = [cls for cls in set(classes.values()) if any(not f.init or _is_in_class(cls, f) for f in _fields(cls))]
    with ExitStack() as stack:
        if differing:
            stack.enter_context(_undisturbed())
        for cls in differing:
            stack.enter_context(_narrowed(cls))
        yield {*map(_as_written, classes), *classes.values()}


def non_init_fields(cls: Any) -> list[str]:
    """Return the names of the fields of a dataclass or attrs class that its constructor does not accept."""
    return [field.name for field in _fields(getattr(cls, "__origin__", cls)) if not field.init]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep other threads from running for about a millisecond, as they would see classes without some of their fields."""
    with _one:
        before = sys.getswitchinterval()
        sys.setswitchinterval(_LONG)
        try:
            # A thread that already waits uses the old interval; it uses the new one once the interpreter's lock has been free.
            os.stat("/")
            yield
        finally:
            sys.setswitchinterval(before)
            os.stat("/")  # likewise, so that no thread waits for the long interval


def _as_written(cls: Any) -> Any:
    """Return a generic class as people write it: `typing` makes `Box[int]` and msgspec's `Box[(int,)]` different objects."""
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
    """Return what replaces `__post_init__`: it sets the fields that msgspec does not know, then calls the original."""
    constants = {f.name: f.default for f in _fields(cls) if f.init and _is_in_class(cls, f)}
    not_passed = [(f.name, maker) for f in _fields(cls) if not f.init and (maker := _maker(cls, f)) is not None]

    def fill(instance: Any) -> None:
        for name, value in constants.items():
            vars(instance).setdefault(name, value)
        for name, maker in not_passed:
            object.__setattr__(instance, name, maker())
        if after is not None:
            after(instance)

    return fill


def _is_in_class(cls: type, field: Any) -> bool:
    """Whether a field's default is an attribute of the class: its instances have it, and their JSON does not."""
    return field.default is not dataclasses.MISSING and getattr(cls, field.name, cls) is field.default


def _maker(cls: type, field: Any) -> Callable[[], Any] | None:
    """Return what makes the default of a field that the constructor sets but does not accept; None if it sets none."""
    factory = getattr(field, "default_factory", getattr(field.default, "factory", dataclasses.MISSING))
    if factory is not dataclasses.MISSING:
        return factory  # type: ignore[no-any-return]  # of dataclasses, or an attrs.Factory
    absent = field.default is dataclasses.MISSING or type(field.default).__name__ == "_Nothing"  # attrs.NOTHING
    return None if absent or _is_in_class(cls, field) else lambda: field.default

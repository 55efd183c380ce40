"""What msgspec has to know of a type before it converts JSON to it.

Owns the walk through all types inside a type, and mends what msgspec does otherwise than Python: names of fields that are not
ASCII, and fields that no constructor takes. It knows no parameter and no message.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, inspect

Type: TypeAlias = inspect.Type

KEYS = (
    inspect.StrType,
    inspect.AnyType,
    inspect.IntType,
    inspect.FloatType,
    inspect.DecimalType,
    inspect.UUIDType,
    inspect.DateType,
    inspect.DateTimeType,
    inspect.TimeType,
    inspect.TimeDeltaType,
    inspect.BytesType,
    inspect.EnumType,
    inspect.LiteralType,
)
"""Types that the key of an object, which is always a text, can be converted to."""


class Unconvertible(TypeError):
    """A type that no JSON can be converted to; the text says which and what to do."""


_PARTS = ("item_type", "key_type", "value_type", "type")
_DATACLASS = ("__dataclass_fields__", "__post_init__")
_ATTRS = ("__attrs_attrs__", "__attrs_post_init__")


def every_type(*roots: Type) -> list[Type]:
    """Types and all those inside them: items, members of unions, fields of classes, at any depth; each once."""
    found: dict[int, Type] = {}
    stack = list(roots)
    while stack:
        info = stack.pop()
        if id(info) not in found:
            found[id(info)] = info
            stack.extend(_inside(info))
    return list(found.values())


def _inside(info: Any) -> Iterator[Type]:
    yield from getattr(info, "types", ())
    yield from getattr(info, "item_types", ())
    yield from (getattr(info, part) for part in _PARTS if hasattr(info, part))
    yield from (field.type for field in getattr(info, "fields", ()))


def alternatives(info: Any) -> list[Type]:
    """The members of a union, or the type itself; without what is only said about it."""
    if isinstance(info, inspect.Metadata):
        return alternatives(info.type)
    return [member for part in info.types for member in alternatives(part)] if isinstance(info, inspect.UnionType) else [info]


def without_fields(info: Type) -> list[Type]:
    """A type and those inside it (items, members of unions), without the fields of classes."""
    parts: list[Any] = [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    parts += [getattr(info, name) for name in _PARTS if hasattr(info, name)]
    return [info] + [inner for part in parts for inner in without_fields(part)]


def prepare(annotation: Any) -> list[Type]:
    """Make a type ready for conversions, and give all types inside it, itself first.

    Raises:
        Unconvertible: no JSON can be converted to it.
        TypeError, ValueError, …: it is no type for msgspec, which chooses the kind.
    """
    root = inspect.type_info(annotation)
    unknown = next((info for info in without_fields(root) if isinstance(info, inspect.CustomType)), None)
    if unknown is not None:
        raise Unconvertible(f"{unknown.cls.__name__} can't be made from JSON; use a dataclass, a msgspec.Struct or a JSON type")
    types = every_type(root)
    for info in types:
        _cache_names(info)
        if isinstance(info, inspect.DictType) and not _has_key(info.key_type):
            kind = _kind(info.key_type)
            raise Unconvertible(f"keys in JSON are texts, which can't be made a {kind}; use str, a number or an enum for keys")
    with constructed(types) as classes:
        for cls in classes:  # what msgspec has learned of them before
            if "__msgspec_cache__" in vars(cls):
                delattr(cls, "__msgspec_cache__")
        msgspec.json.Decoder(annotation)
    return types


def _has_key(info: Type) -> bool:
    return any(isinstance(member, KEYS) for member in alternatives(info))


def _kind(info: Type) -> str:
    return " or ".join(type(member).__name__.removesuffix("Type").lower() for member in alternatives(info))


def _cache_names(info: Any) -> None:
    """Make Python keep the UTF-8 of the names that msgspec compares with: without it, names outside ASCII are unknown to it."""
    names = [getattr(info, "tag_field", None), getattr(info, "tag", None)]
    names += [name for field in getattr(info, "fields", ()) for name in (field.name, field.encode_name)]
    for name in names:
        if isinstance(name, str):
            msgspec.json.encode(name)


@contextmanager
def constructed(types: Iterable[Type]) -> Iterator[set[Any]]:
    """Within this, msgspec finds in dataclasses and attrs classes only the fields that their constructors take.

    It does not call constructors: it would read a field with `init=False` from JSON, and leaves what has a default in the class
    out of the instance, whose JSON then lacks it. What it learns of a class here it keeps: the defaults are filled in as the
    constructor does it, before `__post_init__`.

    Yields:
        The classes about which it would know otherwise.
    """
    named = [info.cls for info in types if isinstance(info, inspect.DataclassType)]
    classes = {cls: getattr(cls, "__origin__", cls) for cls in named}
    with ExitStack() as stack:
        for cls in set(classes.values()):
            if any(not field.init or _is_in_class(cls, field) for field in _fields(cls)):
                stack.enter_context(_narrowed(cls))
        yield {*map(_as_written, classes), *classes.values()}


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


@lru_cache(maxsize=256)
def _known_decoder(wanted: Any) -> Callable[[Any], Any]:
    return new_decoder(wanted)


def new_decoder(wanted: Any) -> Callable[[Any], Any]:
    """As `decoder`, and not remembered."""
    prepare(wanted)
    decode: Callable[[Any], Any] = msgspec.json.Decoder(wanted).decode
    return decode


def decoder(wanted: Any) -> Callable[[Any], Any]:
    """What reads JSON text that is known to be well-formed as a type: with all digits, where a Decimal is asked for.

    Raises:
        TypeError, ValueError, …: as `prepare`.
    """
    try:
        hash(wanted)
    except TypeError:
        return new_decoder(wanted)
    return _known_decoder(wanted)


def members(text: bytes | Raw) -> dict[str, Raw]:
    """The members of a JSON object that is known to be well-formed, each as text."""
    return msgspec.json.decode(text, type=dict[str, Raw])


def items(text: bytes | Raw) -> list[Raw]:
    """The items of a JSON array likewise."""
    return msgspec.json.decode(text, type=list[Raw])

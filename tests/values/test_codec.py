"""Decoding and encoding JSON."""

import enum
import types
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gjrpc.errors import ParseError, TooLarge
from gjrpc.values import codec
from gjrpc.values.codec import Decoder, NotJSON, decode, encode
from gjrpc.values.finite import find_non_finite

NAN, INF = float("nan"), float("inf")
MOST = 10**4300 - 1  # 4,300 digits

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**50), 10**50) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
BRACKETS = st.text(alphabet='[]{}",\\a', max_size=60).map(str.encode)
examples = settings(max_examples=100, deadline=None, database=None)

# What the error must say, and the byte.
MALFORMED = {
    "nothing": (b"", "the body is empty", None),
    "blanks": (b"  ", "ends too early", 2),
    "NaN": (b"[1,NaN]", "invalid character", 3),
    "Infinity": (b"Infinity", "invalid character", 0),
    "minus Infinity": (b"[-Infinity]", "invalid character", 2),
    "a number above a double": (b'["1e400",1e400]', "out of range", 9),
    "a number below a double": (b'{"a":-1.5E+999}', "out of range", 5),
    "an endless exponent": (b"0.1e99999999999999999999", "out of range", 0),
    "4,301 digits": (b"[7," + b"9" * 4301 + b"]", "4,300 digits", 3),
    "a sign and 4,300 digits": (b"-" + b"9" * 4300, "its sign included", 0),
    "invalid UTF-8 in a string": (b'["abc","d\xff"]', "invalid UTF-8", 9),
    "invalid UTF-8 in a key": (b'{"a\xff":1}', "invalid UTF-8", 3),
    "invalid UTF-8 outside of strings": (b"[\xff]", "invalid character", 1),
    "an overlong form": (b'"\xc0\x80"', "invalid UTF-8", 1),
    "a surrogate as UTF-8": (b'"\xed\xa0\x80"', "invalid UTF-8", 1),
    "UTF-16": ("1".encode("utf-16"), "invalid character", 0),
    "a byte order mark": (b"\xef\xbb\xbf1", "invalid character", 0),
    "half a surrogate pair": (rb'"\ud800"', "half a surrogate pair", 8),
    "half a surrogate pair and text": (rb'"\ud800 and more"', "surrogate pair", 7),
    "a low surrogate": (rb'["\udc00"]', "surrogate pair", 8),
    "half a pair as a key": (rb'{"\ud800":1, "b":2}', "surrogate pair", 8),
    "two texts": (b"1 2", "trailing characters", 2),
    "junk behind": (b"{} x", "trailing characters", 3),
    "a NUL behind": (b"1\0", "trailing characters", 1),
    "cut off": (b'{"a":', "ends too early", 5),
    "a cut word": (b"tru", "ends too early", 3),
    "a trailing comma": (b"[1,]", "trailing comma", 3),
    "a leading zero": (b"01", "invalid number", 1),
    "a comment": (b"/**/1", "invalid character", 0),
    "single quotes": (b"'a'", "invalid character", 0),
    "a line break in a string": (b'"a\nb"', "invalid character", 2),
    "a number as a key": (b"{1:2}", "keys must be strings", 1),
    "a closing bracket": (b"]" * 300 + b"[" * 101, "invalid character", 0),
    "101 arrays": (b"[" * 101 + b"]" * 101, "deeper than 100 levels", 100),
    "100,000 arrays": (b"[" * 100_000, "deeper than 100 levels", 100),
    "100,000 objects": (b'{"a":' * 100_000, "deeper than 100 levels", 500),
    "deep behind brackets in strings": (rb'["[\"[\\",' + b"[" * 100, "deeper than 100 levels", 109),
}


@pytest.mark.parametrize(("text", "words", "byte"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_json_is_refused_with_its_byte(text, words, byte):
    """Each malformed text is a ParseError that says what is wrong and at which byte."""
    with pytest.raises(ParseError) as caught:
        decode(text)
    assert caught.value.message.startswith("malformed JSON: ")
    assert words in caught.value.message
    assert byte is None or caught.value.message.endswith(f"(byte {byte})")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' {"a": [1, -2.5e3, true, false, null, "\\u00e4\\ud83d\\ude00"]}\n', {"a": [1, -2500.0, True, False, None, "ä😀"]}),
        (b"1180591620717411303424", 2**70),
        (b"9" * 4300, MOST),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b'"1e400 NaN"', "1e400 NaN"),
    ],
    ids=["all kinds", "2^70", "4,300 digits", "nearly the largest double", "too small is zero", "words in a string"],
)
def test_json_is_read(text, value):
    """A well-formed text is decoded to its value, with every digit of an integer."""
    assert decode(text) == value


@examples
@given(VALUES)
def test_any_value_makes_the_round_trip(value):
    """Each JSON value survives encoding and decoding, and is encoded as one line."""
    written = encode(value)
    assert codec.decode_unlimited(written) == value
    assert b"\n" not in written


@examples
@given(st.integers(1, 4299).flatmap(lambda digits: st.integers(-(10**digits) + 1, 10**digits - 1)) | st.just(MOST))
def test_integers_are_exact(number):
    """An integer of any accepted size keeps every digit, alone and inside of other values."""
    assert decode(encode(number)) == number
    assert decode(encode({"n": [number]})) == {"n": [number]}


@pytest.mark.parametrize("levels", [1, 5, 100])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_the_depth_limit_is_exact(pair, levels):
    """As many levels as the limit are accepted and one more is rejected, for arrays and objects alike."""
    opening, closing = pair
    inner = opening * (levels - 1) + b"[1]" + closing * (levels - 1)
    assert Decoder(levels).decode(inner)
    with pytest.raises(ParseError, match=f"deeper than {levels} levels"):
        Decoder(levels).decode(opening + inner + closing)


@pytest.mark.parametrize(
    "text",
    [b'"' + b"[" * 200 + b'"', rb'"\"' + b"{" * 200 + b'"', rb'["\\", "' + b"[" * 200 + b'"]', b"[" + b"[]," * 500 + b"[]]"],
    ids=["in a string", "behind an escaped quote", "behind an escaped backslash", "side by side"],
)
def test_only_nesting_counts(text):
    """Brackets in strings and brackets side by side do not count as levels."""
    assert decode(text)


@examples
@given(BRACKETS, st.integers(0, 5))
def test_the_depth_check_never_refuses_what_is_not_deep(text, limit):
    """For any JSON the check of the depth agrees with the nesting of the decoded value."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return
    assert is_refused(Decoder(max_depth=limit), text) == (levels_of(value) > limit)


def is_refused(decoder: Decoder, text: bytes) -> bool:
    """Whether a text exceeds a limit."""
    try:
        decoder.decode(text)
    except TooLarge:
        return True
    except ParseError as error:
        return "deeper" in error.message
    return False


def levels_of(value: Any) -> int:
    """The levels of a decoded value."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels_of, value), default=0) if isinstance(value, list) else 0


def test_a_limit_beyond_the_interpreter_is_no_crash():
    """With a limit beyond what the interpreter can handle, a deep text is still a ParseError."""
    with pytest.raises(ParseError, match="nested too deep"):
        Decoder(max_depth=1_000_000, max_values=1_000_000).decode(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"[" + b"1," * 100 + b"1]", 101),
        (b"[[],[],{}, [ ] ]", 8),
        (b'{"a":[1,2],"b,":"[[,{\\",,"}', 4),
        (b'["\\\\",",,,,",{"":"\\\\\\"[["}]', 4),
        (b"[" + b"1e100," * 30 + b"-1E+300, 1.5e-308]", 32 + 2 * 32),
        (b'["' + b"1e100," * 30 + b'", 1e10]', 2),
        (b"[" + b"7" * 300 + b",1]", 2 + 2 * 2),
    ],
    ids=["numbers", "arrays", "marks in strings", "escapes", "exponents", "exponents in a string", "many digits"],
)
def test_the_limit_of_values_is_exact(text, values):
    """A text has as many values as commas and opening brackets together, and an extreme number counts as three."""
    assert is_refused(Decoder(max_depth=100, max_values=values - 1), text)
    assert not is_refused(Decoder(max_depth=100, max_values=values), text)


def test_too_many_values_are_too_large():
    """The error is TooLarge, and names the limit."""
    with pytest.raises(TooLarge, match="the limit, 100000 "):
        decode(b"[" + b"[]," * 100_000 + b"[]]")


@pytest.mark.parametrize(
    "text",
    [b"1e300", b"-5E-324", b"1.7976931348623157e+308", b"1e-400", b"0e000", b"2.2250738585072011e-308", b"1" * 200 + b".5e-150"],
)
def test_extreme_numbers_are_read_alike(text):
    """Numbers near the ends of a double's range are decoded alike, however many of them a text has."""
    number = float(text)
    assert decode(text) == number
    assert decode(b"[" + b",".join([text, b"1.5", b"7"] * 50) + b"]") == [number, 1.5, 7] * 50


@pytest.mark.parametrize("number", [b"1e999", b"-1E+400", b"9" * 4301])
def test_a_number_out_of_range_is_found_among_extreme_ones(number):
    """A number out of range is found also among many extreme ones; the error has its byte, or the byte where the search ended."""
    begin = b"[" + b"1e300," * 200
    with pytest.raises(ParseError, match=f"out of range.*byte {len(begin)}"):
        decode(begin + number + b"]")
    with pytest.raises(ParseError, match=r"out of range.*after byte 65536"):
        decode(b'["' + b"a" * 70_000 + b'",' + number + b"]")


def test_a_level_too_many_is_found_late_too():
    """A text that nests too deep only beyond the searched part is rejected, with the byte where the search ended."""
    with pytest.raises(ParseError, match=r"deeper than 100 levels \(after byte 65536"):
        decode(b'["' + b"a" * 70_000 + b'",' + b"[" * 101)


class Counted(bytes):
    """Bytes that count how many of them are read: each method that is used reads all of them once."""

    steps = 0

    def _pass(self, result: Any) -> Any:
        Counted.steps += len(self)
        return Counted(result) if isinstance(result, bytes) else result

    def translate(self, *args: Any) -> Any:
        return self._pass(super().translate(*args))

    def replace(self, *args: Any) -> Any:
        return self._pass(super().replace(*args))

    def split(self, *args: Any) -> Any:
        parts = self._pass(super().split(*args))
        Counted.steps += len(parts)
        return parts

    def count(self, *args: Any) -> Any:
        return self._pass(super().count(*args))

    def __iter__(self) -> Any:
        Counted.steps += 10 * len(self)
        return super().__iter__()

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return Counted(part) if isinstance(part, bytes) else part


HOSTILE = {
    "issue 10": lambda n: b"[" * 101 + b'"' + b'\\"' * n,
    "backslashes": lambda n: b"[" * 101 + b'"' + b"\\" * n,
    "half escapes": lambda n: b"[" * 101 + b'"\\' * n,
    "quotes": lambda n: b"[" * 101 + b'"' * n,
    "open strings": lambda n: b"[" * 101 + b'"["' * n,
    "a number before it": lambda n: b"[" * 99 + b'1e999,"' + b'\\"' * n,
    "brackets": lambda n: b"[" * n,
    "closing ones": lambda n: b"]" * n,
    "side by side": lambda n: b"[" + b"[]," * n,
    "objects": lambda n: b'{"":' * n,
    "commas": lambda n: b"," * n,
    "extreme numbers": lambda n: b"[" + b"1e300," * n + b"1e999]",
    "digits": lambda n: b"1" * n + b"e5",
    "numbers": lambda n: b"[" + b"1," * n + b"1e999",
    "exponents": lambda n: b"0e0" * n,
    "bad UTF-8": lambda n: b'["' + b"a" * n + b'\xff"]',
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_text_is_looked_at_in_so_many_passes(hostile, monkeypatch):
    """A hostile text is rejected after a bounded number of passes over it."""
    monkeypatch.setattr(codec, "_SEARCHED", 4096)  # otherwise small texts would be searched whole, and large ones not
    passes = []
    for size in (5_000, 40_000):
        text, Counted.steps = Counted(hostile(size)), 0
        with pytest.raises((ParseError, TooLarge)):
            decode(text)
        passes.append(Counted.steps / len(text))
    assert max(passes) < 60
    assert passes[1] < 1.5 * passes[0] + 1


class Colour(enum.Enum):
    NAN = NAN
    PAIR = (1, INF)
    RED = "red"


class FloatEnum(float, enum.Enum):
    NAN = NAN


class Pair(NamedTuple):
    x: Any
    y: Any = None


class Struct(msgspec.Struct):
    x: Any
    y: Any = None


class TaggedArray(msgspec.Struct, tag="t", array_like=True):
    x: Any


class Sparse(msgspec.Struct, omit_defaults=True):
    x: Any = None
    y: Any = msgspec.UNSET


@dataclass
class Data:
    x: Any
    y: Any = None


@dataclass
class SlottedData:
    __slots__ = ("x", "y")
    x: Any
    y: Any


class Attrs:
    """A class that msgspec treats as one made by attrs."""

    __attrs_attrs__ = (types.SimpleNamespace(name="x"),)

    def __init__(self, x):
        self.x = x


class Dict(dict):
    def values(self):
        return ()


CONTAINERS = {
    "nothing": lambda x: x,
    "list": lambda x: [1, x],
    "tuple": lambda x: (x,),
    "set": lambda x: {x},
    "frozenset": lambda x: frozenset([x]),
    "dict": lambda x: {"a": x},
    "dict's key": lambda x: {x: 1},
    "dict's key among texts": lambda x: {"nan": 1, x: 1},
    "dict subclass": lambda x: Dict(a=x),
    "OrderedDict": lambda x: OrderedDict(a=x),
    "defaultdict": lambda x: defaultdict(int, a=x),
    "Counter": lambda x: Counter([x]),
    "NamedTuple": lambda x: Pair(1, x),
    "dataclass": Data,
    "dataclass with slots": lambda x: SlottedData(1, x),
    "Struct": lambda x: Struct(1, x),
    "tagged array Struct": TaggedArray,
    "sparse Struct": lambda x: Sparse(x=x),
    "attrs": Attrs,
    "deep": lambda x: {"a": [Data((Struct(x),))]},
    "beside nulls": lambda x: [None, {"null": None}, x],
    "beside words": lambda x: ["null", "NaN", "Infinity", x],
}
NOT_FINITE = [NAN, INF, -INF, *map(Decimal, ["NaN", "-NaN", "sNaN", "NaN123", "Infinity", "-Infinity"])]


@pytest.mark.parametrize("number", NOT_FINITE, ids=repr)
@pytest.mark.parametrize("wrap", CONTAINERS.values(), ids=CONTAINERS)
def test_what_is_no_number_is_found_anywhere(wrap, number):
    """NaN and infinity are found in each container that the encoder writes, also as a key, and the error names them."""
    try:
        value = wrap(number)
    except TypeError:  # a signalling NaN has no hash, so it can't be in a set or be a key
        return
    with pytest.raises(NotJSON, match=f"a {type(number).__name__} that is {number}"):
        encode(value)


@pytest.mark.parametrize("value", [Colour.NAN, [Colour.PAIR], {Colour.NAN: 1}, FloatEnum.NAN, {"a": FloatEnum.NAN}], ids=repr)
def test_what_is_no_number_is_found_in_enums(value):
    """NaN and infinity are found as the values of enum members."""
    with pytest.raises(NotJSON, match="JSON has no such number"):
        encode(value)


WRITTEN = [
    (None, b"null"),
    ([None, {"a": None}], b'[null,{"a":null}]'),
    ("null nan inf NaN Infinity", b'"null nan inf NaN Infinity"'),
    ({"nan": 1, "-inf": None}, b'{"nan":1,"-inf":null}'),
    ({1.5: None, 2: Decimal("1.50")}, b'{"1.5":null,"2":"1.50"}'),
    (Data(1), b'{"x":1,"y":null}'),
    (Struct(1), b'{"x":1,"y":null}'),
    (Sparse(), b"{}"),
    (SlottedData.__new__(SlottedData), b"{}"),
    (Pair(1), b"[1,null]"),
    (Attrs(None), b'{"x":null}'),
    ([Colour.RED, None], b'["red",null]'),
    (UUID(int=0), b'"00000000-0000-0000-0000-000000000000"'),
    (datetime(2020, 1, 2, tzinfo=timezone.utc), b'"2020-01-02T00:00:00Z"'),
    (date(2020, 1, 2), b'"2020-01-02"'),
    (timedelta(days=1), b'"P1D"'),
    (b"a", b'"YQ=="'),
    ({1}, b"[1]"),
    (2**70, b"1180591620717411303424"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=[text.decode() for _, text in WRITTEN])
def test_what_msgspec_encodes_is_written(value, text):
    """Everything else that msgspec can encode is encoded, and None stays null."""
    assert encode(value) == text


def test_a_field_that_is_not_set_hides_nothing():
    """If a field of a dataclass is not set, the other fields are searched."""
    value = SlottedData.__new__(SlottedData)
    value.y = [NAN]
    with pytest.raises(NotJSON, match="a float that is nan"):
        encode(value)


def holds_itself() -> list[Any]:
    """A list that contains itself."""
    value: list[Any] = []
    value.append(value)
    return value


def half_made() -> Struct:
    """A Struct with a field that is not set."""
    value = Struct(1)
    del value.x
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "type object"),
        ([1, {"a": 1j}], "type complex"),
        (range(3), "type range"),
        (types.MappingProxyType({}), "type mappingproxy"),
        ({(1, 2): 1}, "dicts with str-like"),
        ({None: 1}, "dicts with str-like"),
        ([msgspec.UNSET], "UnsetType"),
        (10**5000, "for integer string conversion"),
        (holds_itself(), "a list that contains itself or is nested too deep"),
        ("\ud800", "a str with a lone surrogate"),
        ({"a": ["\udfff"]}, "a str with a lone surrogate"),
        ({"\udfff": 1}, "a str with a lone surrogate"),
        (half_made(), "a Struct that can't be read"),
    ],
    ids=[
        "object",
        "complex",
        "range",
        "mapping",
        "tuple as key",
        "None as key",
        "UNSET",
        "5,001 digits",
        "itself",
        "lone surrogate",
        "lone surrogate inside",
        "lone surrogate as key",
        "unset field",
    ],
)
def test_what_is_not_json_is_named(value, words):
    """A value that JSON can't represent raises NotJSON, which names its type."""
    with pytest.raises(NotJSON) as caught:
        encode(value)
    assert words in str(caught.value)


@examples
@given(st.recursive(st.none() | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_a_value_is_written_when_it_has_numbers_only(value):
    """A value is rejected exactly if it contains NaN or infinity."""
    number = find_non_finite(value)
    try:
        encode(value)
    except NotJSON:
        assert number is not None
    else:
        assert number is None


class Secretive(Exception):
    """An exception of an application."""


def raising(error):
    """Values whose own code raises this exception when they are encoded: a field, a time zone."""

    @dataclass
    class Field:
        x: int = 5

        def __getattribute__(self, name):
            if name == "x":
                raise error
            return object.__getattribute__(self, name)

    class Zone(tzinfo):
        def utcoffset(self, moment):
            raise error

    return [Field(), datetime(2020, 1, 1, tzinfo=Zone()), [Field()], {"a": datetime(2020, 1, 1, tzinfo=Zone())}]


def said(value):
    """The JSON of a value, or the sentence that says why it can't be encoded."""
    try:
        return encode(value).decode()
    except NotJSON as told:
        return str(told)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("hunter2"),
        TypeError("hunter2"),
        TypeError("Encoding objects of type hunter2 is unsupported"),
        OverflowError("hunter2"),
        KeyError("hunter2"),
        AttributeError("hunter2"),
        UnicodeEncodeError("utf-8", "hunter2", 0, 1, "hunter2"),
        RecursionError("hunter2"),
        Secretive("hunter2"),
    ],
)
def test_what_a_value_raises_is_not_repeated(error):
    """Nothing that the code of a value raises when it is encoded gets into the sentence."""
    for value in raising(error):
        assert "hunter2" not in said(value)
    if not isinstance(error, (AttributeError, RecursionError)):
        assert said(raising(error)[1]) == "a datetime that can't be read"


def test_a_number_spells_itself_in_no_words_of_its_own():
    """NaN of an application's own float class is named as Python names NaN."""

    class Own(float):
        def __repr__(self):
            return "hunter2"

        __str__ = __repr__

        def __format__(self, spec):
            return "hunter2"

    with pytest.raises(NotJSON) as caught:
        encode([Own("nan")])
    assert "hunter2" not in str(caught.value)

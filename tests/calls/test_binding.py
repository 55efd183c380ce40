"""Binding arguments to a callable."""

import enum
import functools
import inspect
import operator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict, Union
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gjrpc.calls.binding import Binding
from gjrpc.errors import InvalidArguments


def call(function, value):
    """Call a function with a JSON value as its arguments."""
    positional, named = Binding(function).bind(value)
    return function(*positional, **named)


def call_text(function, text):
    """Call a function with the arguments of a GET: a text, or the values of a query by name."""
    positional, named = Binding(function).bind_text(text)
    return function(*positional, **named)


def refusal(function, value, bind=call):
    """The sentence about arguments that do not fit."""
    with pytest.raises(InvalidArguments) as caught:
        bind(function, value)
    return caught.value.message


def annotated(annotation):
    """A function with one parameter of this annotation, which it returns."""

    def function(x):
        return x

    function.__annotations__["x"] = annotation
    return function


# The argument convention (CONVENTION, section 1), and callables of each kind.


def plain(a, b=10):
    """Two parameters, one with a default."""
    return a + b


def echo(x):
    """One required parameter."""
    return x


def nothing():
    """No parameters."""
    return "called"


def optional(x=5):
    """One parameter with a default."""
    return x


def star(*args):
    """Any number of values."""
    return args


def stars(**kwargs):
    """Any names."""
    return kwargs


def every_kind(a, b=2, /, c=3, *args, d, e=5, **kwargs):
    """A parameter of every kind."""
    return a, b, c, args, d, e, kwargs


class Thing:
    def __init__(self, a=0, **rest):
        self.a = a
        self.rest = rest

    def __eq__(self, other):
        return isinstance(other, Thing) and (self.a, self.rest) == (other.a, other.rest)

    __hash__ = None

    def method(self, x, **rest):
        return x, rest

    def __call__(self, x, **rest):
        return x, rest

    @classmethod
    def made(cls, x, **rest):
        return cls.__name__, x, rest

    @staticmethod
    def static(x, y=2):
        return x, y


class Made:
    def __new__(cls, x, **rest):
        return x, rest


@functools.wraps(plain)
def wrapped(*args, **kwargs):
    """A function as decorators return it."""
    return plain(*args, **kwargs)


CONVENTION = {
    "an array is positional": (plain, [1, 2], 3),
    "an array may leave defaults": (plain, [1], 11),
    "an object is named": (plain, {"b": 1, "a": 2}, 3),
    "an object may leave defaults": (plain, {"a": 2}, 12),
    "a number is one argument": (plain, 5, 15),
    "zero is a value": (echo, 0, 0),
    "false is a value": (echo, False, False),
    "a text is one argument": (echo, "a", "a"),
    "an array in an array is one argument": (echo, [[1]], [1]),
    "an empty text where one is required": (echo, "", ""),
    "null where one is required": (echo, None, None),
    "an empty text where none is taken": (nothing, "", "called"),
    "null where none is taken": (nothing, None, "called"),
    "no arguments": (nothing, [], "called"),
    "no named arguments": (nothing, {}, "called"),
    "an empty text where none is required": (optional, "", 5),
    "null where none is required": (optional, None, 5),
    "zero where none is required": (optional, 0, 0),
    "an empty text to *args": (star, "", ()),
    "one value to *args": (star, 0, (0,)),
    "many values to *args": (star, [1, 2], (1, 2)),
    "no named arguments to *args": (star, {}, ()),
    "**kwargs": (stars, {"a": 1, "b c": 2}, {"a": 1, "b c": 2}),
    "no arguments to **kwargs": (stars, [], {}),
    "a parameter's name among **kwargs, by position only": (lambda a=1, /, **k: (a, k), {"a": 5}, (1, {"a": 5})),
    "a bound method": (Thing().method, [1], (1, {})),
    "a bound method by name": (Thing().method, {"x": 1, "y": 2}, (1, {"y": 2})),
    "a class method": (Thing.made, {"x": 1, "y": 2}, ("Thing", 1, {"y": 2})),
    "a static method": (Thing.static, {"x": 1}, (1, 2)),
    "a static method of an instance": (Thing().static, [1, 3], (1, 3)),
    "a callable": (Thing(), {"x": 1, "y": 2}, (1, {"y": 2})),
    "a class": (Thing, {"a": 1, "b": 2}, Thing(1, b=2)),
    "a class with __new__": (Made, {"x": 1, "y": 2}, (1, {"y": 2})),
    "a partial by position": (functools.partial(plain, 1), [2], 3),
    "a partial by name": (functools.partial(plain, b=1), {"a": 2}, 3),
    "a partial's name may be given again": (functools.partial(plain, b=1), {"a": 2, "b": 5}, 7),
    "a partial of a partial": (functools.partial(functools.partial(plain, 1), b=2), None, 3),
    "a partial of a method": (functools.partial(Thing().method, 1), {"y": 2}, (1, {"y": 2})),
    "a cached function": (functools.lru_cache(plain), [1, 2], 3),
    "a built-in function": (operator.neg, 5, -5),
    "a wrapped function": (wrapped, {"a": 1}, 11),
}


@pytest.mark.parametrize(("function", "value", "result"), CONVENTION.values(), ids=CONVENTION)
def test_the_argument_convention(function, value, result):
    """Every kind of callable gets its arguments by the convention."""
    assert call(function, value) == result


TEXTS = {
    "nothing": (nothing, None, "called"),
    "an empty text where none is taken": (nothing, "", "called"),
    "an empty text where one is required": (echo, "", ""),
    "an empty text where none is required": (optional, "", 5),
    "nothing where none is required": (optional, None, 5),
    "one text": (echo, "1", "1"),
    "named texts": (lambda a, b: a + b, {"b": ["1"], "a": ["2"]}, "21"),
    "one text to *args": (star, "1", ("1",)),
    "named texts to **kwargs": (stars, {"a": ["1"]}, {"a": "1"}),
}


@pytest.mark.parametrize(("function", "text", "result"), TEXTS.values(), ids=TEXTS)
def test_texts_stay_text_without_an_annotation(function, text, result):
    """The arguments of a GET are bound by the same convention, and stay text without an annotation."""
    assert call_text(function, text) == result


REFUSED = {
    "too few": (plain, [], "missing argument 'a' (expected a, b)"),
    "two too few": (lambda a, b, c: 0, [1], "missing arguments 'b' and 'c' (expected a, b, c)"),
    "too many": (plain, [1, 2, 3], "too many arguments: got 3, expected at most 2 by position (a, b)"),
    "one where none is taken": (nothing, 0, "too many arguments: got 1, expected none by position (no arguments)"),
    "a missing name": (plain, {"b": 1}, "missing argument 'a' (expected a, b)"),
    "an unknown name": (plain, {"a": 1, "x": 2}, "unknown argument 'x' (expected a, b)"),
    "a name where none is taken": (nothing, {"x": 2}, "unknown argument 'x' (expected no arguments)"),
    "a misspelt name": (
        lambda host: 0,
        {"hots": 1},
        "missing argument 'host' (expected host); unknown argument 'hots' (expected host); did you mean 'host'?",
    ),
    "the name of *args": (star, {"args": [1]}, "unknown argument 'args' (expected *args)"),
    "keyword-only by position": (
        lambda *, k: 0,
        [],
        "missing argument 'k': it can only be given by name, so send an object",
    ),
    "keyword-only missing": (lambda *, k: 0, {}, "missing argument 'k' (expected k)"),
    "positional-only by name": (
        lambda a, /: 0,
        {"a": 1},
        "argument 'a' can only be given by position, so send an array (a)",
    ),
    "positional-only by name beside **kwargs": (
        lambda a, /, **k: 0,
        {"a": 1},
        "argument 'a' can only be given by position, so send an array (a, **k)",
    ),
    "self": (Thing().method, {"x": 1, "self": 2}, "unknown argument 'self' (expected x, **rest)"),
    "self of a callable": (Thing(), {"x": 1, "self": 2}, "unknown argument 'self' (expected x, **rest)"),
    "self of a partial method": (functools.partial(Thing().method, 1), {"self": 2}, "unknown argument 'self' (expected **rest)"),
    "self of a class": (Thing, {"self": 2}, "unknown argument 'self' (expected a, **rest)"),
    "cls": (Thing.made, {"x": 1, "cls": 2}, "unknown argument 'cls' (expected x, **rest)"),
    "cls of __new__": (Made, {"x": 1, "cls": 2}, "unknown argument 'cls' (expected x, **rest)"),
    "what a partial has given": (
        functools.partial(every_kind, 1, 2, 3),
        {"c": 2, "d": 1},
        "unknown argument 'c' (expected *args, d, e, **kwargs)",
    ),
    "what a partial method has given": (functools.partial(Thing(), 1), {"x": 2}, "unknown argument 'x' (expected **rest)"),
}


@pytest.mark.parametrize(("function", "value", "sentence"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_do_not_fit_are_named(function, value, sentence):
    """The error names each wrong argument, what was expected and what was received."""
    assert refusal(function, value) == sentence


# Annotations.


@dataclass
class Point:
    x: int
    y: float = 0.5


class Host(msgspec.Struct):
    name: str
    ports: list[int] = []


class Size(TypedDict):
    width: int


class Version(NamedTuple):
    major: int
    minor: int = 0


@dataclass
class Money:
    amount: Decimal
    note: Any = None


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Strict:
    x: int

    def __post_init__(self):
        if self.x < 0:
            raise ValueError("x is below 0")


Small = Annotated[int, msgspec.Meta(ge=0, le=5)]
ZERO = UUID(int=0)
NEW_YEAR = datetime(2020, 1, 1, tzinfo=timezone.utc)

# Annotation, as JSON, as the texts of a query, the argument.
ACCEPTED = {
    "int": (int, 5, ["5"], 5),
    "large int": (int, 2**70, [str(2**70)], 2**70),
    "float": (float, 1.5, ["1.5"], 1.5),
    "float from an integer": (float, 1, ["1"], 1.0),
    "bool": (bool, True, ["true"], True),
    "bool as a digit": (bool, False, ["0"], False),
    "str": (str, "5", ["5"], "5"),
    "empty str": (str, "", [""], ""),
    "bytes": (bytes, "YQ==", ["YQ=="], b"a"),
    "None": (None, None, ["null"], None),
    "Any": (Any, "5", ["5"], "5"),
    "object": (object, "5", ["5"], "5"),
    "Optional": (Optional[int], 5, ["5"], 5),  # noqa: UP045  people write both
    "or None": (int | None, None, ["null"], None),
    "Union": (Union[int, str], "a", ["a"], "a"),  # noqa: UP007  people write both
    "union": (int | str, "a", ["a"], "a"),
    "Literal": (Literal["a", 1], "a", ["a"], "a"),
    "Literal of a number": (Literal["a", 1], 1, ["1"], 1),
    "enum": (Colour, "red", ["red"], Colour.RED),
    "IntEnum": (Level, 1, ["1"], Level.LOW),
    "datetime": (datetime, "2020-01-01T00:00:00Z", ["2020-01-01T00:00:00Z"], NEW_YEAR),
    "date": (date, "2020-01-01", ["2020-01-01"], date(2020, 1, 1)),
    "timedelta": (timedelta, "PT5S", ["PT5S"], timedelta(seconds=5)),
    "UUID": (UUID, str(ZERO), [str(ZERO)], ZERO),
    "Decimal": (Decimal, "1.50", ["1.50"], Decimal("1.50")),
    "list": (list[int], [1, 2], ["1", "2"], [1, 2]),
    "list of one": (list[int], [1], ["1"], [1]),
    "bare list": (list, ["a", "b"], ["a", "b"], ["a", "b"]),
    "list or None": (list[int] | None, [1], ["1"], [1]),
    "annotated list": (Annotated[list[int], msgspec.Meta(title="n", extra={})], [1, 2], ["1", "2"], [1, 2]),
    "set": (set[int], [1, 2], ["1", "2"], {1, 2}),
    "tuple": (tuple[int, str], [1, "2"], ["1", "2"], (1, "2")),
    "open tuple": (tuple[int, ...], [1, 2], ["1", "2"], (1, 2)),
    "dict": (dict[str, int], {"a": 1}, ['{"a":1}'], {"a": 1}),
    "bare dict": (dict, {"a": 1}, ['{"a":1}'], {"a": 1}),
    "dict of lists": (dict[str, list[int]], {"a": [1]}, ['{"a":[1]}'], {"a": [1]}),
    "list of lists": (list[list[int]], [[1], [2, 3]], ["[1]", "[2,3]"], [[1], [2, 3]]),
    "list of objects": (list[Point], [{"x": 1}, {"x": 2}], ['{"x":1}', '{"x":2}'], [Point(1), Point(2)]),
    "dataclass": (Point, {"x": 1}, ['{"x":1}'], Point(1)),
    "dataclass or None": (Point | None, None, ["null"], None),
    "Struct": (Host, {"name": "a", "ports": [1]}, ['{"name":"a","ports":[1]}'], Host("a", [1])),
    "TypedDict": (Size, {"width": 1}, ['{"width":1}'], {"width": 1}),
    "NamedTuple": (Version, [3, 1], ["[3,1]"], Version(3, 1)),
    "Annotated": (Small, 5, ["5"], 5),
    "text annotation": ("Optional[int]", 5, ["5"], 5),
}


@pytest.mark.parametrize(("annotation", "value", "texts", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_annotations_convert(annotation, value, texts, expected):
    """A value is converted to the annotation of its parameter: from JSON by position and by name, and from a query."""
    function = annotated(annotation)
    for got in (call(function, [value]), call(function, {"x": value}), call_text(function, {"x": texts})):
        assert got == expected
        assert type(got) is type(expected)
    if len(texts) == 1:
        assert call_text(function, texts[0]) == expected


# Annotation, as JSON, and the sentence behind "argument 'x'".
UNFIT = {
    "text for int": (int, "5", ": expected `int`, got `str`"),
    "float for int": (int, 5.0, ": expected `int`, got `float`"),
    "bool for int": (int, True, ": expected `int`, got `bool`"),
    "null for int": (int, None, ": expected `int`, got `null`"),
    "int for str": (str, 5, ": expected `str`, got `int`"),
    "int for bool": (bool, 1, ": expected `bool`, got `int`"),
    "large int for float": (float, 10**400, ": number out of range (expected float), got 1" + "0" * 59 + "…"),
    "text for int or None": (int | None, "a", ": expected `int | null`, got `str`"),
    "no Literal": (Literal["a"], "b", ": invalid enum value (expected Literal['a']), got \"b\""),
    "no enum": (Colour, "blue", ': invalid enum value (expected test_binding.Colour), got "blue"'),
    "no IntEnum": (Level, -2, ": invalid enum value (expected test_binding.Level), got -2"),
    "no datetime": (datetime, "a", ': invalid RFC3339 encoded datetime (expected datetime.datetime), got "a"'),
    "no UUID": (UUID, "a", ': invalid UUID (expected uuid.UUID), got "a"'),
    "no Decimal": (Decimal, "a", ': invalid decimal string (expected decimal.Decimal), got "a"'),
    "NaN for Decimal": (Decimal, "NaN", ": expected a finite number, got NaN"),
    "out of bounds": (Small, 9, ": expected `int` <= 5, got 9"),
    "int for list": (list[int], 5, ": expected `array`, got `int`"),
    "text in list": (list[int], [1, "a"], " at [1]: expected `int`, got `str`"),
    "tuple's length": (tuple[int, int], [1], ": expected `array` of length 2, got 1"),
    "text in dict": (dict[str, int], {"a": "b"}, " at [...]: expected `int`, got `str`"),
    "text as key": (dict[int, int], {"a": 1}, ": expected `int`, got `str` as a key"),
    "deep": (list[Host], [{"name": "a", "ports": ["b"]}], " at [0].ports[0]: expected `int`, got `str`"),
    "field is missing": (Point, {"y": 1}, ': object missing required field `x` (expected test_binding.Point), got {"y":1}'),
    "the class's own check": (
        Strict,
        {"x": -1},
        ': a check of its class rejects the value (expected test_binding.Strict), got {"x":-1}',
    ),
    "a place in what came": (
        Literal["a"],
        "b' - at `$[7]",
        """: invalid enum value (expected Literal['a']), got "b' - at `$[7]\"""",
    ),
}


@pytest.mark.parametrize(("annotation", "value", "sentence"), UNFIT.values(), ids=UNFIT)
def test_values_that_do_not_fit_are_named(annotation, value, sentence):
    """JSON is converted strictly, and the error names the parameter, what was expected and what was received."""
    assert refusal(annotated(annotation), [value]) == "argument 'x'" + sentence
    assert refusal(annotated(annotation), {"x": value}) == "argument 'x'" + sentence


UNFIT_TEXTS = {
    "no int": (int, ["a"], ": expected `int`, got the text 'a'"),
    "a float for int": (int, ["1.5"], ": expected `int`, got the text '1.5'"),
    "empty for int": (int, [""], ": expected `int`, got the text ''"),
    "a long text for int": (int, ["a" * 100_000], f": expected `int`, got the text '{'a' * 60}…'"),
    "4,301 digits": (int, ["9" * 4301], f": integer value out of range (expected int), got the text '{'9' * 60}…'"),
    "an endless exponent": (int, ["1e99999"], ": number out of range (expected int), got the text '1e99999'"),
    "no bool": (bool, ["yes"], ": expected `bool`, got the text 'yes'"),
    "beyond a double": (float, ["1e400"], ": number out of range (expected float), got the text '1e400'"),
    "no date": (date, ["1.5"], ": invalid RFC3339 encoded date (expected datetime.date), got the text '1.5'"),
    "seconds for a datetime": (
        datetime,
        ["1.5"],
        ": invalid RFC3339 encoded datetime (expected datetime.datetime), got the text '1.5'",
    ),
    "no Decimal": (Decimal, ["a"], ": invalid decimal string (expected decimal.Decimal), got the text 'a'"),
    "nan": (float, ["nan"], ": expected a finite number, got nan"),
    "Infinity": (float, ["Infinity"], ": expected a finite number, got inf"),
    "-inf": (float | None, ["-inf"], ": expected a finite number, got -inf"),
    "nan in a list": (list[float], ["1", "nan"], ": expected a finite number, got nan"),
    "nan in an object": (Point, ['{"x":1,"y":"nan"}'], """ at y: expected `float`, got `str` in the text '{"x":1,"y":"nan"}'"""),
    "nan as a key": (dict[float, int], ['{"nan":1}'], ": expected a finite number, got nan"),
    "NaN for Decimal": (Decimal, ["sNaN"], ": expected a finite number, got sNaN"),
    "NaN in an object": (Money, ['{"amount":"NaN"}'], ": expected a finite number, got NaN"),
    "no Literal": (Literal["a"], ["b"], ": invalid enum value (expected Literal['a']), got the text 'b'"),
    "no enum": (Colour, ["blue"], ": invalid enum value (expected test_binding.Colour), got the text 'blue'"),
    "two for one": (int, ["1", "2"], ": given 2 times, but it takes one value"),
    "text in a list": (list[int], ["1", "a"], " at [1]: expected `int`, got the text 'a'"),
    "no JSON": (Point, ["a"], ": expected JSON text: malformed JSON: invalid character (byte 0)"),
    "NaN as JSON": (Point, ['{"x":NaN}'], ": expected JSON text: malformed JSON: invalid character (byte 5)"),
    "another JSON": (Point, ["[1]"], ": expected `object`, got `array` in the text '[1]'"),
}


@pytest.mark.parametrize(("annotation", "texts", "sentence"), UNFIT_TEXTS.values(), ids=UNFIT_TEXTS)
def test_texts_that_do_not_fit_are_named(annotation, texts, sentence):
    """A text of a query that does not fit is an error that names the parameter; no spelling of NaN or infinity fits."""
    assert refusal(annotated(annotation), {"x": texts}, call_text) == "argument 'x'" + sentence


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_words_for_no_number_are_texts_to_a_text(text):
    """For a parameter that accepts text, nan and inf are ordinary words."""
    for annotation in (str, Any, float | str):
        assert call_text(annotated(annotation), {"x": [text]}) == text


def typed(a: int, *rest: int, k: int = 0, **more: int) -> tuple[Any, ...]:
    """A function with an annotated parameter of each kind."""
    return a, rest, k, more


def test_variable_parameters_convert():
    """The annotations of *args and **kwargs apply to each of their values."""
    assert call(typed, [1, 2, 3]) == (1, (2, 3), 0, {})
    assert call(typed, {"a": 1, "k": 2, "m": 3}) == (1, (), 2, {"m": 3})
    assert call_text(typed, {"a": ["1"], "m": ["3"]}) == (1, (), 0, {"m": 3})
    assert call_text(lambda *rest: rest, "1") == ("1",)


def test_defaults_stay_what_they_are():
    """A default is not converted, even if it does not fit the annotation."""

    def function(a: int = "none", *, b: list[int] = ()):  # type: ignore[assignment]  # defaults are not looked at
        return a, b

    assert call(function, []) == ("none", ())
    assert call(function, {"b": [1]}) == ("none", [1])
    assert call_text(function, {"a": ["1"]}) == (1, ())


def test_each_call_has_values_of_its_own():
    """A method that changes its arguments does not change the texts that they were converted from."""
    texts = {"x": ["a"]}
    for annotation in (list, list[str], list[Any]):
        call_text(annotated(annotation), texts).append("b")
    assert texts == {"x": ["a"]}


def test_unannotated_values_are_not_touched():
    """A function without annotations gets the very objects that were passed."""
    value = [object()]
    assert Binding(plain).bind_positional(value)[0] is value
    named = {"a": object()}
    assert Binding(plain).bind_named(named)[1] is named


# Any signature.

NAMES = ["a", "b", "c", "d", "e", "f"]
KINDS = [
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
    inspect.Parameter.VAR_KEYWORD,
]
ARGUMENTS = st.lists(st.integers(0, 9), max_size=7) | st.dictionaries(
    st.sampled_from([*NAMES, "self", "cls", "args", "x y"]), st.integers(0, 9), max_size=7
)


@st.composite
def functions(draw, first="", body="return locals()"):
    """Make a function with any signature, annotated or not, that returns what it was called with."""
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), max_size=len(NAMES))), key=int)
    parts, defaulted, keywords = [first] if first else [], False, False
    for name, kind in zip(NAMES, kinds, strict=False):
        note = draw(st.sampled_from(["", ": int"]))
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            stars = "*" if kind is inspect.Parameter.VAR_POSITIONAL else "**"
            if any(part.startswith(stars) and part[len(stars)] != "*" for part in parts):
                continue
            keywords = True
            parts.append(f"{stars}{name}{note}")
            continue
        if kind is inspect.Parameter.KEYWORD_ONLY and not keywords:
            keywords = True
            parts.append("*")
        default = draw(st.booleans()) or (defaulted and kind is not inspect.Parameter.KEYWORD_ONLY)
        defaulted = defaulted or (default and kind is not inspect.Parameter.KEYWORD_ONLY)
        parts.append(f"{name}{note}{' = 0' if default else ''}")
        if kind is inspect.Parameter.POSITIONAL_ONLY:
            parts = [part for part in parts if part != "/"] + ["/"]
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(parts)}):\n    {body}", scope)
    return scope["function"]


def called(function, arguments):
    """The result of a call, or 'refused'."""
    try:
        return function(**arguments) if isinstance(arguments, dict) else function(*arguments)
    except TypeError:
        return "refused"


def bound(function, arguments):
    """The result of a bound call, or "refused"; a TypeError of the call would be a fault of the binder."""
    try:
        positional, named = Binding(function).bind(arguments)
    except InvalidArguments:
        return "refused"
    return function(*positional, **named)


anything = settings(max_examples=200, deadline=None, database=None)


@anything
@given(functions(), ARGUMENTS)
def test_the_binder_accepts_what_the_signature_accepts(function, arguments):
    """For any signature the binder accepts exactly the arguments that the call accepts."""
    # The call decides: inspect.Signature.bind agrees with it, except for a fault of Python before 3.13 (see below).
    assert bound(function, arguments) == called(function, arguments)


@anything
@given(functions(), ARGUMENTS)
def test_the_binder_agrees_with_inspect(function, arguments):
    """For any signature the binder accepts exactly the arguments that inspect.Signature.bind does."""
    signature = inspect.signature(function)
    only_positional = {p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_ONLY}
    assume(isinstance(arguments, list) or not only_positional & arguments.keys())  # before 3.13 inspect keeps these from **kwargs
    try:
        signature.bind(**arguments) if isinstance(arguments, dict) else signature.bind(*arguments)
        accepted = True
    except TypeError:
        accepted = False
    assert (bound(function, arguments) != "refused") == accepted


@anything
@given(functions(first="self"), ARGUMENTS)
def test_the_binder_accepts_what_a_method_accepts(function, arguments):
    """For any bound method, class and callable the binder accepts exactly the arguments that the call accepts."""
    method = function.__get__("me")
    assert bound(method, arguments) == called(method, arguments)
    thing = type("Callable", (), {"__call__": function})()
    assert bound(thing, arguments) == called(thing, arguments)


@anything
@given(functions(), st.lists(st.just(7), max_size=3), st.dictionaries(st.sampled_from(NAMES), st.just(8), max_size=2), ARGUMENTS)
def test_the_binder_accepts_what_a_partial_accepts(function, positional, named, arguments):
    """For any partial, also of a partial, the binder accepts exactly the arguments that the call accepts."""
    partial = functools.partial(functools.partial(function, *positional), **named)
    parameters = inspect.signature(function).parameters.values()
    if all(p.kind is not p.VAR_KEYWORD for p in parameters):  # Python 3.13 shows a signature that no call fits
        assume(not any(p.kind is p.POSITIONAL_ONLY and p.name in named for p in parameters))
    try:
        inspect.signature(partial)
    except ValueError:  # the bound arguments do not fit the function
        assume(False)
    assert bound(partial, arguments) == called(partial, arguments)


def _add(a, b=10):
    return a + b


def _typed(a: int, b: int = 10) -> int:
    return a + b


def _finite(a: float) -> float:
    return a


def _named(a, *, b):
    return a + b


def _many(a, *rest):
    return [a, *rest]


@pytest.mark.parametrize("function", [_add, _typed, _finite, _named, _many])
@pytest.mark.parametrize(
    "value", [[1, 2], [1], [], [1, 2, 3], {"a": 1}, {"a": 1, "b": 2}, {"c": 1}, 5, "x", None, ["1", "2"], [1.5], [float("nan")]]
)
def test_the_short_way_to_call_is_bind_and_call(function, value):
    """The compiled caller returns the same as binding and calling, and raises the same error for arguments that do not fit."""
    binding = Binding(function)

    def told(call):
        try:
            return repr(call())
        except InvalidArguments as error:
            return error.message
        except TypeError:
            return TypeError

    def bound():
        positional, named = binding.bind(value)
        return function(*positional, **named)

    assert told(lambda: binding.compile_call(function)(value)) == told(bound)

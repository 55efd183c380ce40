"""Whether the values of one schema fit another: each rule, and that no schema is accepted whose values do not fit."""

import itertools
from random import Random
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from msgspec import Meta

from gjrpc.errors import SettingsError
from gjrpc.tools.likeness import Likeness
from gjrpc.tools.openrpc_document import Document
from gjrpc.tools.subschema import Comparer

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def document(components=None):
    """A document with these schemas as components."""
    tree = {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": []}
    return Document({**tree, "components": {"schemas": components or {}}}, "test")


def doubt(part, whole, part_components=None, whole_components=None):
    """The answer of `misfit`, with the components of both documents."""
    return Comparer(document(part_components), document(whole_components)).misfit(part, whole)


def ref(name):
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def of_type(kind):
    """The schema of a type, and its components, as the server writes them."""
    (schema,), components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return schema, components


INTEGER, NUMBER, STRING, NULL = ({"type": kind} for kind in ("integer", "number", "string", "null"))
A_LIST = {"type": "array", "items": INTEGER}
PAIR = {"type": "array", "prefixItems": [INTEGER, STRING], "items": False, "minItems": 2, "maxItems": 2}
POINT = {"type": "object", "properties": {"x": INTEGER}, "required": ["x"]}
CLOSED = {**POINT, "additionalProperties": False}

FITS = [
    (INTEGER, {}),
    (INTEGER, True),
    (False, STRING),
    (INTEGER, NUMBER),
    (INTEGER, {"type": ["string", "number"]}),
    (INTEGER, {"title": "N", "description": "d", "default": 1, "x-more": [1], "type": "integer"}),
    (INTEGER, {"anyOf": [NULL, INTEGER]}),
    ({"anyOf": [NULL, INTEGER]}, {"anyOf": [INTEGER, STRING, NULL]}),
    ({"type": ["integer", "null"]}, {"anyOf": [INTEGER, NULL]}),
    ({"allOf": [INTEGER]}, NUMBER),
    (INTEGER, {"allOf": [NUMBER, INTEGER]}),
    (INTEGER, {"oneOf": [INTEGER]}),
    ({"type": "boolean"}, {"enum": [True, False]}),
    ({"enum": ["a"]}, {"enum": ["b", "a"]}),
    ({"enum": [1, "a"]}, {"anyOf": [STRING, INTEGER]}),
    ({"const": 1.0}, INTEGER),
    ({"const": 1}, {"enum": [1.0]}),
    ({"const": "abc"}, {"type": "string", "minLength": 3, "maxLength": 3}),
    ({"const": 6}, {"type": "integer", "minimum": 6, "exclusiveMaximum": 7, "multipleOf": 3}),
    ({"const": [1, "a"]}, PAIR),
    ({"const": {"x": 1}}, CLOSED),
    ({"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0}),
    ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
    ({"type": "number", "exclusiveMinimum": 0}, {"type": "number", "minimum": 0}),
    ({"type": "integer", "exclusiveMaximum": 10}, {"type": "integer", "maximum": 9}),
    ({"type": "integer", "multipleOf": 6}, {"type": "integer", "multipleOf": 3}),
    (INTEGER, {"type": "integer", "multipleOf": 1}),
    ({"type": "string", "minLength": 2, "pattern": "^a"}, {"type": "string", "minLength": 1, "pattern": "^a"}),
    ({"type": "string", "format": "date"}, STRING),
    (A_LIST, {"type": "array"}),
    (A_LIST, {"type": "array", "items": NUMBER}),
    ({**A_LIST, "uniqueItems": True, "maxItems": 2}, {**A_LIST, "maxItems": 3}),
    ({**A_LIST, "maxItems": 1}, {**A_LIST, "uniqueItems": True}),
    (PAIR, {"type": "array", "items": {"anyOf": [STRING, NUMBER]}, "maxItems": 2}),
    ({"type": "array", "maxItems": 0}, A_LIST),
    ({"type": "array", "prefixItems": [INTEGER]}, {"type": "array", "prefixItems": [INTEGER, STRING]}),
    (CLOSED, POINT),
    (CLOSED, {"type": "object", "maxProperties": 1, "minProperties": 1, "additionalProperties": INTEGER}),
    (CLOSED, {"type": "object", "propertyNames": {"maxLength": 1}}),
    (POINT, {"type": "object"}),
    (POINT, {**POINT, "properties": {"x": NUMBER, "y": STRING}}),
    (POINT, {**POINT, "required": []}),
    ({"type": "object", "additionalProperties": INTEGER}, {"type": "object", "additionalProperties": NUMBER}),
    ({"type": "object", "propertyNames": {"minLength": 3}}, {"type": "object", "propertyNames": {"minLength": 2}}),
    ({"type": "object", "patternProperties": {"^a": {}}}, {"type": "object"}),
    ({"type": "string", "not": {"const": "a"}}, {"type": "string", "not": {"const": "a"}}),
]

DOES_NOT = [
    ({}, INTEGER, "anything does not fit integer"),
    (INTEGER, False, "integer is not allowed"),
    (NUMBER, INTEGER, "number does not fit integer"),
    (STRING, INTEGER, "string does not fit integer"),
    ({"anyOf": [INTEGER, NULL]}, INTEGER, "null does not fit integer"),
    (INTEGER, {"anyOf": [STRING, NULL]}, "integer does not fit string | null"),
    (INTEGER, {"allOf": [NUMBER, STRING]}, "integer does not fit string"),
    (INTEGER, {"oneOf": [INTEGER, NUMBER]}, "the keyword 'oneOf' can't be compared"),
    (INTEGER, {"not": STRING}, "the keyword 'not' can't be compared"),
    (STRING, {"enum": ["a"]}, 'string does not fit "a"'),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, '"b" does not fit "a"'),
    ({"const": True}, {"enum": [1]}, "true does not fit 1"),
    (INTEGER, {"type": "integer", "minimum": 1}, "integer does not fit minimum 1"),
    ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}, "integer (minimum 0) does not fit minimum 1"),
    (
        {"type": "number", "minimum": 0},
        {"type": "number", "exclusiveMinimum": 0},
        "number (minimum 0) does not fit exclusiveMinimum 0",
    ),
    ({"type": "number", "exclusiveMinimum": 0}, {"minimum": 1}, "number (exclusiveMinimum 0) does not fit minimum 1"),
    ({"type": "number", "maximum": 2}, {"exclusiveMaximum": 2}, "number (maximum 2) does not fit exclusiveMaximum 2"),
    (INTEGER, {"exclusiveMinimum": True}, '{"exclusiveMinimum":true} can\'t be compared: Expected `int | float`, got `bool`'),
    ({"type": "number", "multipleOf": 0.2}, {"multipleOf": 0.1}, "number (multipleOf 0.2) does not fit multipleOf 0.1"),
    (STRING, {"minLength": 1}, "string does not fit minLength 1"),
    ({"type": "string", "maxLength": 9}, {"maxLength": 8}, "string (maxLength 9) does not fit maxLength 8"),
    ({"type": "string", "pattern": "a"}, {"pattern": "b"}, 'string (pattern "a") does not fit pattern "b"'),
    ({"const": "a"}, {"pattern": "a"}, '"a" does not fit pattern "a"'),
    (STRING, {"type": "string", "format": "date"}, 'string does not fit format "date"'),
    (A_LIST, {"type": "array", "items": STRING}, "at []: integer does not fit string"),
    (A_LIST, {**A_LIST, "minItems": 1}, "array of integer does not fit minItems 1"),
    (A_LIST, {**A_LIST, "uniqueItems": True}, "array of integer does not fit uniqueItems true"),
    (A_LIST, PAIR, "at [1]: integer does not fit string"),
    (PAIR, {"type": "array", "items": INTEGER}, "at [1]: string does not fit integer"),
    ({"type": "array", "prefixItems": [INTEGER], "minItems": 2}, PAIR, "at [1]: anything does not fit string"),
    (POINT, CLOSED, "at .*: anything is not allowed"),
    (POINT, {**POINT, "required": ["x", "y"]}, "the property 'y' may be missing"),
    (POINT, {"type": "object", "properties": {"x": STRING}}, "at .x: integer does not fit string"),
    ({"type": "object"}, {"type": "object", "properties": {"x": INTEGER}}, "at .x: anything does not fit integer"),
    ({**POINT, "required": ["x", "y"]}, {"properties": {"y": INTEGER}}, "at .y: anything does not fit integer"),
    ({**CLOSED, "patternProperties": {"^a": {}}}, CLOSED, "at .*: anything is not allowed"),
    ({"type": "object"}, {"type": "object", "maxProperties": 1}, "object does not fit maxProperties 1"),
    (POINT, {"type": "object", "propertyNames": {"minLength": 2}}, 'at .x: "x" does not fit minLength 2'),
    ({"type": "object"}, {"propertyNames": {"maxLength": 2}}, "at .*: string does not fit maxLength 2"),
    ({"type": "array", "items": [INTEGER]}, A_LIST, "can't be compared: Expected `bool | object`, got `array`"),
    ({"type": "object", "$id": "x"}, POINT, "its $id changes"),
    (POINT, {"$ref": "other.json"}, "'other.json' points out of the document"),
    (POINT, {"$ref": "#/nope"}, "'#/nope' points to nothing in the document"),
    (POINT, {"$ref": "#/info/title"}, "'#/info/title' does not point to a schema"),
]


@pytest.mark.parametrize(("part", "whole"), FITS, ids=str)
def test_fits(part, whole):
    """A schema whose values all fit is accepted."""
    assert doubt(part, whole) is None


@pytest.mark.parametrize(("part", "whole", "sentence"), DOES_NOT, ids=str)
def test_does_not_fit(part, whole, sentence):
    """If some value of a schema does not fit, or may not, the answer is a sentence that says why."""
    assert sentence in doubt(part, whole)


LIST = {"type": "object", "properties": {"head": INTEGER, "tail": {"anyOf": [ref("List"), NULL]}}, "required": ["head"]}
WIDER_LIST = {**LIST, "properties": {**LIST["properties"], "head": NUMBER}}
EMPTY_CIRCLE = {"anyOf": [STRING, ref("List")]}


def test_references():
    """A reference is resolved in its own document."""
    assert doubt(ref("A"), NUMBER, {"A": INTEGER}) is None
    assert doubt(INTEGER, ref("A"), {"A": STRING}, {"A": NUMBER}) is None
    assert doubt(ref("A"), ref("A"), {"A": INTEGER}, {"A": STRING}) == "integer does not fit string"
    assert doubt(ref("a~1b%20c"), NUMBER, {"a/b c": INTEGER}) is None


def test_recursive():
    """Schemas that hold themselves are compared to the end."""
    assert doubt(ref("List"), ref("List"), {"List": LIST}, {"List": WIDER_LIST}) is None
    assert doubt(ref("List"), ref("List"), {"List": WIDER_LIST}, {"List": LIST}) == "at .head: number does not fit integer"
    deep = {**LIST, "properties": {**LIST["properties"], "tail": {"anyOf": [{**LIST, "required": []}, NULL]}}}
    assert doubt(ref("List"), ref("List"), {"List": deep}, {"List": LIST}) == "at .tail: the property 'head' may be missing"


def test_circle():
    """A reference that leads back to itself, without a step inside the value, proves nothing."""
    assert doubt(INTEGER, ref("List"), {}, {"List": EMPTY_CIRCLE}) == "List refers to itself without end"
    assert "refers to itself without end" in doubt(ref("A"), STRING, {"A": ref("A")})
    # What was proven inside, while the outer pair was assumed, must not prove that outer pair.
    inner = {"type": "object", "properties": {"x": ref("List")}, "required": ["x"]}
    whole = {"allOf": [{"properties": {"x": ref("List")}}, {"anyOf": [STRING, ref("List")]}]}
    assert doubt(ref("List"), ref("List"), {"List": inner}, {"List": whole}) is not None


def test_too_large():
    """A comparison that would take for ever is given up, and not said to fit."""
    many = {
        f"L{i}": {"anyOf": [{"type": "array", "items": ref(f"L{i + 1}"), "minItems": n} for n in range(4)]} for i in range(20)
    }
    whole = {**many, "L20": INTEGER}
    assert doubt(ref("L0"), ref("L0"), {**many, "L20": NUMBER}, whole) == "the schemas are too large to compare"
    chain = {f"L{i}": {"type": "array", "items": ref(f"L{i + 1}")} for i in range(1000)}
    end = {**chain, "L1000": INTEGER}
    with pytest.raises(SettingsError, match="nested more than 120 levels deep, counting what it refers to"):
        doubt(ref("L0"), ref("L0"), {**chain, "L1000": NUMBER}, end)


def test_alike():
    """Two schemas are alike if they and all that they refer to are written alike, whatever the order of keys."""
    one, other = document({"A": POINT, "B": ref("A")}), document({"B": ref("A"), "A": dict(reversed(POINT.items()))})
    assert Likeness(one, other).alike(ref("B"), ref("B"))
    assert not Likeness(one, document({"A": CLOSED, "B": ref("A")})).alike(ref("B"), ref("B"))
    assert not Likeness(one, other).alike(ref("C"), ref("C"))
    assert not Likeness(one, other).alike({"const": 1}, {"const": True})


def validity(schema, components):
    """Whether a value is valid, as jsonschema judges: a function of the value."""
    whole = {"allOf": [schema], "components": {"schemas": components}}
    return jsonschema.Draft202012Validator(whole).is_valid


NAMES = st.sampled_from(["a", "b", "c"])
COUNTS = st.integers(0, 3)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.5]), st.text("ab", max_size=3))
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)), max_leaves=6
)


def value_of(chance, depth=2):
    """A value as `VALUES` has them, by chance: to judge a schema by forty of those would take hypothesis long to draw."""
    if depth and (kind := chance.choice([list, dict, None])):
        inner = [value_of(chance, depth - 1) for _ in range(chance.randrange(4))]
        return inner if kind is list else dict(zip(chance.sample("abc", len(inner)), inner, strict=True))
    return chance.choice([None, True, False, *range(-3, 4), 0.5, 1.0, -2.5, "", "a", "b", "ab", "bab"])


MANY_VALUES = st.lists(st.sampled_from([value_of(Random(number)) for number in range(500)]), min_size=20, max_size=40)


def some(**keywords):
    """Schemas with any of these keywords."""
    return st.fixed_dictionaries({}, optional=keywords)


def typed(kind, **keywords):
    """Schemas of one kind, with any of these keywords."""
    return some(**keywords).map(lambda chosen: {"type": kind, **chosen})


def objects(inner):
    """Schemas of objects that restrict the properties which they don't list."""
    chosen = typed(
        "object",
        properties=st.dictionaries(NAMES, inner, max_size=2),
        required=st.lists(NAMES, max_size=2, unique=True),
        minProperties=COUNTS,
        maxProperties=COUNTS,
        propertyNames=st.sampled_from([True, {"enum": ["a", "b"]}, {"maxLength": 1}]),
        patternProperties=st.just({"a": {"type": "integer"}}),
    )
    return st.builds(lambda schema, further: {**schema, "additionalProperties": further}, chosen, inner | st.booleans())


def arrays(inner):
    """Schemas of arrays that restrict the items which they don't list."""
    chosen = typed("array", prefixItems=st.lists(inner, max_size=2), minItems=COUNTS, maxItems=COUNTS, uniqueItems=st.booleans())
    return st.builds(lambda schema, further: {**schema, "items": further}, chosen, inner | st.booleans())


BOUNDS = {name: st.integers(-2, 2) for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")}
KINDS_LIST = st.lists(st.sampled_from(["null", "boolean", "integer", "number", "string"]), min_size=1, max_size=2, unique=True)
LEAVES = st.one_of(
    typed("integer", multipleOf=st.integers(1, 3), **BOUNDS),
    typed("number", multipleOf=st.sampled_from([0.5, 1, 2]), **BOUNDS),
    typed("string", minLength=COUNTS, maxLength=COUNTS, pattern=st.sampled_from(["a", "^b"])),
    some(type=KINDS_LIST, enum=st.lists(VALUES, max_size=3), minimum=st.integers(-2, 2), minLength=COUNTS),
    some(const=VALUES),
    st.sampled_from([ref("A"), ref("B"), True, False, NULL, {"type": "boolean"}]),
)


def composed(inner):
    """Schemas of schemas."""
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(objects(inner), arrays(inner), some(anyOf=several, allOf=several, oneOf=several, type=KINDS_LIST))


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=5)
# A component may refer to itself only inside a value: jsonschema would go round in a circle.
COMPONENTS = st.fixed_dictionaries({name: objects(SCHEMAS) | arrays(SCHEMAS) for name in ("A", "B")})


@st.composite
def relatives(draw):
    """A schema, and one that has something in common with it."""
    part = draw(SCHEMAS)
    keyword = draw(st.sampled_from(["anyOf", "allOf", "oneOf"]))
    other = draw(SCHEMAS)
    dropped = {key: value for key, value in part.items() if draw(st.booleans())} if isinstance(part, dict) else part
    whole = draw(st.sampled_from([other, {keyword: [other, part]}, {keyword: [part]}, dropped, {"anyOf": [dropped, other]}]))
    return draw(st.permutations([part, whole]))


@SETTINGS
@given(
    relatives(),
    st.tuples(COMPONENTS, COMPONENTS) | COMPONENTS.map(lambda one: (one, one)),
    MANY_VALUES,
)
def test_sound_for_any_schemas(schemas, components, values):
    """If a schema fits another, each value that jsonschema finds valid for the one is valid for the other."""
    part, whole = schemas
    part_components, whole_components = components
    if Comparer(document(part_components), document(whole_components)).misfit(part, whole) is None:
        for_part, for_whole = validity(part, part_components), validity(whole, whole_components)
        for value in values:
            if for_part(value):
                assert for_whole(value)


COUNTER = itertools.count()


class Declared:
    """A type, and a strategy for its values in JSON, including undeclared properties under a name that no type declares."""

    def __init__(self, kind, values):
        self.kind = kind
        self.values = values

    def __repr__(self):
        return repr(self.kind)


def either(one, other):
    """A union that msgspec can compile: up to 0.22 at least it crashes at a tuple of fixed length beside a type with limits."""
    union = Union[one, other]  # noqa: UP007  None | None is none
    members = get_args(union) if get_origin(union) is Union else ()
    if any(get_origin(member) is tuple for member in members):
        reject()
    return union


def record(fields, closed):
    """A Struct of `(name, declared type, required)`."""
    columns = [(n, each.kind) if required else (n, either(each.kind, None), None) for n, each, required in fields]
    kind = msgspec.defstruct(f"Record{next(COUNTER)}", columns, kw_only=True, forbid_unknown_fields=closed)
    required = {n: each.values for n, each, needed in fields if needed}
    optional = {n: each.values | st.none() for n, each, needed in fields if not needed}
    if not closed:
        optional["undeclared"] = VALUES
    return Declared(kind, st.fixed_dictionaries(required, optional=optional))


def sequence(items):
    """A tuple type."""
    return Declared(tuple[tuple(each.kind for each in items)], st.tuples(*[each.values for each in items]).map(list))


PLAIN = [
    Declared(int, st.integers(-9, 9)),
    Declared(Annotated[int, Meta(ge=1, lt=5)], st.integers(1, 4)),
    Declared(Annotated[int, Meta(gt=0)], st.integers(1, 9)),
    Declared(float, st.integers(-9, 9) | st.floats(-9, 9)),
    Declared(str, st.text("ab", max_size=4)),
    Declared(Annotated[str, Meta(min_length=1, max_length=3)], st.text("ab", min_size=1, max_size=3)),
    Declared(bool, st.booleans()),
    Declared(None, st.none()),
    Declared(Literal["a", "b"], st.sampled_from("ab")),
    Declared(Literal["a", "b", "c"], st.sampled_from("abc")),
    Declared(Any, VALUES),
]


def made_of(inner):
    """Types that hold others."""
    fields = st.lists(st.tuples(NAMES, inner, st.booleans()), max_size=3, unique_by=lambda field: field[0])
    return st.one_of(
        inner.map(lambda each: Declared(list[each.kind], st.lists(each.values, max_size=3))),
        inner.map(
            lambda each: Declared(
                Annotated[list[each.kind], Meta(min_length=1, max_length=2)], st.lists(each.values, min_size=1, max_size=2)
            )
        ),
        inner.map(lambda each: Declared(dict[str, each.kind], st.dictionaries(NAMES, each.values, max_size=3))),
        st.lists(inner, min_size=1, max_size=3).map(sequence),
        st.tuples(inner, inner).map(lambda two: Declared(either(two[0].kind, two[1].kind), two[0].values | two[1].values)),
        st.builds(record, fields, st.booleans()),
    )


TYPES = st.recursive(st.sampled_from(PLAIN), made_of, max_leaves=4)


@st.composite
def evolutions(draw):
    """A type and a changed version of it, which in the first of three cases accepts all the same values."""
    old, other = draw(TYPES), draw(TYPES)
    name, required = draw(NAMES), draw(st.booleans())
    wider = [
        (old, old),
        (old, Declared(either(old.kind, other.kind), None)),
        (Declared(list[old.kind], st.lists(old.values, max_size=3)), Declared(list[either(old.kind, None)], None)),
        (record([(name, old, True)], False), record([(name, old, False)], False)),
        (record([(name, old, required)], False), record([(name, old, required), ("new", other, False)], False)),
        (record([(name, old, required)], True), record([(name, old, required)], False)),
    ]
    case = draw(st.sampled_from(["wider", "narrower", "any"]))
    one, another = draw(st.sampled_from(wider)) if case != "any" else (old, other)
    if case == "narrower":
        one, another = another, one
    values = one.values if one.values is not None else VALUES
    return case, one, another, draw(st.lists(values, min_size=5, max_size=10))


@SETTINGS
@given(evolutions())
def test_sound_for_types(evolution):
    """If a type fits another, each value of the one is valid for the other; and a type fits a wider one."""
    case, old, new, values = evolution
    try:
        (old_schema, old_components), (new_schema, new_components) = of_type(old.kind), of_type(new.kind)
    except TypeError:  # a union that msgspec could not tell apart
        reject()
    doubts = doubt(old_schema, new_schema, old_components, new_components)
    if case == "wider":
        assert doubts is None
    for_old, for_new = validity(old_schema, old_components), validity(new_schema, new_components)
    for value in values:
        if doubts is None and for_old(value):
            assert for_new(value)

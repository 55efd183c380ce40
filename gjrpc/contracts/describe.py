"""Describes methods for people and programs, from their signatures, their docstrings, and what was declared of them.

Owns names, descriptions and JSON schemas (draft 2020-12, as msgspec writes them). It knows no document: `openrpc` and `openapi`
write those from its descriptions. Nothing here runs during a call.
"""

import inspect
from collections.abc import Iterable, Sequence
from inspect import Parameter
from typing import Any, NamedTuple

import docstring_parser
import msgspec
from docstring_parser.common import Docstring, DocstringDeprecated, DocstringParam, DocstringRaises, DocstringReturns
from msgspec import UNSET

from gjrpc.calls.forms import form_of
from gjrpc.calls.method import Method
from gjrpc.calls.signatures import is_typed, read_signature, taken_names
from gjrpc.contracts import keys
from gjrpc.contracts.keys import BASE64, DECIMAL, Schema
from gjrpc.values import codec
from gjrpc.values.class_fields import non_init_fields
from gjrpc.values.conversion import every_type

COMPONENTS = "#/components/schemas/"
"""The place of the schemas of classes in both documents."""

_TOLD_ELSEWHERE = (DocstringParam, DocstringReturns, DocstringRaises, DocstringDeprecated)


class Value(NamedTuple):
    """A parameter, or a result.

    Attributes:
        name: its name.
        schema: its JSON schema, with its default.
        description: a description, or an empty string.
        kind: as in `inspect.Parameter`.
        required: whether each call must have it.
        typed: whether it has an annotation.
        repeated: whether a query may repeat it, for a list.
        as_json: whether its text in a query is JSON.
    """

    name: str
    schema: Schema
    description: str
    kind: Any = Parameter.POSITIONAL_OR_KEYWORD
    required: bool = False
    typed: bool = False
    repeated: bool = False
    as_json: bool = False

    def words(self) -> dict[str, Any]:
        """Return what both documents have beside the schema, in the same keywords, without empty ones."""
        keywords = {"description": self.description, "required": self.required}
        return {key: value for key, value in keywords.items() if value}


class Described(NamedTuple):
    """A method, described.

    Attributes:
        method: the method.
        summary: what it does, in one sentence.
        description: further paragraphs, or an empty string.
        deprecated: whether it should no longer be called.
        parameters: its parameters, without `*` and `**`.
        star: the further positional arguments (`*args`), or None.
        double_star: the further named arguments (`**kwargs`), or None.
        taken: names that further named arguments can't have.
        result: what it returns.
    """

    method: Method
    summary: str
    description: str
    deprecated: bool
    parameters: Sequence[Value]
    star: Value | None
    double_star: Value | None
    taken: frozenset[str]
    result: Value


class Contract(NamedTuple):
    """All methods, described, and the schemas of classes that they share by name."""

    methods: list[Described]
    components: dict[str, Schema]


def describe(methods: Iterable[Method]) -> Contract:
    """Describe methods; a type without a JSON schema accepts any value, and its description says so."""
    listed = sorted(methods, key=lambda method: method.name)
    signatures = [read_signature(method.function) for method in listed]
    notes = [note for signature in signatures for note in _annotations(signature)]
    schemas, components = _express(notes, _left_out(signatures))
    remaining = iter(schemas)
    described = [
        _describe(method, signature, [next(remaining) for _ in _annotations(signature)])
        for method, signature in zip(listed, signatures, strict=True)
    ]
    return Contract(described, components)


def _annotations(signature: inspect.Signature) -> list[Any]:
    """Return the types of all parameters and of the result."""
    notes = [*(parameter.annotation for parameter in signature.parameters.values()), signature.return_annotation]
    return [object if note is Parameter.empty else note for note in notes]


def _left_out(signatures: Iterable[inspect.Signature]) -> dict[Any, list[str]]:
    """Return the fields that no call can set, by class."""
    parameters = [parameter for signature in signatures for parameter in signature.parameters.values()]
    types = every_type(*msgspec.inspect.multi_type_info(parameter.annotation for parameter in parameters if is_typed(parameter)))
    return {info.cls: non_init_fields(info.cls) for info in types if isinstance(info, msgspec.inspect.DataclassType)}


def _express(annotations: list[Any], unset: dict[Any, list[str]]) -> tuple[list[Schema | None], dict[str, Schema]]:
    """Return the schemas of types, None for a type without one, and those of classes once, by name."""
    known = [_is_known(note) for note in annotations]
    types = [Any if note is object else note for note, is_known in zip(annotations, known, strict=True) if is_known]
    schemas, components = msgspec.json.schema_components(types, ref_template=COMPONENTS + "{name}")
    keys.add_key_schemas(types, schemas, components, COMPONENTS, unset)
    remaining = iter(schemas)
    found = [_refined(next(remaining)) if is_known else None for is_known in known]
    return found, {name: _refined(schema) for name, schema in sorted(components.items())}


def _is_known(annotation: Any) -> bool:
    if annotation is object:
        return True
    try:
        codec.encode(msgspec.json.schema_components([annotation]))
    except Exception:  # noqa: BLE001  msgspec raises several kinds for a type that it does not know, and runs code of classes
        return False
    return True


def _refined(schema: Any) -> Any:
    """Return a schema with what msgspec checks but does not write: base64, and decimals, which may be numbers too."""
    if isinstance(schema, list):
        return [_refined(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    refined = {key: _refined(value) for key, value in schema.items()}
    if refined.get("contentEncoding") == "base64" and refined.get("type") == "string":
        refined["pattern"] = BASE64
    if refined.get("format") == "decimal" and refined.get("type") == "string":
        del refined["type"], refined["format"]
        refined["anyOf"] = [{"type": "string", "format": "decimal", "pattern": DECIMAL}, {"type": "number"}]
    return refined


def _describe(method: Method, signature: inspect.Signature, schemas: Sequence[Schema | None]) -> Described:
    words = _Words(method)
    parameters = signature.parameters.values()
    values = [_value(parameter, schema, words) for parameter, schema in zip(parameters, schemas, strict=False)]
    result = _of(signature.return_annotation, schemas[-1], words.returns)
    return Described(
        method=method,
        summary=words.summary,
        description=words.description,
        deprecated=method.deprecated is not False or words.deprecated is not None,
        parameters=[value for value in values if value.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)],
        star=next((value for value in values if value.kind is Parameter.VAR_POSITIONAL), None),
        double_star=next((value for value in values if value.kind is Parameter.VAR_KEYWORD), None),
        taken=taken_names(method.function, list(parameters)),
        result=Value("result", *result),
    )


def _value(parameter: Parameter, schema: Schema | None, words: "_Words") -> Value:
    schema, description = _of(parameter.annotation, schema, words.parameters.get(parameter.name, ""))
    default = _default(parameter)
    if default is not UNSET:
        schema = {**schema, "default": default}
    required = parameter.default is Parameter.empty and parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    form = form_of(parameter)
    typed = is_typed(parameter)
    return Value(parameter.name, schema, description, parameter.kind, required, typed, form.repeated, form.as_json)


def _of(annotation: Any, schema: Schema | None, description: str) -> tuple[Schema, str]:
    """Return the schema of a type and its description; a type without a schema accepts any value."""
    if schema is not None:
        return schema, description
    shown = f"Its type, {inspect.formatannotation(annotation)}, has no JSON schema."
    return {}, f"{description}\n\n{shown}".strip()


def _default(parameter: Parameter) -> Any:
    """Return the default as JSON; UNSET if there is none, JSON can't hold it, or it is not of the annotated type."""
    if parameter.default is Parameter.empty:
        return UNSET
    try:
        value = codec.decode(codec.encode(parameter.default))
        msgspec.convert(value, parameter.annotation if is_typed(parameter) else Any)
    except (codec.NotJSON, msgspec.ValidationError):
        return UNSET
    return value


class _Words:
    """The parts of a method's docstring: sections of parameters and results (Google, NumPy, reST), and the rest as it is.

    Attributes:
        summary: its first paragraph, on one line.
        description: the rest, and what to do instead of calling a deprecated method.
        parameters: the description of each, by name.
        returns: the description of the result.
        deprecated: the docstring's deprecation notice, or None.
    """

    def __init__(self, method: Method) -> None:
        # Without a docstring pydoc returns the comment above the function, which is not meant for callers.
        text = "" if method.description.startswith("#") and not inspect.getdoc(method.function) else method.description
        parsed = _parsed(text)
        first, _, rest = (_prose(parsed) if parsed else text.strip()).partition("\n\n")
        self.summary = " ".join(first.split())
        self.parameters = {name: words for names, words in _sections(parsed) for name in names}
        self.returns = (parsed.returns.description or "").strip() if parsed and parsed.returns else ""
        self.deprecated = parsed.deprecation.description or "" if parsed and parsed.deprecation else None
        notice = method.deprecated if isinstance(method.deprecated, str) else self.deprecated
        self.description = "\n\n".join(part for part in (f"Deprecated: {notice.strip()}" if notice else "", rest.strip()) if part)


def _parsed(text: str) -> Docstring | None:
    """Return a docstring with its sections; None if it has no known section and is to be used as it is."""
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return None
    return parsed if any(isinstance(section, _TOLD_ELSEWHERE) for section in parsed.meta) else None


def _prose(parsed: Docstring) -> str:
    """Return the text outside of the sections of parameters and results."""
    gap = "\n\n" if parsed.blank_after_short_description else "\n"
    text = gap.join(part for part in (parsed.short_description, parsed.long_description) if part)
    others = [section for section in parsed.meta if not isinstance(section, _TOLD_ELSEWHERE)]
    notes = [f"{section.args[0].capitalize()}: {section.description}" for section in others if section.description]
    return "\n\n".join([text, *notes])


def _sections(parsed: Docstring | None) -> Iterable[tuple[list[str], str]]:
    """Yield the names and the description of each entry; in NumPy's style several parameters share one."""
    for parameter in parsed.params if parsed else ():
        yield [name.strip().lstrip("*\\") for name in parameter.arg_name.split(",")], (parameter.description or "").strip()

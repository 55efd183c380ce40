"""The OpenRPC 1.3.2 document of described methods (https://spec.open-rpc.org).

Owns how OpenRPC describes a method; its schemas are in JSON Schema's draft 7. It knows neither functions nor HTTP.

Extensions hold what the format can't express: `x-args` and `x-kwargs` are content descriptors of each further argument (`*args`,
`**kwargs`), `x-security-schemes` is how callers authenticate, and `x-scope` a method's scope. `paramStructure` is the form in
which all listed parameters can be given.
"""

from collections.abc import Mapping
from inspect import Parameter
from typing import Any

from gjrpc.calls.method import Example
from gjrpc.calls.options import DeclaredError
from gjrpc.calls.signatures import NAMED, POSITIONAL
from gjrpc.contracts.describe import Contract, Described, Value
from gjrpc.contracts.drafts import draft_7

VERSION = "1.3.2"


def document(contract: Contract, title: str, version: str, schemes: Mapping[str, dict[str, str]] | None = None) -> dict[str, Any]:
    """Write the document.

    Args:
        contract: the methods, described.
        title: the application's name.
        version: the version of its methods, not of OpenRPC.
        schemes: how callers can authenticate, as OpenAPI's Security Scheme Objects by name.
    """
    written: dict[str, Any] = {
        "openrpc": VERSION,
        "info": {"title": title, "version": version},
        "methods": [_method(described) for described in contract.methods],
    }
    if contract.components:
        written["components"] = {"schemas": {name: draft_7(schema) for name, schema in contract.components.items()}}
    if schemes:
        written["x-security-schemes"] = dict(schemes)
    return written


def _method(described: Described) -> dict[str, Any]:
    structure, parameters = _structure(described)
    written: dict[str, Any] = {"name": described.method.name, "paramStructure": structure}
    words = {"summary": described.summary, "description": _description(described, parameters)}
    written |= {key: text for key, text in words.items() if text}
    if described.deprecated:
        written["deprecated"] = True
    if described.method.options.scope is not None:
        written["x-scope"] = described.method.options.scope
    written["params"] = [_descriptor(value) for value in parameters]
    for key, further in (("x-args", described.star), ("x-kwargs", described.double_star)):
        if further is not None:
            written[key] = _descriptor(further)
    written["result"] = _descriptor(described.result)
    if described.method.errors:
        written["errors"] = [_error(error) for error in described.method.errors]
    if described.method.examples:
        written["examples"] = [_example(described, *pair) for pair in enumerate(described.method.examples, 1)]
    return written


def _structure(described: Described) -> tuple[str, list[Value]]:
    """Return `paramStructure` and the parameters that can be given so; Python's rules are finer than the format's three words."""
    kinds = {value.kind for value in described.parameters}
    if any(value.required and value.kind is Parameter.KEYWORD_ONLY for value in described.parameters):
        return "by-name", [value for value in described.parameters if value.kind in NAMED]
    if Parameter.POSITIONAL_ONLY in kinds:
        return "by-position", [value for value in described.parameters if value.kind in POSITIONAL]
    return "by-name" if Parameter.KEYWORD_ONLY in kinds else "either", list(described.parameters)


def _description(described: Described, listed: list[Value]) -> str:
    """Return the method's description, and what its parameters can't express."""
    notes = [described.description]
    if described.star is not None:
        notes.append(f"Takes further arguments by position (`*{described.star.name}`, see `x-args`).")
    if described.double_star is not None:
        notes.append(f"Takes further arguments by name (`**{described.double_star.name}`, see `x-kwargs`).")
    missing = [value for value in described.parameters if value not in listed]
    if missing:
        notes.append(f"Can't be combined with the listed parameters: {', '.join(f'`{value.name}`' for value in missing)}.")
    return "\n\n".join(note for note in notes if note)


def _descriptor(value: Value) -> dict[str, Any]:
    return {"name": value.name, "schema": draft_7(value.schema), **value.words()}


def _error(error: DeclaredError) -> dict[str, Any]:
    written: dict[str, Any] = {"code": error.code, "message": error.message}
    data = getattr(error, "data", None)
    return written if data is None else {**written, "data": data}


def _example(described: Described, number: int, example: Example) -> dict[str, Any]:
    return {
        "name": f"example {number}",
        "params": [{"name": name, "value": value} for name, value in _named(described, example.arguments)],
        "result": {"name": "result", "value": example.result},
    }


def _named(described: Described, arguments: Any) -> list[tuple[str, Any]]:
    """Return the arguments of an example with their parameters' names, by the argument convention."""
    if isinstance(arguments, dict):
        return list(arguments.items())
    if not isinstance(arguments, list):
        takes_value = any(value.required for value in described.parameters)
        arguments = [arguments] if takes_value or arguments not in (None, "") else []
    names: list[str] = [value.name for value in described.parameters if value.kind in POSITIONAL]
    names += [described.star.name] * (len(arguments) - len(names)) if described.star else []
    return list(zip(names, arguments, strict=False))

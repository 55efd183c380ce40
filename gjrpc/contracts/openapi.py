"""The OpenAPI 3.1 document of described methods (https://spec.openapis.org/oas/v3.1.1).

Owns how methods become paths and operations: `POST /NAME`, `GET /NAME?…`, their results and errors (CONVENTION, sections 1 and
3), and the health probes. It knows no function. JSON-RPC 2.0 on `POST /` is described by `openrpc`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from gjrpc.calls.disclosure import error_parts
from gjrpc.calls.method import Method
from gjrpc.calls.options import DeclaredError
from gjrpc.contracts.argument_schemas import Forms
from gjrpc.contracts.describe import Contract, Described
from gjrpc.contracts.keys import Schema
from gjrpc.errors import CallError
from gjrpc.http import problems
from gjrpc.values import codec

VERSION = "3.1.1"

# Names that no class can have, as they are not identifiers.
_PROBLEM_SCHEMA = "problem-details"
_PROBLEM_REF = {"$ref": f"#/components/schemas/{_PROBLEM_SCHEMA}"}

_PROBLEM: Schema = {
    "title": "Problem details",
    "description": "The body of an error (RFC 9457).",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What happened."},
        "method": {"type": "string", "description": "The method's name, if it is known."},
        "ref": {"type": "string", "description": "The reference under which the server's log has the details."},
        "data": {"description": "What the method added to the error."},
    },
    "required": ["type", "title", "status", "detail"],
}

_ANYWHERE = {
    403: "The origin of the calling web page is not allowed.",
    408: "The request arrived too slowly.",
    431: "The request's head is too large.",
}
_MISDIRECTED = {421: "This server does not answer for the requested host."}
_OVERLOADED = {503: "The server is overloaded or stopping; try again later."}
_ANY_CALL = {
    **_ANYWHERE,
    **_OVERLOADED,
    400: "The arguments do not fit, or the request is malformed.",
    500: "The method failed, or its result is not JSON; the server's log has the details under `ref`.",
    504: "The method exceeded its deadline, or the server stopped before it ended; it may have taken effect.",
}
_UNKNOWN = {401: "The credentials are missing or wrong.", 429: "Too many failed logins from this address."}
_BY_VERB = {"get": {414: "The path and query are too long."}, "post": {413: "The body is too large."}}
_REFUSALS = {**_ANY_CALL, **_BY_VERB["get"], **_BY_VERB["post"], **_MISDIRECTED}

_PAGES = {
    "healthy": ("Report whether the process answers", _ANYWHERE),
    "ready": ("Report whether the server accepts new calls", {**_ANYWHERE, **_OVERLOADED}),
}

StatusOf = Callable[[DeclaredError], int]


def document(
    contract: Contract,
    title: str,
    version: str,
    status_of: StatusOf,
    *,
    guards_hosts: bool = False,
    schemes: Mapping[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """Write the document.

    Args:
        contract: the methods, described.
        title: the application's name.
        version: the version of its methods, not of OpenAPI.
        status_of: returns the HTTP status of an error.
        guards_hosts: whether requests for other hosts are refused.
        schemes: how callers can authenticate, as Security Scheme Objects by name; each of them is enough.
    """
    schemes = schemes or {}
    operations = _Operations(contract.components, status_of, _MISDIRECTED if guards_hosts else {}, schemes)
    refusals = {**_REFUSALS, **(_UNKNOWN if schemes else {})}
    paths = {path(described.method.name): operations.of(described) for described in contract.methods}
    paths |= {f"/-/{name}": {"get": operations.page(name, *page)} for name, page in _PAGES.items()}
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version},
        # The document is one level below the methods, wherever the application is mounted.
        "servers": [{"url": ".."}],
        "paths": paths,
        "components": {
            "schemas": {**contract.components, _PROBLEM_SCHEMA: _PROBLEM},
            "responses": {str(status): _refusal(status, words) for status, words in refusals.items()},
            **({"securitySchemes": dict(schemes)} if schemes else {}),
        },
    }


def path(name: str) -> str:
    """Return the path of a method."""
    return "/" + quote(name, safe="")


class _Operations:
    """Writes the operations of paths."""

    def __init__(
        self, components: dict[str, Schema], status_of: StatusOf, further: dict[int, str], schemes: Iterable[str]
    ) -> None:
        self._components = components
        self._status_of = status_of
        self._further = further
        self._schemes = list(schemes)

    def of(self, described: Described) -> dict[str, Any]:
        """Return the operations of a method's path."""
        forms = Forms(described, self._components)
        body: dict[str, Any] = {"schema": forms.body()}
        examples = [example.arguments for example in described.method.examples]
        if examples:
            body["examples"] = _examples(examples)
        request = {"required": not forms.takes_nothing, "content": {"application/json": body}}
        operations = {"post": {**self._operation("post", described), "requestBody": request}}
        if forms.takes_query:
            operations["get"] = {**self._operation("get", described), "parameters": forms.query()}
        return operations

    def page(self, name: str, summary: str, refusals: dict[int, str]) -> dict[str, Any]:
        """Return the operation of a page under `/-/`."""
        schema = {"type": "object", "properties": {name: {"const": True}}, "required": [name], "additionalProperties": False}
        responses = {"200": _success("Yes.", {"schema": schema}), **_references({**refusals, **self._further})}
        return {"operationId": name, "summary": summary, "responses": responses}

    def _operation(self, verb: str, described: Described) -> dict[str, Any]:
        name = described.method.name
        operation: dict[str, Any] = {"operationId": f"{verb}_{name}"}
        words = {"summary": described.summary, "description": described.description}
        operation |= {key: text for key, text in words.items() if text}
        if described.deprecated:
            operation["deprecated"] = True
        unknown = _UNKNOWN if self._schemes else {}
        refusals = {**_ANY_CALL, **_BY_VERB[verb], **unknown, **self._further}
        responses = {"200": self._result(described), **_references(refusals), **self._declared(described, refusals)}
        return {**operation, **self._security(described.method), "responses": dict(sorted(responses.items()))}

    def _security(self, method: Method) -> dict[str, Any]:
        """Each scheme is enough; for those other than OAuth, the list "MAY contain a list of role names" (section 4.8.30)."""
        roles = [] if method.options.scope is None else [method.options.scope]
        return {"security": [{scheme: roles} for scheme in self._schemes]} if self._schemes else {}

    def _result(self, described: Described) -> dict[str, Any]:
        name, result = described.method.name, described.result
        schema = {"type": "object", "properties": {name: result.schema}, "required": [name], "additionalProperties": False}
        content: dict[str, Any] = {"schema": schema}
        if described.method.examples:
            content["examples"] = _examples({name: example.result} for example in described.method.examples)
        return _success(result.description or "The result.", content)

    def _declared(self, described: Described, refusals: dict[int, str]) -> dict[str, Any]:
        """Return the method's own errors by status, each with an example of the response."""
        found: dict[int, list[CallError]] = {}
        for error in described.method.errors:
            found.setdefault(self._status_of(error), []).append(_instance(error))
        responses = {}
        for status, errors in found.items():
            words = [f"{error.message} (code {error.code})" for error in errors]
            bodies = (codec.decode(problems.body(status, error_parts(error), described.method.name)) for error in errors)
            response = _refusal(status, "; ".join([*words, *([refusals[status]] if status in refusals else [])]))
            response["content"][problems.MEDIA_TYPE]["examples"] = _examples(bodies)
            responses[str(status)] = response
        return responses


def _instance(error: DeclaredError) -> CallError:
    """Return an error as a method would raise it; a class may need unknown arguments, so its own words are used for it."""
    return error if isinstance(error, CallError) else CallError(error.message, code=error.code)


def _success(words: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": content}}


def _refusal(status: int, words: str) -> dict[str, Any]:
    written: dict[str, Any] = {"description": words, "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM_REF}}}
    if status in (429, 503):
        written["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return written


def _references(refusals: Iterable[int]) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in refusals}


def _examples(values: Iterable[Any]) -> dict[str, Any]:
    return {f"example {number}": {"value": value} for number, value in enumerate(values, 1)}

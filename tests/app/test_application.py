"""The application: the wire contract (CONVENTION) over respond, and the WSGI door."""

import io
import json
import math
from datetime import date
from enum import Enum
from types import SimpleNamespace
from typing import TypedDict
from urllib.parse import quote, unquote
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from gjrpc import __version__, errors
from gjrpc.app.application import Application
from gjrpc.auth.credentials import guard
from gjrpc.calls.registry import Registry
from gjrpc.calls.runtime import Plain
from gjrpc.errors import CallError
from gjrpc.http.messages import Head, Request
from gjrpc.http.problems import STATUS, refusal

SECRET = "the database's password is swordfish"


class Colour(Enum):
    RED = "red"


class Stats:
    """An instance with another inside."""

    def __init__(self):
        self.cpu = Load()
        self._hidden = Load()


class Load:
    def percent(self):
        return 5

    def _secret(self):
        return SECRET


class Point(TypedDict):
    x: int


def _paint(colour: Colour) -> None: ...


def _count(n: int) -> None: ...


def _counts(n: list[int]) -> None: ...


def _move(to: Point) -> None: ...


def _tally(of: dict[int, int]) -> None: ...


class OwnError(CallError):
    """An application's own error."""

    status = 409


class Fork(errors.MethodNotFound):
    """A subclass of one of the library's errors."""


def add(a, b=10):
    """Add two numbers.

    The second may be left out.
    """
    return a + b


def plus(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


def convert(n: int, x: float, yes: bool = False, names: list[str] = (), colour: Colour = Colour.RED, day: date = date.min):
    """Give back what was converted."""
    return [n, x, yes, names, colour, day]


def raising(error):
    """A method that raises."""

    def method():
        raise error

    return method


METHODS = {
    "ping": lambda: "pong",
    "add": add,
    "plus": plus,
    "convert": convert,
    "echo": lambda x: x,
    "many": lambda *args: list(args),
    "named": lambda **kwargs: kwargs,
    "größe": lambda: "ä",
    "a/b;c?d%": lambda: "marks",
    "broken": raising(ValueError(SECRET)),
    "mistyped": lambda: len(5),
    "quitting": raising(SystemExit(SECRET)),
    "nan": lambda: {"a": [math.nan]},
    "infinite": lambda: -math.inf,
    "opaque": lambda: [object()],
    "own": raising(CallError("no such host", code=7, data={"host": "a"}, status=404)),
    "own_plain": raising(CallError("no")),
    "own_class": raising(OwnError("taken")),
    "own_subclass": raising(Fork("no such fork")),
    "unauthorized": raising(errors.Unauthorized("who are you?")),
    "log_in": raising(CallError("log in", status=401)),
    "forbidden": raising(errors.Forbidden("not you")),
    "overloaded": raising(errors.Overloaded("too much")),
    "inviting": raising(errors.Overloaded("too much", retry_after=7)),
    "late": raising(errors.DeadlineExceeded("longer than its deadline of 5 s")),
    "unsendable": raising(CallError("no", data=object())),
}


@pytest.fixture(scope="module")
def registry():
    """The methods that the tests call."""
    registry = Registry()
    for name, function in METHODS.items():
        registry.register(function, name)
    registry.register_instance(Stats(), "stats.")
    return registry


@pytest.fixture(scope="module")
def application(registry):
    """An application with all defaults."""
    return Application(registry)


def ask(application, verb, target, body=b"", **headers):
    """One request, answered without WSGI."""
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return application.respond(Request(Head(verb, target, fields), body))


def header(response, name):
    """The value of a header of an answer."""
    return dict(response.headers).get(name)


# Section 1: native calls.

ANSWERS = {
    "a GET": ("GET", "/ping", b"", b'{"ping":"pong"}'),
    "an empty text": ("POST", "/", b'{"ping":""}', b'{"ping":"pong"}'),
    "an array": ("POST", "/", b'{"add":[1,2]}', b'{"add":3}'),
    "an object": ("POST", "/", b'{"add":{"b":1,"a":2}}', b'{"add":3}'),
    "one value": ("POST", "/", b'{"add":5}', b'{"add":15}'),
    "a text in the path": ("GET", "/echo;hello", b"", b'{"echo":"hello"}'),
    "a converted query": ("GET", "/plus?a=1&b=2", b"", b'{"plus":3}'),
    "zero": ("POST", "/", b'{"echo":0}', b'{"echo":0}'),
    "false": ("POST", "/", b'{"echo":false}', b'{"echo":false}'),
    "an empty text for a required parameter": ("POST", "/", b'{"echo":""}', b'{"echo":""}'),
    "null for a required parameter": ("POST", "/", b'{"echo":null}', b'{"echo":null}'),
    "null for none": ("POST", "/", b'{"ping":null}', b'{"ping":"pong"}'),
    "an array in an array": ("POST", "/", b'{"echo":[[1]]}', b'{"echo":[1]}'),
    "an object in an array": ("POST", "/", b'{"echo":[{"a":1}]}', b'{"echo":{"a":1}}'),
    "*args": ("POST", "/", b'{"many":[1,"2",null]}', b'{"many":[1,"2",null]}'),
    "**kwargs": ("POST", "/", b'{"named":{"a b":1}}', b'{"named":{"a b":1}}'),
    "the path's name": ("POST", "/add", b"[1,2]", b'{"add":3}'),
    "the path's name and an object": ("POST", "/add", b'{"a":1}', b'{"add":11}'),
    "the path's name and one value": ("POST", "/echo", b'"a"', b'{"echo":"a"}'),
    "the path's name without a body": ("POST", "/ping", b"", b'{"ping":"pong"}'),
    "blanks around": ("POST", "/", b' \r\n{"ping" : ""}\n', b'{"ping":"pong"}'),
    "a query without annotations": ("GET", "/add?a=1&b=2", b"", b'{"add":"12"}'),
    "every conversion": (
        "GET",
        "/convert?n=5&x=1e3&yes=true&names=a&names=b+c&colour=red&day=2020-01-02",
        b"",
        b'{"convert":[5,1000.0,true,["a","b c"],"red","2020-01-02"]}',
    ),
    "a query with codes": ("GET", "/named?a%20b=%C3%A4%26", b"", '{"named":{"a b":"ä&"}}'.encode()),
    "an empty value in the path": ("GET", "/echo;", b"", b'{"echo":""}'),
    "a coded value in the path": ("GET", "/echo;a%3Bb%20c", b"", b'{"echo":"a;b c"}'),
    "a name in UTF-8": ("GET", "/gr%C3%B6%C3%9Fe", b"", '{"größe":"ä"}'.encode()),
    "a name in UTF-8, in the body": ("POST", "/", '{"größe":[]}'.encode(), '{"größe":"ä"}'.encode()),
    "a name of marks": ("GET", "/a%2Fb%3Bc%3Fd%25", b"", b'{"a/b;c?d%":"marks"}'),
    "a dotted name": ("GET", "/stats.cpu.percent", b"", b'{"stats.cpu.percent":5}'),
    "a large integer": ("POST", "/echo", b"[1180591620717411303424]", b'{"echo":1180591620717411303424}'),
    "signature": ("GET", "/method_signature;add", b"", b'{"method_signature":{"add":["a","b"]}}'),
    "signature of none": ("GET", "/method_signature;nope", b"", b'{"method_signature":{"nope":"method/function not found"}}'),
    "help": (
        "POST",
        "/",
        b'{"method_help":"add"}',
        b'{"method_help":"Add two numbers.\\n\\nThe second may be left out."}',
    ),
    "help for none": ("GET", "/method_help?method_name=nope", b"", b'{"method_help":"Method [nope] not found"}'),
}


@pytest.mark.parametrize(("verb", "target", "body", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_a_success(application, verb, target, body, answer):
    """A successful call is answered with 200, and the name and the result as JSON on one line."""
    response = ask(application, verb, target, body)
    assert (response.status, response.body) == (200, answer)
    assert response.headers == (("Content-Type", "application/json"),)


def test_all_methods_are_listed(application):
    """`list_methods` returns the sorted names of all methods, including the three for introspection."""
    names = json.loads(ask(application, "GET", "/list_methods").body)["list_methods"]
    expected = {*METHODS, "stats.cpu.percent", "list_methods", "method_signature", "method_help"}
    assert names == sorted(expected)


def test_head_is_answered_as_get(application):
    """A HEAD is answered as a GET; the server leaves the body out."""
    for target in ("/ping", "/nope", "/plus?a=x&b=1", "/-/healthy"):
        asked, told = ask(application, "HEAD", target), ask(application, "GET", target)
        assert (asked.status, asked.headers, asked.body) == (told.status, told.headers, told.body)


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("/", "POST, OPTIONS"),
        ("*", "POST, OPTIONS"),
        ("/ping", "GET, HEAD, POST, OPTIONS"),
        ("/-/healthy?x", "GET, HEAD, OPTIONS"),
    ],
)
def test_options(application, target, allowed):
    """OPTIONS is answered with 204 and the allowed verbs, any other verb with 405 and the same verbs."""
    response = ask(application, "OPTIONS", target)
    assert (response.status, response.body, response.headers) == (204, b"", (("Allow", allowed),))
    refused = ask(application, "DELETE", target)
    assert (refused.status, header(refused, "Allow")) == (405, allowed)


# Sections 3 and 5: errors.

KEYS = "an object with exactly one key"
REFUSALS = {
    # Malformed JSON.
    "an empty body": ("POST", "/", b"", 400, "malformed JSON: the body is empty"),
    "cut off": ("POST", "/", b'{"add":', 400, "ends too early, or in half a surrogate pair (byte 7)"),
    "NaN": ("POST", "/", b'{"echo":NaN}', 400, "(byte 8)"),
    "Infinity": ("POST", "/echo", b"[Infinity]", 400, "(byte 1)"),
    "beyond a double": ("POST", "/echo", b"[1e400]", 400, "(byte 1)"),
    "4,301 digits": ("POST", "/echo", b"9" * 4301, 400, "4,300 digits"),
    "invalid UTF-8": ("POST", "/echo", b'"\xff"', 400, "invalid UTF-8 (byte 1)"),
    "a lone surrogate": ("POST", "/echo", rb'["\ud800"]', 400, "surrogate"),
    "trailing bytes": ("POST", "/", b'{"ping":""} x', 400, "trailing characters (byte 12)"),
    "101 levels": ("POST", "/echo", b"[" * 101 + b"]" * 101, 400, "deeper than 100 levels (byte 100)"),
    "100,000 levels": ("POST", "/", b'{"echo":' + b"[" * 100_000, 400, "deeper than 100 levels"),
    # Not an object with exactly one key.
    "no key": ("POST", "/", b"{}", 400, KEYS),
    "two keys": ("POST", "/", b'{"ping":"","add":[1,2]}', 400, KEYS),
    "a text": ("POST", "/", b'"ping"', 400, "got a string; send several calls as a JSON-RPC 2.0 batch"),
    "a number": ("POST", "/", b"5", 400, KEYS),
    "null": ("POST", "/", b"null", 400, KEYS),
    # Arguments that do not fit.
    "too few": ("POST", "/", b'{"add":[]}', 400, "missing argument 'a' (expected a, b)"),
    "too many": ("POST", "/", b'{"add":[1,2,3]}', 400, "too many arguments: got 3, expected at most 2"),
    "an unknown name": ("POST", "/", b'{"add":{"a":1,"c":2}}', 400, "unknown argument 'c' (expected a, b)"),
    "another type": ("POST", "/", b'{"plus":[1,"2"]}', 400, "argument 'b': expected `int`, got `str`"),
    "another text": ("GET", "/plus?a=1&b=x", b"", 400, "argument 'b': expected `int`, got the text 'x'"),
    "nan as a text": ("GET", "/convert?n=1&x=nan", b"", 400, "argument 'x': expected a finite number, got nan"),
    "one of two": ("GET", "/plus?a=1", b"", 400, "missing argument 'b'"),
    "given twice": ("GET", "/plus?a=1&a=2&b=3", b"", 400, "argument 'a': given 2 times"),
    # A target that is no call.
    "no name": ("GET", "/", b"", 400, "the path names no method"),
    "a query for nothing": ("POST", "/?a=1", b'{"ping":""}', 400, "POST / accepts no query"),
    "a value and a query": ("GET", "/echo;a?x=b", b"", 400, "use only one"),
    "a value and a body": ("POST", "/echo;a", b'["b"]', 400, "remove those in the path"),
    "a GET with a body": ("GET", "/echo", b'["b"]', 400, "a GET can't have a body"),
    "a name in latin-1": ("GET", "/gr%F6%DFe", b"", 400, "not percent-encoded UTF-8"),
    # Unknown.
    "an unknown method": ("GET", "/pong", b"", 404, "no method 'pong'; did you mean 'ping'?"),
    "an unknown method in the body": ("POST", "/", b'{"xyz":1}', 404, "no method 'xyz'"),
    "a private name": ("GET", "/stats.cpu._secret", b"", 404, "no method 'stats.cpu._secret'"),
    "a private part": ("GET", "/stats._hidden.percent", b"", 404, "no method"),
    "a special name": ("GET", "/stats.cpu.percent.__self__", b"", 404, "no method"),
    "an unknown page": ("GET", "/-/nope", b"", 404, "no page '/-/nope'; there are /-/,"),
    # Other verbs.
    "PUT": ("PUT", "/ping", b"", 405, "PUT is not supported here"),
    "a verb in lower case": ("get", "/ping", b"", 405, "get is not supported here"),
    "a POST to a page": ("POST", "/-/healthy", b"", 405, "the page /-/healthy does not support POST"),
    # What a method raises.
    "an exception": ("GET", "/broken", b"", 500, "the method failed"),
    "a TypeError inside": ("GET", "/mistyped", b"", 500, "the method failed"),
    "an exit": ("GET", "/quitting", b"", 500, "the method failed"),
    "a result with NaN": ("GET", "/nan", b"", 500, "result is not JSON: a float that is nan"),
    "a result with infinity": ("GET", "/infinite", b"", 500, "result is not JSON: a float that is -inf"),
    "a result of an unknown type": ("GET", "/opaque", b"", 500, "result is not JSON: Encoding objects of type object"),
    "error data of an unknown type": ("GET", "/unsendable", b"", 500, "error data is not JSON"),
    "an own error": ("GET", "/own", b"", 404, "no such host"),
    "an own error without a status": ("GET", "/own_plain", b"", 500, "no"),
    "an own class": ("GET", "/own_class", b"", 409, "taken"),
    "a subclass": ("GET", "/own_subclass", b"", 404, "no such fork"),
    "no credentials": ("GET", "/unauthorized", b"", 401, "who are you?"),
    "not allowed": ("GET", "/forbidden", b"", 403, "not you"),
    "overload": ("GET", "/overloaded", b"", 503, "too much"),
    "the deadline": ("GET", "/late", b"", 504, "its deadline of 5 s"),
}


@pytest.mark.parametrize(("verb", "target", "body", "status", "words"), REFUSALS.values(), ids=REFUSALS)
def test_an_error(application, verb, target, body, status, words):
    """An error is answered with its status and a problem as RFC 9457 describes, which says what is wrong."""
    response = ask(application, verb, target, body)
    told = json.loads(response.body)
    assert (response.status, told["status"]) == (status, status)
    assert header(response, "Content-Type") == "application/problem+json"
    assert told["type"] == "about:blank"
    assert told["title"]
    assert words in told["detail"]
    assert SECRET.encode() not in response.body


@pytest.mark.parametrize(
    ("target", "members"),
    [
        ("/add", {"method"}),
        ("/nope", {"method"}),
        ("/own", {"method", "data"}),
        ("/broken", {"method", "ref"}),
        ("/nan", {"method", "ref"}),
        ("/unsendable", {"method", "ref"}),
        ("/", set()),
    ],
)
def test_an_error_has_what_is_known(application, target, members):
    """A problem has the method's name if it is known, the reference if the log has details, and the method's data."""
    told = json.loads(ask(application, "GET", target).body)
    assert told.keys() - {"type", "title", "status", "detail"} == members
    assert told.get("method", target[1:]) == target[1:]
    assert told.get("data", {"host": "a"}) == {"host": "a"}


def test_a_reference_leads_to_the_log(application, caplog):
    """The reference in the answer is the one under which the log has the exception."""
    ref = json.loads(ask(application, "GET", "/broken").body)["ref"]
    assert f"ref {ref}: method broken: " in caplog.text
    assert f"ValueError: {SECRET}" in caplog.text


HEADERS = [
    ("/unauthorized", "WWW-Authenticate", 'Bearer realm="gjrpc"'),
    ("/log_in", "WWW-Authenticate", 'Bearer realm="gjrpc"'),
    ("/inviting", "Retry-After", "7"),
]


@pytest.mark.parametrize(("target", "name", "value"), HEADERS)
def test_an_error_has_the_headers_of_its_status(application, target, name, value):
    """A 401 has the challenge and a 503 the time to retry; other errors have neither."""
    assert header(ask(application, "GET", target), name) == value
    assert header(ask(application, "GET", "/nope"), name) is None


def test_a_method_that_is_overloaded_has_begun(application):
    """A 503 of a method has no Retry-After, which would invite a retry, unless the method sets it."""
    answered = ask(application, "GET", "/overloaded")
    assert (answered.status, header(answered, "Retry-After")) == (503, None)


ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CallError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_has_a_status(kind):
    """Each class of errors has a status in the table or of its own."""
    assert kind in STATUS or kind.status is not None
    options = {errors.InternalError: {"ref": "abc"}, errors.VerbNotAllowed: {"allow": "GET"}}.get(kind, {})
    response = refusal(kind("no", **options))
    assert response.status == (kind.status or STATUS[kind])
    assert json.loads(response.body)["title"] != "Error"


def test_the_depth_limit_is_an_option(registry):
    """The limit of nesting is an option of the application, and holds for each form of a body."""
    application = Application(registry, max_depth=3)
    assert ask(application, "POST", "/", b'{"echo":[[1]]}').status == 200
    for target, body in (("/", b'{"echo":[[[1]]]}'), ("/echo", b"[[[[1]]]]")):
        response = ask(application, "POST", target, body)
        assert response.status == 400
        assert b"deeper than 3 levels" in response.body


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        (b'{"jsonrpc":"2.0","method":"add","params":[1],"id":1}', 200, b'{"jsonrpc":"2.0","result":11,"id":1}'),
        (b'{"jsonrpc":"2.0","method":"add","params":[1]}', 204, b""),
        (b'[{"jsonrpc"', 200, b'{"jsonrpc":"2.0","error":{"code":-32700,'),
    ],
    ids=["a request", "a notification", "malformed"],
)
def test_the_other_dialect_has_the_same_door(application, body, status, answer):
    """A JSON-RPC 2.0 message on the same target is answered in that dialect."""
    response = ask(application, "POST", "/", body)
    assert response.status == status
    assert response.body.startswith(answer)
    assert response.headers == (() if status == 204 else (("Content-Type", "application/json"),))


# Section 6: what is not a method.


def test_pages(registry):
    """The index and the two probes are under /-/."""
    application = Application(registry)
    index = json.loads(ask(application, "GET", "/-/").body)
    pages = ["/-/", "/-/healthy", "/-/openapi.json", "/-/openrpc.json", "/-/ready"]
    assert index == {"gjrpc": __version__, "pages": pages, "methods": registry.list_methods()}
    assert json.loads(ask(application, "GET", "/-/healthy").body) == {"healthy": True}
    assert json.loads(ask(application, "GET", "/-/ready?verbose").body) == {"ready": True}


def test_a_server_that_shuts_down_is_not_ready(registry):
    """A server that is stopping is healthy but not ready, and says when to retry."""
    application = Application(registry)
    peer = SimpleNamespace(server_ready=False, server_hosts=frozenset())
    response = application.respond(Request(Head("GET", "/-/ready")), peer)
    assert (response.status, header(response, "Retry-After")) == (503, "1")
    assert ask(application, "GET", "/-/healthy").status == 200


def test_no_method_s_name_is_taken_by_a_page():
    """Methods may have the names of pages."""
    registry = Registry()
    for name in ("healthy", "ready", "-", "metrics"):
        registry.register(lambda: 1, name)
        assert ask(Application(registry), "GET", f"/{name}").status == 200


# Section 7: browsers.


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json", ""])
def test_any_content_type_will_do(application, content_type):
    """What `curl -d` sends works with any content type."""
    assert ask(application, "POST", "/", b'{"ping":""}', content_type=content_type, host="here").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://here", "content_type": "application/json"}, 200),
        ({"origin": "http://page.example", "content_type": "application/json; charset=utf-8"}, 200),
        ({"origin": "http://here", "content_type": "text/plain"}, 403),
        ({"origin": "http://here"}, 403),
        ({"origin": "http://evil.example", "content_type": "application/json"}, 403),
        ({"origin": "null", "content_type": "application/json"}, 403),
    ],
)
def test_a_web_page_needs_an_origin_and_json(registry, headers, status):
    """A request with an Origin needs an allowed one, and the content type application/json."""
    application = Application(registry, allowed_origins=["http://page.example"])
    assert ask(application, "POST", "/", b'{"ping":""}', host="here", **headers).status == status


@pytest.mark.parametrize("target", ["/-/healthy", "/-/ready"])
def test_a_probe_of_http_1_0_needs_no_host(serve, registry, target):
    """A probe of HTTP/1.0 without Host is answered; the error for any other such request names what is missing."""
    served = serve(Application(registry, allowed_hosts=["localhost"]))
    assert served.exchange(f"GET {target} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.1 200 ")
    refused = served.exchange(b"GET /ping HTTP/1.0\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 421 ")
    assert b"the request names no host" in refused
    assert b"None" not in refused


@pytest.mark.parametrize(
    ("scheme", "site", "status"),
    [("https", None, 200), ("http", None, 403), ("https", "same-origin", 200), ("https", "cross-site", 403)],
)
def test_a_page_under_another_server(registry, scheme, site, status):
    """Under any WSGI server the scheme of the server's own origin is that of the environ."""
    page = {"HTTP_HOST": "here", "HTTP_ORIGIN": "https://here", "wsgi.url_scheme": scheme}
    fetched = {"HTTP_SEC_FETCH_SITE": site} if site else {}
    assert through_wsgi(Application(registry), **page, **fetched)[0].startswith(f"{status} ")


@pytest.mark.parametrize(("host", "status"), [("localhost:9999", 200), ("127.0.0.1", 200), ("evil.example", 421)])
@pytest.mark.parametrize("target", ["/ping", "/-/", "/nope"])
def test_a_host_that_is_not_on_the_list_is_misdirected(registry, host, status, target):
    """A host that is not on the list gets 421 and the name of the option, for methods and pages alike."""
    application = Application(registry, allowed_hosts=["localhost", "127.0.0.1"])
    response = ask(application, "GET", target, host=host)
    assert response.status == (404 if target == "/nope" and status == 200 else status)
    assert (b"--allowed-hosts evil.example" in response.body) == (status == 421)


def test_any_host_is_answered_for_by_default(application):
    """By default the application answers for any host."""
    assert ask(application, "GET", "/ping", host="evil.example").status == 200
    assert ask(application, "GET", "/ping").status == 200


# The options.


def test_observers_and_the_runtime_are_handed_on(registry):
    """The application's runtime runs methods that are not plain, and its observers see each call."""
    told = []
    runtime = Plain()
    application = Application(registry, runtime=runtime, observers=[told.append])
    ask(application, "GET", "/ping")
    assert application.dispatcher.runtime is runtime
    assert [finished.method for finished in told] == ["ping"]


@pytest.mark.parametrize(
    "name", ["guard", "registry", "dispatcher", "max_body", "options", "max_depth", "allowed_hosts", "open_to_all", "ready"]
)
def test_parts_can_not_be_assigned(application, name):
    """The parts of an application can't be assigned, since heads were admitted without the new ones."""
    assert ask(application, "GET", "/ping").status == 200
    with pytest.raises(AttributeError, match=name):
        setattr(application, name, None)
    with pytest.raises(AttributeError):
        delattr(application, name)
    assert ask(application, "GET", "/ping").status == 200


# The WSGI door.


class Stream:
    """A body that counts the bytes read from it, in pieces as from a socket; endless without a length."""

    def __init__(self, data=None, piece=1000):
        self.data = data
        self.piece = piece
        self.taken = 0

    def read(self, size):
        size = min(size, self.piece)
        piece = b" " * size if self.data is None else self.data[self.taken : self.taken + size]
        self.taken += len(piece)
        return piece


def through_wsgi(application, verb="GET", path="/ping", body=b"", **environ):
    """One request through the WSGI callable, both sides watched by wsgiref's validator."""
    named = {"REQUEST_METHOD": verb, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    environ = named | {"wsgi.input": io.BytesIO(body)} | ({"CONTENT_LENGTH": str(len(body))} if body else {}) | environ
    setup_testing_defaults(environ)
    started = []
    result = validator(application)(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    try:
        answer = b"".join(result)
    finally:
        result.close()
    ((status, headers),) = started
    return status, dict(headers), answer


@pytest.mark.parametrize(
    ("verb", "path", "body", "status"),
    [
        ("GET", "/ping", b"", "200 OK"),
        ("HEAD", "/ping", b"", "200 OK"),
        ("POST", "/", b'{"add":[1,2]}', "200 OK"),
        ("POST", "/add", b"[1,2]", "200 OK"),
        ("POST", "/ping", b"", "200 OK"),
        ("OPTIONS", "/ping", b"", "204 No Content"),
        ("DELETE", "/ping", b"", "405 Method Not Allowed"),
        ("GET", "/nope", b"", "404 Not Found"),
        ("HEAD", "/nope", b"", "404 Not Found"),
        ("POST", "/", b"{", "400 Bad Request"),
        ("GET", "/broken", b"", "500 Internal Server Error"),
        ("GET", "/own_class", b"", "409 Conflict"),
        ("GET", "/unauthorized", b"", "401 Unauthorized"),
        ("GET", "/overloaded", b"", "503 Service Unavailable"),
        ("GET", "/late", b"", "504 Gateway Timeout"),
        ("GET", "/-/healthy", b"", "200 OK"),
        ("GET", "/-/nope", b"", "404 Not Found"),
    ],
)
def test_the_callable_is_valid_wsgi(application, verb, path, body, status):
    """Each verb and each error passes wsgiref's validator, and the answer is what respond gives, with its length."""
    told, headers, answer = through_wsgi(application, verb, path, body)
    expected = ask(application, verb, path, body)
    assert told == status
    if verb == "OPTIONS":
        assert (headers, answer) == (dict(expected.headers), b"")
        return
    assert headers["Content-Length"] == str(len(expected.body))
    assert headers | dict(expected.headers) == headers
    if b"ref" not in answer:
        assert answer == (b"" if verb == "HEAD" else expected.body)


def test_a_status_without_a_phrase_is_valid_wsgi():
    """A method may answer with a status that is not registered."""
    registry = Registry()
    registry.register(raising(CallError("no", status=499)), "odd")
    assert through_wsgi(Application(registry), path="/odd")[0] == "499 Error"


def test_headers_come_through(registry):
    """Host, origin and content type are checked through WSGI too."""
    application = Application(registry, allowed_hosts=["here"], allowed_origins=["http://page.example"])
    page = {"HTTP_HOST": "here", "HTTP_ORIGIN": "http://page.example"}
    call = {"verb": "POST", "path": "/", "body": b'{"ping":""}'}
    assert through_wsgi(application, HTTP_HOST="there")[0].startswith("421 ")
    assert through_wsgi(application, **call, **page)[0].startswith("403 ")
    assert through_wsgi(application, **call, **page, CONTENT_TYPE="application/json")[0].startswith("200 ")


TARGETS = {
    "a name": ("/ping", "/ping", ""),
    "a query": ("/named?a=1&b=c%26d", "/named", "a=1&b=c%26d"),
    "a value": ("/echo;a+b", "/echo;a+b", ""),
    "a coded name": ("/gr%C3%B6%C3%9Fe", "/größe", ""),
    "a coded value": ("/echo;%C3%A4%20b", "/echo;ä b", ""),
    "a percent sign": ("/echo;100%25", "/echo;100%", ""),
    "a coded question mark": ("/echo;a%3Fb", "/echo;a?b", ""),
    "an unknown name": ("/a%20b", "/a b", ""),
    "a page": ("/-/healthy", "/-/healthy", ""),
    "the root": ("/", "/", ""),
}


@pytest.mark.parametrize("raw", [None, "RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("mount", ["", "/rpc", "/a b/ä"], ids=["at the root", "mounted", "mounted under codes"])
@pytest.mark.parametrize(("target", "path", "query"), TARGETS.values(), ids=TARGETS)
def test_a_target_is_the_same_from_each_server(application, target, path, query, mount, raw):
    """From a raw target or the decoded path, at the root or mounted, the same request is the same call."""
    environ = {"SCRIPT_NAME": mount.encode().decode("latin-1"), "QUERY_STRING": query}
    if raw:
        environ[raw] = mount.replace(" ", "%20").replace("ä", "%C3%A4") + target
    _, _, answer = through_wsgi(application, path=path.encode().decode("latin-1"), **environ)
    assert answer == ask(application, "GET", target).body


@pytest.mark.parametrize("raw", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(("target", "answer"), [("/echo;a%3Bb", {"echo": "a;b"}), ("/a%2Fb%3Bc%3Fd%25", {"a/b;c?d%": "marks"})])
def test_a_coded_semicolon_is_not_a_semicolon(application, raw, target, answer):
    """If the server keeps the raw target, a percent-encoded mark is part of the name or the value."""
    _, _, got = through_wsgi(application, path=unquote(target), **{raw: target})
    assert json.loads(got) == answer


@pytest.mark.parametrize(
    "raw", ["*", "/other/ping", "/rpcs/ping", "http://here/rpcs/ping", "/rpc/ping/", "/rpc//ping", "/ping?", "x"]
)
def test_a_raw_target_of_another_path_is_passed_over(application, raw):
    """If the raw target is not the path below the mount, the decoded path counts."""
    assert through_wsgi(application, RAW_URI=raw, SCRIPT_NAME="/rpc")[2] == b'{"ping":"pong"}'


@pytest.mark.parametrize("raw", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(
    ("target", "path", "query", "answer"),
    [
        ("/broken", "/ping", "", {"ping": "pong"}),
        ("/broken?x=1", "/ping", "", {"ping": "pong"}),
        ("/plus?a=1&b=2", "/plus", "a=3&b=4", {"plus": 7}),
        ("/plus", "/plus", "a=3&b=4", {"plus": 7}),
        ("/api/echo;a%3Bb", "/echo;c", "", {"echo": "c"}),
        ("/v1/echo;%C3%A4", "/echo;\u00c3\u00a4", "", {"echo": "ä"}),
        ("/echo;a%253Bb", "/echo;a%3Bb", "", {"echo": "a%3Bb"}),  # decoded once, not twice
        ("http://here/echo;a%3Bb", "/echo;a;b", "", {"echo": "a;b"}),
        ("HTTPS://here:443/echo;a%3Bb", "/echo;a;b", "", {"echo": "a;b"}),
        ("http://here/broken", "/ping", "", {"ping": "pong"}),
        ("/%70ing", "/ping", "", {"ping": "pong"}),
        ("/%2Fping", "/ping", "", {"ping": "pong"}),
        ("/%zz", "/ping", "", {"ping": "pong"}),
    ],
)
def test_what_middleware_puts_into_the_environ_counts(application, raw, target, path, query, answer):
    """If middleware has written another path or query, that one counts, whatever the raw target is."""
    _, _, got = through_wsgi(application, path=path, QUERY_STRING=query, **{raw: target})
    assert json.loads(got) == answer


@pytest.mark.parametrize("mount", ["/rpc", "/a b", "/a;b"])
@pytest.mark.parametrize(
    "encode", [quote, lambda text: "".join(f"%{byte:02x}" for byte in text.encode())], ids=["as needed", "all"]
)
def test_a_mount_in_any_encoding(application, mount, encode):
    """The raw target below a mount is found however the mount is encoded, and also if a proxy has removed the mount."""
    for raw in (encode(mount) + "/echo;a%3Bb", "/echo;a%3Bb"):
        _, _, got = through_wsgi(application, path="/echo;a;b", SCRIPT_NAME=mount, RAW_URI=raw)
        assert json.loads(got) == {"echo": "a;b"}


def test_middleware_in_front_of_the_server_s_own_door(serve, registry):
    """On this project's server, too, middleware that rewrites the path decides what runs."""
    application = Application(registry)

    def middleware(environ, start_response):
        environ["PATH_INFO"] = "/ping" if environ["PATH_INFO"] == "/broken" else environ["PATH_INFO"]
        return application(environ, start_response)

    served = serve(middleware)
    with served.wire() as wire:
        assert wire.ask(b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n").json() == {"ping": "pong"}
        assert wire.ask(b"GET /echo;a%3Bb HTTP/1.1\r\nHost: a\r\n\r\n").json() == {"echo": "a;b"}


def test_the_mount_itself_is_the_root(application):
    """A mount without a path behind it is the root."""
    status, _, answer = through_wsgi(
        application, "POST", "", b'{"ping":""}', SCRIPT_NAME="/rpc", RAW_URI="/rpc", CONTENT_TYPE="text/plain"
    )
    assert (status, answer) == ("200 OK", b'{"ping":"pong"}')


LIMIT = 100_000
NO_LENGTH = [{"wsgi.input_terminated": True}, {"HTTP_TRANSFER_ENCODING": "chunked"}]


@pytest.fixture(scope="module")
def limited(registry):
    """An application with a small limit for bodies."""
    return Application(registry, max_body=LIMIT)


@pytest.mark.parametrize("environ", NO_LENGTH, ids=["input terminated", "chunked"])
@pytest.mark.parametrize("piece", [1, 7, 10**9], ids=["byte by byte", "in pieces", "at once"])
def test_a_body_without_a_length_is_read_to_its_end(limited, environ, piece):
    """A body without an announced length is read to its end, in any pieces."""
    stream = Stream(b'{"add":[1,2]}', piece)
    _, _, answer = through_wsgi(limited, "POST", "/", **environ, **{"wsgi.input": Adapter(stream)})
    assert answer == b'{"add":3}'


class Adapter:
    """A stream with the methods that wsgiref's validator requires of an input."""

    def __init__(self, stream):
        self.read = stream.read
        self.readline = self.readlines = self.__iter__ = None


@pytest.mark.parametrize("environ", NO_LENGTH, ids=["input terminated", "chunked"])
@pytest.mark.parametrize("piece", [7000, 10**9], ids=["in pieces", "at once"])
def test_no_more_is_read_than_the_limit(limited, environ, piece):
    """An endless body gets 413 with the limit, and is read no further than 64 KiB beyond."""
    stream = Stream(piece=piece)
    status, _, answer = through_wsgi(limited, "POST", "/", **environ, **{"wsgi.input": Adapter(stream)})
    assert status.startswith("413 ")
    assert f"the limit, {LIMIT}" in json.loads(answer)["detail"]
    assert LIMIT < stream.taken <= LIMIT + 65536


def test_a_body_of_the_limit_s_size_is_read(limited):
    """A body that has exactly the limit's size is read, with and without a length."""
    body = b'{"ping":""}'.ljust(LIMIT)
    assert through_wsgi(limited, "POST", "/", body)[0] == "200 OK"
    for environ in NO_LENGTH:
        assert through_wsgi(limited, "POST", "/", **environ, **{"wsgi.input": io.BytesIO(body)})[0] == "200 OK"


@pytest.mark.parametrize("length", [LIMIT + 1, 10**18])
def test_an_announced_body_beyond_the_limit_is_not_read(limited, length):
    """A length beyond the limit gets 413 with both numbers before anything is read."""
    stream = Stream()
    environ = {"CONTENT_LENGTH": str(length), "wsgi.input": Adapter(stream)}
    status, _, answer = through_wsgi(limited, "POST", "/", **environ)
    assert status.startswith("413 ")
    assert json.loads(answer)["detail"] == f"the body has {length} bytes; the limit is {LIMIT}"
    assert stream.taken == 0


@pytest.mark.parametrize("length", ["-1", "x", "1.5", "+1", "٣", " ", "1,1", "9" * 20, "9" * 5000])
def test_a_length_that_is_no_number_is_refused(limited, length):
    """A length that is not a number of bytes gets 400, and nothing is read."""
    started = []
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "CONTENT_LENGTH": length, "wsgi.input": Stream()}
    (answer,) = limited(environ, lambda status, headers: started.append(status))
    assert started == ["400 Bad Request"]
    assert "expected a number of bytes" in json.loads(answer)["detail"]
    assert environ["wsgi.input"].taken == 0


def test_a_body_that_ends_early_is_refused(limited):
    """A body shorter than its length gets 400, and the call is not made."""
    status, _, answer = through_wsgi(limited, "POST", "/", b'{"ping":""}', CONTENT_LENGTH="20")
    assert status == "400 Bad Request"
    assert "ended 9 bytes before its Content-Length" in json.loads(answer)["detail"]


@pytest.mark.parametrize("length", [None, "", "0"])
def test_without_a_length_there_is_no_body(limited, length):
    """The application does not wait for a body that was not announced."""
    stream = Stream()
    environ = {"wsgi.input": Adapter(stream)} | ({} if length is None else {"CONTENT_LENGTH": length})
    assert through_wsgi(limited, "POST", "/ping", **environ)[0] == "200 OK"
    assert stream.taken == 0


@pytest.mark.parametrize("body", [{"CONTENT_LENGTH": "9"}, *NO_LENGTH], ids=["with a length", "input terminated", "chunked"])
def test_a_stranger_s_body_is_not_read(registry, body, tmp_path):
    """A caller without credentials is refused before the body is read, whatever its announced length."""
    (tmp_path / "tokens").write_text("# nobody's\n")
    application = Application(registry, guard=guard(token_file=str(tmp_path / "tokens")), allowed_hosts=["here"])
    for host, status in (("here", "401 "), ("there", "421 ")):
        stream = Stream()
        told, _, _ = through_wsgi(application, "POST", "/ping", **body, **{"wsgi.input": Adapter(stream), "HTTP_HOST": host})
        assert (told.startswith(status), stream.taken) == (True, 0)


def test_no_more_is_read_than_was_announced(limited):
    """Bytes beyond the announced length are left in the stream."""
    stream = io.BytesIO(b'{"ping":""}{"add":[1,2]}')
    through_wsgi(limited, "POST", "/", CONTENT_LENGTH="11", **{"wsgi.input": stream})
    assert stream.tell() == 11


def test_a_chunked_body_that_the_server_keeps():
    """If the WSGI server does not pass on a chunked body, like uWSGI, the client gets 411, which says to send a length."""
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/ping", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO()}
    told = []
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    body = b"".join(Application(registry)(environ, lambda status, headers: told.append(status)))
    assert told == ["411 Length Required"]
    assert b"Content-Length" in body


CODED = [
    ("POST", "/", "gzip", 415),
    ("POST", "/echo", "GZIP", 415),
    ("POST", "/echo", "identity, br", 415),
    ("POST", "/", "unheard-of", 415),
    ("POST", "/", "identity", 200),
    ("POST", "/echo", "Identity,identity", 200),
    ("POST", "/", "", 200),
    ("GET", "/ping", "gzip", 200),
    ("HEAD", "/ping", "gzip", 200),
    ("PUT", "/", "gzip", 405),
]


@pytest.mark.parametrize(("verb", "target", "coding", "status"), CODED)
@pytest.mark.parametrize(
    "body", [b'{"echo":1}', b'{"jsonrpc":"2.0","method":"echo","params":[1],"id":1}'], ids=["native", "JSON-RPC"]
)
@pytest.mark.parametrize("door", ["respond", "WSGI", "head"])
def test_a_coded_body_is_not_read(application, verb, target, coding, status, body, door):
    """A coded body is refused with the only supported coding, through each door, before it is read, each time."""
    sent = b"" if verb in ("GET", "HEAD") else body if target == "/" else b"[1]"
    for _ in range(2):
        head = Head(verb, target, [("host", "a"), ("content-encoding", coding)])
        if door == "WSGI":
            line, headers, text = through_wsgi(application, verb, target, sent, HTTP_CONTENT_ENCODING=coding)
            answered = int(line[:3])
        else:
            response = application.admit(head) if door == "head" else application.respond(Request(head, sent))
            if response is None or (door == "head" and verb in ("GET", "HEAD")):
                assert status == 200
                continue
            answered, headers, text = response.status, dict(response.headers), response.body
        assert answered == status
        assert headers.get("Accept-Encoding") == ("identity" if status == 415 else None)
        assert status != 415 or b"send the body without one" in text


def test_a_second_coding_counts_too(application):
    """If the header has several lines, each of them counts."""
    head = Head("POST", "/", [("content-encoding", "identity"), ("content-encoding", "gzip")])
    assert application.respond(Request(head, b"{}")).status == 415


LONG = "x" * 100_000
LONG_TEXTS = {
    "a name": ("POST", "/", {}, {LONG: 1}),
    "a name in JSON-RPC": ("POST", "/", {}, {"jsonrpc": "2.0", "method": LONG, "id": 1}),
    "a path": ("GET", "/" + LONG, {}, None),
    "a path of two bytes a letter": ("GET", "/" + "%FF" * 3000, {}, None),
    "a page": ("GET", "/-/" + LONG, {}, None),
    "a path by position": ("GET", "/by_position?" + LONG, {}, None),
    "a verb": (LONG, "/add", {}, None),
    "a host": ("GET", "/add", {"host": LONG}, None),
    "an origin": ("GET", "/add", {"host": "localhost", "origin": LONG}, None),
    "a coding": ("POST", "/", {"content-encoding": LONG}, {"add": [1]}),
    "a content type": ("POST", "/", {"host": "a.example", "origin": "http://a.example", "content-type": LONG}, {"add": [1]}),
    "an argument": ("POST", "/", {}, {"add": {LONG: 1}}),
    "many arguments": ("POST", "/", {}, {"add": {LONG[:1000] + str(number): 1 for number in range(90)}}),
    "a choice": ("POST", "/", {}, {"paint": [LONG]}),
    "a number": ("POST", "/", {}, {"count": [LONG]}),
    "a text of a query": ("GET", "/count?n=" + LONG, {}, None),
    "a member": ("POST", "/", {}, {"move": [{LONG: 1}]}),
    "a key": ("POST", "/", {}, {"tally": [{LONG: LONG}]}),
    "many values": ("POST", "/", {}, {"counts": [[LONG[:1000]] * 90]}),
}


@pytest.mark.parametrize(("verb", "target", "headers", "message"), LONG_TEXTS.values(), ids=LONG_TEXTS)
def test_an_error_is_not_as_long_as_what_was_sent(verb, target, headers, message, caplog):
    """The answer to a refused text, and the log, show at most its beginning."""
    registry = Registry()
    registry.register(add)
    registry.register(lambda n, /: n, "by_position")
    for function in (_paint, _count, _counts, _move, _tally):
        registry.register(function, function.__name__[1:])
    application = Application(registry, allowed_hosts=["localhost", "a.example"])
    body = b"" if message is None else json.dumps(message).encode()
    response = application.respond(Request(Head(verb, target, {"host": "localhost", **headers}.items()), body))
    assert response.status >= 400 or b'"error"' in response.body
    assert len(response.body) + sum(map(len, dict(response.headers).values())) < 1500
    assert sum(map(len, caplog.messages)) < 1500


def test_what_one_application_let_in_another_still_looks_at():
    """A head that one application has admitted is checked again by another one."""
    registry = Registry()
    registry.register(lambda: "pong", "ping")
    registry.register(lambda a: a, "echo")
    open_, guarded = Application(registry), Application(registry, allowed_hosts=["a.example"])
    for verb, target, body in (("GET", "/ping", b""), ("POST", "/", b'{"echo":[1]}')):
        head = Head(verb, target, [("host", "b.example")])
        for _ in range(3):
            assert open_.respond(Request(head, body)).status == 200
            assert guarded.respond(Request(head, body)).status == 421


def test_a_head_that_comes_again_is_answered_alike():
    """The same head with another body is answered by its body, and a GET with a body is refused each time."""
    registry = Registry()
    registry.register(lambda a: a, "echo")
    registry.register(lambda: "pong", "ping")
    application = Application(registry)
    post = Head("POST", "/", [("host", "a")])
    for number in range(3):
        assert application.respond(Request(post, b'{"echo":[%d]}' % number)).body == b'{"echo":%d}' % number
        assert application.respond(Request(post, b"{")).status == 400
        assert application.respond(Request(post, b'{"echo":[1,2]}')).status == 400
    get = Head("GET", "/ping", [("host", "a")])
    for _ in range(3):
        assert application.respond(Request(get)).body == b'{"ping":"pong"}'
        assert application.respond(Request(get, b"x")).status == 400

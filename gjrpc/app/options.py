"""The options of an application, each with its default.

Owns what an application can be configured with. It does not know who uses an option.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gjrpc.app.dialect import DialectFactory
from gjrpc.app.pages import Answer, Page
from gjrpc.auth.guard import Guard
from gjrpc.calls.dispatch import Observer
from gjrpc.calls.runtime import Runtime
from gjrpc.http.messages import Head
from gjrpc.http.peer import Peer
from gjrpc.limits import MAX_ANSWER, MAX_BATCH, MAX_BODY, MAX_DEPTH, MAX_VALUES


@dataclass(frozen=True)
class Options:
    """The options of an application, given as `Application(registry, max_body=1000)` or `Application(registry, Options(…))`.

    Attributes:
        max_body: bytes of a request's body; 413 beyond.
        max_depth: levels of nesting in its JSON; 400 beyond.
        max_values: values in its JSON, as `gjrpc.values.codec.Decoder` counts them; 413 beyond.
        max_batch: entries of a JSON-RPC 2.0 batch; a single -32600 beyond.
        max_answer: bytes of the responses to one batch; beyond that, -32001, and its remaining calls are not run.
        allowed_hosts: the `Host` names to answer for, without port; `*` for any; 421 for others. None leaves it to the server:
            a `gjrpc.Server` on a loopback address answers for loopback names only, every other server for any name.
        allowed_origins: origins (`https://example.org`) whose web pages may call, besides the server's own; `*` for any; 403
            for others.
        scheme_of: returns a client's scheme, `http` or `https`, as trusted proxies report it; see `gjrpc.http.forwarded`.
        runtime: runs blocking methods and deadlines; by default gevent's if gevent has patched the process; otherwise methods
            run where they are called.
        observers: called with a `gjrpc.calls.dispatch.Finished` after each call.
        guard: authenticates the caller of each request, see `gjrpc.auth.credentials.guard`; 401 without valid credentials.
        open_to_all: without a guard, let anyone call even the methods that have a scope.
        title: the application's name, for the documents.
        version: the version of its methods, for the documents.
        pages: further pages by their paths below `/-/`, such as `{"/-/metrics": metrics}`; see `gjrpc.app.pages.Page`. Only the
            probes `/-/healthy` and `/-/ready` need no authentication.
        dialects: further dialects of `POST /`, see `gjrpc.app.dialect.Dialect`; each is a function that makes a dialect for a
            dispatcher.
    """

    max_body: int = MAX_BODY
    max_depth: int = MAX_DEPTH
    max_values: int = MAX_VALUES
    max_batch: int = MAX_BATCH
    max_answer: int = MAX_ANSWER
    allowed_hosts: Iterable[str] | None = None
    allowed_origins: Iterable[str] = ()
    scheme_of: Callable[[Peer, Head], str] | None = None
    runtime: Runtime | None = None
    observers: Sequence[Observer] = ()
    guard: Guard | None = None
    open_to_all: bool = False
    title: str = "gjrpc"
    version: str = "0"
    pages: Mapping[str, Page | Answer] = field(default_factory=dict)
    dialects: Iterable[DialectFactory] = ()

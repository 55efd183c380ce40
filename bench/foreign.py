"""The peers of the comparison: the same two methods, with msgspec, in WSGI, FastAPI and pjrpc, and as a canned reply.

`python -m bench.foreign NAME PORT` serves them with a peer that has no command line of its own. Nothing here imports gjrpc.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def ping() -> str:
    """Answer."""
    return "pong"


def add(a: Any, b: Any = 10) -> Any:
    """Add two values."""
    return a + b


METHODS: dict[str, Callable[..., Any]] = {"ping": ping, "add": add}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve the two methods as a WSGI application, without any checks."""
    if environ["REQUEST_METHOD"] == "GET":
        name = environ["PATH_INFO"][1:]
        result = METHODS[name]()
    else:
        ((name, arguments),) = _decode(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))).items()
        result = METHODS[name](*arguments)
    body = _encode({name: result})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def fastapi_application() -> Any:
    """Return the two methods as a FastAPI application; uvicorn calls this as a factory."""
    import fastapi  # noqa: PLC0415  each peer needs its own package only

    api = fastapi.FastAPI()

    @api.get("/ping")
    async def get_ping() -> Any:
        return fastapi.Response(_encode({"ping": ping()}), media_type="application/json")

    async def post(request: Any) -> Any:
        ((name, arguments),) = _decode(await request.body()).items()
        return fastapi.Response(_encode({name: METHODS[name](*arguments)}), media_type="application/json")

    post.__annotations__["request"] = fastapi.Request
    api.post("/")(post)
    return api


def _bjoern(port: int) -> None:
    import bjoern  # noqa: PLC0415  as above

    bjoern.run(application, "127.0.0.1", port)


def _pywsgi(port: int) -> None:
    from gevent.pywsgi import WSGIServer  # noqa: PLC0415  as above

    WSGIServer(("127.0.0.1", port), application, log=None).serve_forever()


def _pywsgi_tls(port: int) -> None:
    from gevent.pywsgi import WSGIServer  # noqa: PLC0415  as above

    files = {"certfile": os.environ["BENCH_CERT"], "keyfile": os.environ["BENCH_KEY"]}
    WSGIServer(("127.0.0.1", port), application, log=None, **files).serve_forever()


def _waitress(port: int) -> None:
    import waitress  # noqa: PLC0415  as above

    waitress.serve(application, host="127.0.0.1", port=port, _quiet=True)


def _pjrpc(port: int) -> None:
    """Serve pjrpc on werkzeug under bjoern, which was 1.4 to 2.1 times as fast as on aiohttp; only JSON-RPC 2.0 by POST."""
    import bjoern  # noqa: PLC0415  as above
    import pjrpc.server  # noqa: PLC0415  as above
    from pjrpc.server.integration import werkzeug  # noqa: PLC0415  as above

    registry = pjrpc.server.MethodRegistry()
    registry.add_method(add)
    served = werkzeug.JsonRPC("/")
    served.dispatcher.add_methods(registry)
    bjoern.run(served, "127.0.0.1", port)


def _naive(port: int) -> None:
    """Send a canned reply for each read, one for GET and one for POST, without parsing."""
    from gevent.server import StreamServer  # noqa: PLC0415  as above

    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    replies = {ord("G"): head % (15, b'{"ping":"pong"}'), ord("P"): head % (9, b'{"add":3}')}

    def serve(connection: Any, _: Any) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := connection.recv(65536):
                connection.sendall(replies[data[0]])
        except ConnectionError:  # the load has gone
            pass

    StreamServer(("127.0.0.1", port), serve).serve_forever()


SERVERS: dict[str, Callable[[int], None]] = {
    "bjoern": _bjoern,
    "pywsgi": _pywsgi,
    "pywsgi-tls": _pywsgi_tls,
    "waitress": _waitress,
    "pjrpc": _pjrpc,
    "naive": _naive,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](int(sys.argv[2]))

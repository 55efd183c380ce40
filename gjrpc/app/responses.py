"""Checks the responses of an application's own pages and dialects before they are sent.

Owns what such a response may contain. A server sends every response as it is, so a line break in a header, or a length that the
page gives itself, would make the client read a different response. It does not know who made the response.
"""

from typing import Any

from gjrpc.http.messages import WITHOUT_BODY, Response
from gjrpc.http.wsgi_answers import AnswerError, check_fields

_SERVERS_OWN = frozenset({"connection", "content-length", "date"})


def checked(response: Any, source: str) -> Response:
    """Return a response that can be sent.

    Args:
        response: what a page or a dialect returned.
        source: what returned it, for the error: `the page /-/metrics`.

    Raises:
        TypeError: it is not a `Response`, or its body is not bytes.
        ValueError: its status, its headers or its body can't be sent.
    """
    if not isinstance(response, Response):
        raise TypeError(f"{source} returned {type(response).__name__}; expected a Response")
    status, body = response.status, response.body
    if type(status) is not int or not 200 <= status <= 599:  # one below 200 is not final: the client would wait for another
        raise ValueError(f"{source} returned the status {status!r}; expected a number from 200 to 599")
    if not isinstance(body, bytes):
        raise TypeError(f"{source} returned a body of type {type(body).__name__}; expected bytes")
    if body and status in WITHOUT_BODY:  # RFC 9112, 6.3: the client takes the body for the next response
        raise ValueError(f"{source} returned the status {status} with a body; expected none")
    try:
        fields = check_fields(response.headers)
    except AnswerError as error:
        raise ValueError(f"{source} returned a response that can't be sent: {error}") from None
    if own := [name for name, _ in fields if name.lower() in _SERVERS_OWN]:
        raise ValueError(f"{source} returned the header {own[0]}, which only the server may set")
    return Response(status, body, fields, response.caller)

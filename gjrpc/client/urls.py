"""The URLs of servers.

Owns which URLs the client accepts, and how credentials and queries are kept out of errors, `repr` and logs. It sends nothing.
"""

from urllib.parse import SplitResult, unquote_plus, urlsplit

import requests

from gjrpc.errors import MisuseError

_SHORTEST = 4  # characters of a value that may be a secret; shorter ones are common words
_FORMS = 'expected a URL such as "http://host:9999", "https://host:9999/prefix" or "unix:/path/to.sock"'


def redacted(url: str) -> str:
    """Return a URL without credentials, and without its query, which may hold a key."""
    place, mark, _ = url.partition("#")[0].partition("?")
    scheme, separator, rest = place.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}{mark and '?…'}"


def redacted_body(response: requests.Response) -> bytes:
    """Return the body of an answer without the URL's query and its values, which a server may have repeated."""
    body, query = response.content, urlsplit(response.url or "").query
    values = [part.partition("=")[2] for part in query.split("&")]
    secrets = {query, *values, *map(unquote_plus, values)}
    for secret in sorted(filter(lambda secret: len(secret) >= _SHORTEST, secrets), key=len, reverse=True):
        body = body.replace(secret.encode(), "…".encode())
    return body


def redirect_target(response: requests.Response) -> str:
    """Return the URL that a redirect names, redacted."""
    return redacted(response.headers.get("Location", ""))


def parse_url(url: str, exact: bool) -> tuple[str, str | None]:
    """Return the URL to send requests to, and the path of the Unix socket or None.

    Args:
        url: `http://…`, `https://…` or `unix:PATH`.
        exact: whether to use the URL exactly as given, with its query; otherwise a path gets a slash at its end.

    Raises:
        MisuseError: it is not such a URL, or holds credentials.
    """
    if isinstance(url, str) and url.startswith("unix:") and url.isprintable() and len(url) > len("unix:"):
        return "http://localhost/", url.removeprefix("unix:")
    parts = _split(url)
    if (fault := _fault(url, parts, exact)) is not None:
        raise MisuseError(f"url={redacted(url)!r}: {fault}; {_FORMS}")
    path = (parts.path or "/") if exact else parts.path.rstrip("/") + "/"
    return f"{parts.scheme}://{parts.netloc}{path}{parts.query and '?' + parts.query}", None


def _split(url: str) -> SplitResult:
    if not isinstance(url, str):
        raise MisuseError(f"url={url!r}: {_FORMS}")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError unless it is a port number
    except ValueError as error:
        if "@" in url:  # don't show the URL: it may hold a password
            raise MisuseError(f"the URL can't be read; give credentials as auth=(user, password), and {_FORMS}") from None
        raise MisuseError(f"url={redacted(url)!r}: {error}; {_FORMS}") from None
    if "@" in parts.netloc:
        host = parts.hostname
        raise MisuseError(f"the URL of {host} holds credentials, which logs would show; give them as auth=(user, password)")
    return parts


def _fault(url: str, parts: SplitResult, exact: bool) -> str | None:
    """Return what is wrong with a URL, or None."""
    faults = {
        "it has spaces or control characters": not url.isprintable() or " " in url,
        "it has no scheme": "://" not in url,
        f"unknown scheme {parts.scheme!r}": parts.scheme not in ("http", "https"),
        "it names no host": not parts.hostname,
        "it has a fragment, which is never sent": "#" in url,
        "it has a query, which native calls can't carry: send a key in headers={…}": "?" in url and not exact,
    }
    return next((fault for fault, found in faults.items() if found), None)

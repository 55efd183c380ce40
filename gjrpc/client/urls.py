"""URLs of servers, as the client takes them and as they may be shown.

Owns which URLs are valid, and keeps credentials and queries out of errors, `repr` and logs. It sends nothing.
"""

from urllib.parse import unquote_plus, urlsplit

import requests

from gjrpc.errors import MisuseError

_SHORT = 4  # a query's value of so few characters is not a key
_FORMS = 'expected a URL such as "http://host:9999", "https://host:9999/prefix" or "unix:/path/to.sock"'


def shown(url: str) -> str:
    """A URL as it may be shown: without credentials, and without its query, which may hold a key."""
    place, mark, _ = url.partition("#")[0].partition("?")
    scheme, separator, rest = place.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}{mark and '?…'}"


def without_query(response: requests.Response) -> bytes:
    """Return the body of an answer without the URL's query and its values, which a server may have echoed."""
    body, query = response.content, urlsplit(response.url or "").query
    values = [part.partition("=")[2] for part in query.split("&")]
    secrets = {query, *values, *map(unquote_plus, values)}
    for secret in sorted(filter(lambda secret: len(secret) >= _SHORT, secrets), key=len, reverse=True):
        body = body.replace(secret.encode(), "…".encode())
    return body


def redirected(response: requests.Response) -> str:
    """The target of a redirect, fit to be shown."""
    return shown(response.headers.get("Location", ""))


def place(url: str, exact: bool) -> tuple[str, str | None]:
    """Return where to POST (below the URL's path unless `exact`), and the path of the Unix socket if it is one.

    Raises:
        MisuseError: it is not the URL of a server.
    """
    if isinstance(url, str) and url.startswith("unix:") and url.isprintable() and len(url) > len("unix:"):
        return "http://localhost/", url.removeprefix("unix:")
    if not isinstance(url, str):
        raise MisuseError(f"url={url!r}: {_FORMS}")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        if "@" in url:  # a password may be what made it invalid
            raise MisuseError(f"the URL can't be read; give credentials as auth=(user, password), and {_FORMS}") from None
        raise MisuseError(f"url={shown(url)!r}: {error}; {_FORMS}") from None
    if "@" in parts.netloc:  # not shown: there is a password in it
        raise MisuseError(
            f"the URL of {parts.hostname} holds credentials, and would be logged; give them as auth=(user, password)"
        )
    faults = {
        "it has blanks or control characters": not url.isprintable() or " " in url,
        "it has no scheme": "://" not in url,
        f"unknown scheme {parts.scheme!r}": parts.scheme not in ("http", "https"),
        "it names no host": not parts.hostname,
        "it has a fragment, which is never sent": "#" in url,
        "it has a query, which native calls can't carry: send a key in headers={…}": "?" in url and not exact,
    }
    for fault, found in faults.items():
        if found:
            raise MisuseError(f"url={shown(url)!r}: {fault}; {_FORMS}")
    path = (parts.path or "/") if exact else parts.path.rstrip("/") + "/"
    return f"{parts.scheme}://{parts.netloc}{path}{parts.query and '?' + parts.query}", None

"""Documents that the client reads with GET, such as a server's OpenRPC document.

Owns which answers are a document. How a request is sent, within its limits of time and bytes, is up to `transport`.
"""

from gjrpc.client.answers import check_status, described
from gjrpc.client.options import Options
from gjrpc.client.transport import Transport
from gjrpc.errors import WireError


def read_document(url: str, path: str = "", options: Options | None = None) -> bytes:
    """GET a document and return its bytes, without following redirects.

    Args:
        url: `http://…` or `https://…` exactly as given, with a query if needed, which no error shows; or `unix:/path/to.sock`.
        path: appended to the URL, and the only path on a Unix socket, as `-/openrpc.json`.
        options: certificates, headers, credentials and limits; the defaults if None.

    Raises:
        MisuseError: the URL or an option can't be used; nothing was sent.
        RemoteError: the server answered with an error; its `method` is the URL.
        WireError: no answer arrived in time, or it is too large, a redirect, or has another status than 200.
    """
    transport = Transport(url, options or Options(), exact=True, path=path)
    try:
        response = transport.get(repeatable=True)
    finally:
        transport.close()
    check_status(transport.url, response)
    if response.status_code != 200:
        raise WireError(f"{transport.url}: expected HTTP 200 with a document, got {described(response)}")
    return response.content

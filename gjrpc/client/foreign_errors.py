"""What an error on the client's wire means, in one sentence, and what to do about it.

Owns the tables from the errors of requests, urllib3, ssl and sockets to these sentences. It sends nothing, and knows no call.
"""

import ssl
from http.client import HTTPException

import requests
from urllib3 import exceptions as urllib3_errors

from gjrpc.client.budget import LargeError, LateError

FOREIGN = (
    *(requests.RequestException, urllib3_errors.HTTPError, HTTPException, OSError, ValueError),
    LookupError,  # HTTPDigestAuth's, of a challenge without its parts
    *(LateError, LargeError),
)
"""What a call can raise on the wire, from any library."""

_REASONS = {
    urllib3_errors.ClosedPoolError: "this client is closed",
    urllib3_errors.LocationValueError: "the URL, or the proxy's, can't be used: {root}",
    urllib3_errors.ProxyError: "the proxy can't be used: {root}",
    urllib3_errors.NewConnectionError: "no connection: {root}",
    urllib3_errors.ConnectTimeoutError: "no connection within {connect}",
    urllib3_errors.ReadTimeoutError: "no answer within {total}{doubt}",
    LateError: "no answer within {total}{doubt}",
    LargeError: "the answer has more than {most} bytes; Client(max_answer=…) sets the limit{doubt}",
    urllib3_errors.DecodeError: "the answer can't be read: {root}{doubt}",
    Exception: "the connection broke before the answer was whole: {root}{doubt}",
}
"""What urllib3's errors mean; the first match counts, since they inherit from each other."""

_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": "no TLS is spoken there; try http://",
    "RECORD_LAYER_FAILURE": "no TLS is spoken there; try http://",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 'the server wants a client certificate: cert=("cert.pem", "key.pem")',
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 'perhaps the server wants a client certificate: cert=("cert.pem", "key.pem")',
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the authority of the client certificate (cert=)",
}
"""What to do about the reasons that OpenSSL gives."""

_VERIFY_HINTS = {
    10: "it has to be renewed",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: "call the server by a name that its certificate holds",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: "call the server by an address that its certificate holds",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_UNTRUSTED = 'if it comes from an authority of your own, give its file: verify="ca.pem", or REQUESTS_CA_BUNDLE=ca.pem'


def explain(error: BaseException, limits: tuple[float | None, float | None], *, most: int, doubt: str) -> str:
    """Say what one of these errors means, and what to do.

    Args:
        error: as it was raised.
        limits: seconds to connect, and for the whole call; None for ever.
        most: bytes that the answer may have.
        doubt: ends a sentence after which the method may have run all the same.
    """
    connect, total = _seconds(min(filter(None, limits), default=None)), _seconds(limits[1])
    chain = _chain(error)
    root = chain[-1]
    if isinstance(root, ssl.SSLCertVerificationError):
        hint = _VERIFY_HINTS.get(root.verify_code, _UNTRUSTED)
        return f"the server's certificate is refused ({root.verify_message.rstrip('.')}): {hint}"
    if isinstance(root, ssl.SSLError) and not isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return f"TLS failed ({root.reason or root}): {_TLS_HINTS.get(root.reason or '', 'see what the server logs')}"
    sentence = next(text for kind, text in _REASONS.items() if any(isinstance(link, kind) for link in chain))
    reason = getattr(root, "strerror", None) or root
    return sentence.format(root=reason, connect=connect, total=total, most=most, doubt=doubt)


def _chain(error: BaseException) -> list[BaseException]:
    """Yield an error and its causes, down to the first that comes from neither requests nor urllib3."""
    chain = [error]
    while isinstance(error, (requests.RequestException, urllib3_errors.HTTPError)):
        inner = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None) or error.__context__
        if inner is None:
            break
        error = inner
        chain.append(error)
    return chain


def _seconds(limit: float | None) -> str:
    return "the system's time" if limit is None else f"{limit:g} s"

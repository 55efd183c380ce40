"""What an error of requests, urllib3, ssl or a socket means, in one sentence, and what to do about it.

Owns the tables from those errors to sentences. It sends nothing and knows no call.
"""

import ssl
from http.client import HTTPException

import requests
from urllib3 import exceptions as urllib3_errors

from gjrpc.client.budget import LargeError, LateError

FOREIGN = (
    *(requests.RequestException, urllib3_errors.HTTPError, HTTPException, OSError, ValueError),
    LookupError,  # HTTPDigestAuth raises it for a challenge that lacks parts
    *(LateError, LargeError),
)
"""All that sending a request can raise, in any library."""

_REASONS = {
    urllib3_errors.ClosedPoolError: "this client is closed; make a new one",
    urllib3_errors.LocationValueError: "the URL, or the proxy's URL, can't be used: {root}",
    urllib3_errors.ProxyError: "the proxy can't be used: {root}; see http_proxy, https_proxy and no_proxy",
    urllib3_errors.NewConnectionError: "can't connect: {root}; check the URL and that the server is running",
    urllib3_errors.ConnectTimeoutError: "can't connect within {connect}; check the URL and that the server is running",
    urllib3_errors.ReadTimeoutError: "no answer within {total}{doubt}",
    LateError: "no answer within {total}{doubt}",
    LargeError: "the answer has more than {most} bytes; Client(max_answer=…) sets the limit{doubt}",
    urllib3_errors.DecodeError: "the answer can't be read: {root}{doubt}",
    Exception: "the connection broke before the whole answer had arrived: {root}{doubt}",
}
"""What each error means; the first match counts, since some inherit from others."""

_TLS_HINTS = {
    "WRONG_VERSION_NUMBER": "the server does not use TLS on this port; try http://",
    "RECORD_LAYER_FAILURE": "the server does not use TLS on this port; try http://",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 'the server requires a client certificate: cert=("cert.pem", "key.pem")',
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 'the server may require a client certificate: cert=("cert.pem", "key.pem")',
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not trust the authority that issued the client certificate (cert=)",
}
"""What to do, by OpenSSL's reason."""

_VERIFY_HINTS = {
    10: "the server's operator must renew it",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: "use a host name that is in the certificate",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: "use an address that is in the certificate",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
_UNTRUSTED = (
    "if your own authority issued it, give the authority's file: "
    'verify="ca.pem" in Python, --ca ca.pem on the command line, or REQUESTS_CA_BUNDLE=ca.pem for both'
)


def explain(error: BaseException, limits: tuple[float | None, float | None], *, most: int, doubt: str) -> str:
    """Return a sentence that says what an error means and what to do.

    Args:
        error: one of `FOREIGN`.
        limits: seconds to connect, and for the whole call; None for no limit.
        most: bytes that the answer may have.
        doubt: appended to the sentences after which the method may have run.
    """
    connect, total = _seconds(min(filter(None, limits), default=None)), _seconds(limits[1])
    chain = _chain(error)
    root = chain[-1]
    if isinstance(root, ssl.SSLError) and not isinstance(root, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return _explain_tls(root)
    sentence = next(text for kind, text in _REASONS.items() if any(isinstance(link, kind) for link in chain))
    reason = getattr(root, "strerror", None) or root
    return sentence.format(root=reason, connect=connect, total=total, most=most, doubt=doubt)


def _explain_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _VERIFY_HINTS.get(error.verify_code, _UNTRUSTED)
        return f"the server's certificate can't be verified ({error.verify_message.rstrip('.')}): {hint}"
    reason = error.reason or ""
    return f"TLS failed ({reason or error}): {_TLS_HINTS.get(reason, 'see the server log')}"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, up to the first that comes from neither requests nor urllib3."""
    chain = [error]
    while isinstance(error, (requests.RequestException, urllib3_errors.HTTPError)):
        inner = error.__cause__ or next((arg for arg in error.args if isinstance(arg, BaseException)), None) or error.__context__
        if inner is None:
            break
        error = inner
        chain.append(error)
    return chain


def _seconds(limit: float | None) -> str:
    return "the system's time limit" if limit is None else f"{limit:g} s"

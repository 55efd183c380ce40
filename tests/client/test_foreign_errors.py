"""The sentences for the errors of other libraries; `test_transport` and `test_adapter` show that these errors occur."""

import ssl
from http.client import RemoteDisconnected

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3 import exceptions as urllib3_errors

from gjrpc.client.budget import LargeError, LateError
from gjrpc.client.foreign_errors import FOREIGN, explain

POOL = HTTPConnectionPool("localhost")


def caused(error, cause):
    """Return the error with this cause."""
    error.__cause__ = cause
    return error


REFUSED = OSError(111, "Connection refused")
ERRORS = {
    "the time is over": (LateError(), "no answer within 3 s, in doubt"),
    "too large": (LargeError(), "the answer has more than 5 bytes; Client(max_answer=…) sets the limit, in doubt"),
    "no connection": (
        caused(requests.ConnectionError(), caused(urllib3_errors.NewConnectionError(POOL, ""), REFUSED)),
        "can't connect: Connection refused; check the URL and that the server is running",
    ),
    "a connection that takes long": (
        requests.ConnectTimeout(urllib3_errors.ConnectTimeoutError(POOL, "")),
        "can't connect within 2 s; check the URL",
    ),
    "hung up": (
        requests.ConnectionError(urllib3_errors.ProtocolError("", RemoteDisconnected("gone"))),
        "the connection broke before the whole answer had arrived: gone, in doubt",
    ),
    "a client that is closed": (urllib3_errors.ClosedPoolError(POOL, ""), "this client is closed"),
    "a library's own": (KeyError("realm"), "the connection broke before the whole answer had arrived: 'realm', in doubt"),
    "a socket's": (TimeoutError("timed out"), "the connection broke before the whole answer had arrived: timed out, in doubt"),
}


@pytest.mark.parametrize(("error", "sentence"), ERRORS.values(), ids=ERRORS)
def test_each_error_has_its_sentence(error, sentence):
    """The sentence names the cause or the exceeded limit, and adds the doubt only where the method may have run."""
    assert isinstance(error, FOREIGN)
    assert explain(error, (2, 3), most=5, doubt=", in doubt").startswith(sentence)


def test_a_limit_that_is_not_set():
    """Without a limit of the client, the sentence names the system's."""
    late = urllib3_errors.ConnectTimeoutError(POOL, "")
    assert explain(late, (None, None), most=5, doubt="").startswith("can't connect within the system's time limit;")
    assert explain(late, (None, 3), most=5, doubt="").startswith("can't connect within 3 s;")


def refused_by_openssl(answer):
    """Return OpenSSL's error for a server's first bytes."""
    come = ssl.MemoryBIO()
    come.write(answer)
    try:
        ssl.create_default_context().wrap_bio(come, ssl.MemoryBIO(), server_hostname="a").do_handshake()
    except ssl.SSLError as error:
        return error
    raise AssertionError("it was taken for TLS")


def test_what_to_do_about_tls():
    """The sentence for a TLS error has OpenSSL's reason, and says what to do."""
    error = caused(requests.exceptions.SSLError(), refused_by_openssl(b"HTTP/1.1 400 Bad Request"))
    sentence = explain(error, (2, 3), most=5, doubt="")
    assert sentence.startswith("TLS failed (")
    assert sentence.endswith(": the server does not use TLS on this port; try http://")

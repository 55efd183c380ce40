"""What a WSGI application may answer, and the errors for what it may not."""

from wsgiref.util import is_hop_by_hop

import pytest

from gjrpc.http.wsgi_answers import AnswerError, Start, check_length, read_start

TEXT = ("Content-Type", "text/plain")


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "299 ", "404 Nicht gefunden: ä", "599 a\tb", "999 Odd"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [TEXT, ("Content-Length", "0")],
        [("X", ""), ("X", "a b\tc"), ("Set-Cookie", "a=ä"), ("x!#$%&'*+-.^_`|~9", "")],
        (TEXT, ["X", "1"]),
        iter([TEXT]),
    ],
)
def test_what_can_be_sent(status, headers):
    """A status of three digits and a phrase, and headers of tokens and latin-1 text, are sent unchanged."""
    headers = list(headers)
    assert read_start(status, iter(headers)) == Start([tuple(field) for field in headers], False)


@pytest.mark.parametrize(
    "status",
    [
        "",
        "OK",
        "200",
        "200OK",
        " 200 OK",
        "+200 OK",
        "20 OK",
        "2000 OK",
        "2OO OK",
        "0200 OK",
        "200.0 OK",
        "\u0662\u0660\u0660 OK",
        "100 Continue",
        "101 Switching Protocols",
        "103 Early Hints",
        "000 None",
        "-20 OK",
        "200 OK\r\nX: y",
        "200 OK\n",
        "200 O\x00K",
        "200 O\x7fK",
        "200 \u20ac",
        "200\tOK",
        b"200 OK",
        200,
        None,
        ["200 OK"],
    ],
)
def test_a_status_that_can_not_be_sent(status):
    """A status that is not three digits and a phrase, or is not final, is refused, and the error shows it."""
    with pytest.raises(AnswerError, match=r"its status is .*; expected a string like '200 OK'"):
        read_start(status, [TEXT])


@pytest.mark.parametrize(
    "name", ["", " ", "X Y", " X", "X ", "X:", "X\0", "X\r", "X\n", "X\t", "Ä", "\u20ac", "X(", "X/", "X=", b"X", None, 1]
)
def test_a_name_that_can_not_be_sent(name):
    """A header name that is not a token is refused."""
    with pytest.raises(AnswerError, match=r"its header name .* is not valid"):
        read_start("200 OK", [TEXT, (name, "1")])


@pytest.mark.parametrize(
    "value", ["a\0", "\0", "a\rb", "a\nb", "a\r\n b", "a\n", "\x1b[0m", "a\x7f", "a\x0b", "\u20ac", b"a", 5, None, ["a"]]
)
def test_a_value_that_can_not_be_sent(value):
    """A header value that has control characters or is not latin-1 text is refused."""
    with pytest.raises(AnswerError, match="its header X has the value"):
        read_start("200 OK", [TEXT, ("X", value)])


@pytest.mark.parametrize("field", ["X", ("X",), ("X", "1", "2"), None, 5, "abc"])
def test_a_field_that_is_no_pair(field):
    """A header that is not a pair of name and value is refused."""
    with pytest.raises(AnswerError, match="not a pair of name and value"):
        read_start("200 OK", [field])


@pytest.mark.parametrize(
    "values", [["+5"], ["-5"], ["5.0"], ["five"], [""], [" 5"], ["5 "], ["0x5"], ["5_0"], ["\u0665"], ["5, 5"], ["1" * 19]]
)
def test_a_length_that_is_no_number(values):
    """A Content-Length that is not a number of bytes is refused."""
    with pytest.raises(AnswerError, match=r"its Content-Length is |its header Content-Length has the value"):
        read_start("200 OK", [("Content-Length", value) for value in values])


@pytest.mark.parametrize("value", [" a b", "a b\t", "\t a b \t"])
def test_blanks_around_a_value(value):
    """Blanks around a header's value are not part of it, and are not sent."""
    assert read_start("200 OK", [("X-A", value)]).headers == [("X-A", "a b")]


@pytest.mark.parametrize("names", [("Content-Length", "Content-Length"), ("Content-Length", "content-length")])
@pytest.mark.parametrize("values", [("5", "5"), ("5", "6")])
def test_two_lengths(names, values):
    """A second Content-Length is refused, even an equal one."""
    with pytest.raises(AnswerError, match=f"its Content-Length is '5' and '{values[1]}'"):
        read_start("200 OK", list(zip(names, values, strict=True)))


@pytest.mark.parametrize(
    "name",
    [
        "Transfer-Encoding",
        "transfer-encoding",
        "TE",
        "Trailer",
        "Trailers",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
    ],
)
def test_a_header_of_the_connection(name):
    """A hop-by-hop header is refused by its name."""
    with pytest.raises(AnswerError, match=f"its header {name} is hop-by-hop"):
        read_start("200 OK", [(name, "chunked")])


@pytest.mark.parametrize(("value", "closes"), [("close", True), ("Close ", True), ("keep-alive", False), ("Keep-Alive", False)])
def test_the_connection_s_end(value, closes):
    """Applications may ask to close the connection or to keep it open; the server writes the header itself."""
    assert is_hop_by_hop("Connection")
    assert read_start("200 OK", [("Connection", value), TEXT]) == Start([TEXT], closes)


@pytest.mark.parametrize("value", ["upgrade", "close, X-Secret", "X-Secret", ""])
def test_other_options_of_the_connection(value):
    """Other `Connection` options, which would remove headers at the next hop or change the protocol, are refused."""
    with pytest.raises(AnswerError, match="its header Connection is"):
        read_start("200 OK", [("Connection", value)])


def test_what_is_shown_has_a_bound():
    """An error shows only the beginning of a long text."""
    with pytest.raises(AnswerError) as caught:
        read_start("200 OK", [("X", "\n" * 10**6)])
    assert len(str(caught.value)) < 300


def test_the_length_of_an_answer():
    """An answer must have exactly as many bytes as its Content-Length."""
    check_length(5, 5)
    for given in (0, 4, 6):
        with pytest.raises(AnswerError, match=f"it returned {given} bytes, but its Content-Length says 5"):
            check_length(5, given)

"""The access log."""

import contextlib
import io
import json
import re
import time
from pathlib import Path

import pytest

import gjrpc
from gjrpc.http.access_log import FORMATS, AccessLog, Answered, common_time
from gjrpc.http.messages import Head
from gjrpc.http.peer import host_of

NOW = 1577934245.5
PEER = ("192.0.2.1", 5000)


class Flushed(io.StringIO):
    """A text file that remembers its contents at the last flush."""

    flushed = ""

    def flush(self):
        self.flushed = self.getvalue()


def written(style, head, address=PEER, caller=None, method=None):
    """Return what the log has flushed after one answer."""
    stream = Flushed()
    AccessLog(style, stream, lambda: NOW).write(Answered(address, head, 200, 17, 0.0012345678, caller, method))
    return stream.flushed


@pytest.mark.parametrize(
    ("target", "version", "line"),
    [
        ("/add?a=1", (1, 1), '"GET /add?a=1 HTTP/1.1"'),
        ("/ping", (1, 0), '"GET /ping HTTP/1.0"'),
        ('/a"b\\', (1, 1), r'"GET /a\"b\\ HTTP/1.1"'),
    ],
)
def test_the_common_format(target, version, line):
    """The common format is Apache's line with the seconds added, and no target can end its own quotation marks."""
    text = written("common", Head("GET", target, version=version))
    assert text == f"192.0.2.1 - - [02/Jan/2020:03:04:05 +0000] {line} 200 17 0.001235 -\n"


@pytest.mark.parametrize("style", FORMATS)
def test_a_caller_cannot_forge_a_line(style):
    """A caller's name with line ends, escapes or bidirectional controls gives one printable line; JSON keeps the name exactly."""
    evil = 'a"b\\ \n\r\x1b[2J\x7f\x85\u2028\u202e'
    text = written(style, Head("GET", "/"), caller=evil, method=evil)
    assert text.endswith("\n")
    assert text[:-1].isprintable()
    if style == "json":
        assert json.loads(text)["caller"] == json.loads(text)["method"] == evil


def test_a_month_has_the_name_of_the_format():
    """Month names are English, and no time in the package is written with names of the application's locale."""
    names = [common_time(time.struct_time((2026, month, 5, 6, 7, 8, 0, 0, 0))) for month in range(1, 13)]
    assert names[0] == "05/Jan/2026:06:07:08 +0000"
    assert " ".join(name[3:6] for name in names) == "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    for source in Path(gjrpc.__file__).parent.rglob("*.py"):
        assert not re.search(r"strftime\(.*%[-_0^#E]?[aAbBhcxXpr]", source.read_text(encoding="utf-8")), source


def test_the_json_format():
    """The JSON format is one object on one line."""
    text = written("json", Head("GET", '/a"\\ä'))
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "time": "2020-01-02T03:04:05Z",
        "peer": "192.0.2.1",
        "caller": None,
        "verb": "GET",
        "target": '/a"\\ä',
        "status": 200,
        "size": 17,
        "seconds": 0.001235,
        "method": None,
    }


@pytest.mark.parametrize(
    ("caller", "field"), [("alice", "alice"), ("a@b.example", "a@b.example"), ('x" y\n', "x%22%20y%0A"), ("Zoë", "Zo%C3%AB")]
)
def test_the_caller_has_its_field(caller, field):
    """The caller's name is the third field and can end neither the field nor the line; JSON keeps it exactly."""
    assert written("common", Head("GET", "/"), caller=caller).split(" ")[2] == field
    assert json.loads(written("json", Head("GET", "/"), caller=caller))["caller"] == caller


@pytest.mark.parametrize("style", FORMATS)
def test_a_peer_on_a_unix_socket_has_a_name(style):
    """A peer without an address is called unix in each format."""
    assert "unix" in written(style, Head("GET", "/"), address="")


@pytest.mark.parametrize(
    ("address", "name"), [(PEER, "192.0.2.1"), (("::1", 5, 0, 0), "::1"), ("", "unix"), (b"\0x", "unix"), (None, "unix")]
)
def test_a_peer_is_named_by_its_host(address, name):
    """The name of a socket address is its host, or unix if it is not an internet address."""
    assert host_of(address) == name


def test_lines_may_go_out_together():
    """If lines may wait a moment, the first one schedules a flush, which writes all lines that were added by then."""
    stream, asked = Flushed(), []
    log = AccessLog("common", stream, lambda: NOW, later=asked.append)
    for _ in range(3):
        log.write(Answered(PEER, Head("GET", "/"), 200, 17, 0.001))
    assert (len(asked), stream.flushed) == (1, "")
    asked.pop()()
    assert stream.flushed.count("\n") == 3
    log.write(Answered(PEER, Head("GET", "/"), 200, 17, 0.001))
    assert len(asked) == 1


def test_a_log_that_cannot_be_written(caplog):
    """If the lines can't be written, a warning says why, and nothing is raised."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        log = AccessLog("common", full)
        log.write(Answered(("192.0.2.1", 1), Head("GET", "/"), 200, 0, 0.1))
        assert "can't write the access log: [Errno 28]" in caplog.text
        with contextlib.suppress(OSError):
            full.close()


def test_a_clock_that_is_set_back():
    """The time of a line is the clock's, also after the clock was set back."""
    stream, times = Flushed(), iter([NOW, NOW - 3600])
    log = AccessLog("common", stream, lambda: next(times))
    for _ in range(2):
        log.write(Answered(("192.0.2.1", 1), Head("GET", "/"), 200, 0, 0.1))
    first, second = re.findall(r":(\d\d):\d\d:\d\d ", stream.flushed)
    assert int(second) == (int(first) - 1) % 24

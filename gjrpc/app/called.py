"""The names of the methods that a request calls, for the access log.

Owns a second, shallow reading of a body that keeps the names and skips everything else. Without an access log it never runs. It
knows no method and no registry.
"""

import msgspec

from gjrpc.app.native import read_target
from gjrpc.errors import CallError
from gjrpc.http.messages import Request
from gjrpc.texts import excerpt

_CALLS = frozenset({"GET", "HEAD", "POST"})
_SHOWN = 3  # names of a batch that are listed; the rest are counted

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def called(request: Request) -> str | None:
    """Return the name of the method that a request calls, or a batch's names separated by commas; None if there is none."""
    head = request.head
    if head.verb not in _CALLS or head.target.startswith("/-/"):
        return None
    try:
        return _name(request.body) if head.target == "/" else excerpt(read_target(head.target).name)
    except (CallError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # it is no call, and the response says why
        return None


def _name(body: bytes) -> str | None:
    if not body.lstrip().startswith(b"["):
        return _member(body)
    entries = _entries(body)
    names = [_entry(entry) or "-" for entry in entries[:_SHOWN]]
    more = len(entries) - len(names)
    return ",".join([*names, f"+{more}"] if more else names) or None


def _entry(entry: msgspec.Raw) -> str | None:
    try:
        return _member(bytes(entry))
    except msgspec.DecodeError:  # this entry is no call, and its response says why
        return None


def _member(text: bytes) -> str | None:
    members = _members(text)
    if "jsonrpc" in members:
        return excerpt(_text(members["method"])) if "method" in members else None
    return excerpt(next(iter(members))) if len(members) == 1 else None

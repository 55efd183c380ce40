"""Makes text from strangers safe to show.

Owns the escaping of characters that a terminal, a log or a parser would interpret, and how much of a text an error or a log line
repeats, so that neither grows with what a stranger sent. It does not know what is shown where.
"""

import json


def printable(words: str) -> str:
    """Return text on one line, with an escape for each character that a terminal or a parser would interpret."""
    if words.isprintable():
        return words
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)


def printable_json(text: str) -> str:
    """Return JSON on one line, with a JSON escape for each such character."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable_lines(words: str) -> str:
    """Return lines with such characters escaped, and tabs expanded to spaces."""
    return "\n".join(map(printable, words.expandtabs().splitlines()))


MOST = 100
"""Characters of a text that are shown."""


def excerpt(text: str, most: int = MOST) -> str:
    """Return a text, or its beginning and an ellipsis if it is longer than `most` characters."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(text: str, most: int = MOST) -> str:
    """Return a text in quotation marks, with control characters escaped as in Python; a long one is cut."""
    return repr(excerpt(text, most))

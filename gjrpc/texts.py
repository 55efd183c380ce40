"""Text that strangers wrote, fit to be shown.

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
    """Return JSON on one line, with such characters as JSON escapes."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable_lines(words: str) -> str:
    """Escape each line; tabs become blanks."""
    return "\n".join(map(printable, words.expandtabs().splitlines()))


MOST = 100
"""How many characters of a text are shown."""


def excerpt(text: str, most: int = MOST) -> str:
    """Return a text; if it is longer, its beginning and an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(text: str, most: int = MOST) -> str:
    """A text between quotation marks and with its control characters escaped, as Python writes it; a long one is cut."""
    return repr(excerpt(text, most))

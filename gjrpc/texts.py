"""Text that strangers wrote, fit to be shown.

Owns the escaping of characters that a terminal, a log or a parser would interpret. It does not know what is shown where.
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

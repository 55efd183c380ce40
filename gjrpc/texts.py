"""Text that strangers wrote, fit to be shown.

Owns what becomes of characters that a terminal, a log or a parser would take as its own. It knows not what is shown where.
"""

import json


def printable(words: str) -> str:
    """Words on one line, without what a terminal or a parser would take as its own: each such character as its escape."""
    if words.isprintable():
        return words
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)


def printable_json(text: str) -> str:
    """JSON on one line, in which such characters become JSON's own escapes."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def printable_lines(words: str) -> str:
    """The same, line by line; tabs become blanks."""
    return "\n".join(map(printable, words.expandtabs().splitlines()))

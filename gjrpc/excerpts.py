"""How much of a stranger's text is shown in a sentence, to its sender, to others or in the log.

Owns the one limit, so that no answer or log line grows with what a stranger sent.
"""

MOST = 100
"""How many characters of a text are shown."""


def excerpt(text: str, most: int = MOST) -> str:
    """Return a text; if it is longer, its beginning and an ellipsis."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(text: str, most: int = MOST) -> str:
    """A text between quotation marks and with its control characters escaped, as Python writes it; a long one is cut."""
    return repr(excerpt(text, most))

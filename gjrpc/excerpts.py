"""How much of a stranger's text is shown in a sentence, to its sender, to others or in the log.

Owns the one length, so that an answer or a line of the log is never as long as what somebody sent.
"""

MOST = 100
"""Characters of a text that are shown."""


def excerpt(text: str, most: int = MOST) -> str:
    """A text, or its beginning and an ellipsis where it is longer."""
    return text if len(text) <= most else text[:most] + "…"


def quoted(text: str, most: int = MOST) -> str:
    """A text between quotation marks and with its control characters escaped, as Python writes it; a long one is cut."""
    return repr(excerpt(text, most))

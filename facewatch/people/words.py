"""Names and labels as they are kept."""

import unicodedata

from facewatch.errors import UnusableValue

MOST_CHARACTERS = 200
"""An index takes no more than 2,700 bytes."""


def composed(text: str) -> str:
    """*text* as names and labels are compared: NFC."""
    return unicodedata.normalize("NFC", text)


def as_kept(text: str, what: str) -> str:
    """*text* composed (NFC), without space around it; *what* says what it is, for the error.

    What looks the same is the same: a name from another system must not be another person.

    >>> as_kept(" Zoe\\u0308 ", "a name")
    'Zoë'

    Raises:
        UnusableValue: it is blank, too long, or no text.
    """
    kept = composed(text).strip()
    try:
        kept.encode()
    except UnicodeEncodeError:
        raise UnusableValue(f"{what} must be UTF-8 text", "spell it in another way") from None
    if not kept or "\0" in kept:
        raise UnusableValue(f"{what} must not be blank", "give one")
    if len(kept) > MOST_CHARACTERS:
        raise UnusableValue(
            f"{what} must not be longer than {MOST_CHARACTERS} characters", "shorten it"
        )
    return kept

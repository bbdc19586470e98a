"""Page keys: where a list goes on, signed so that nobody but us can make or change one.

A key belongs to one question: another org or another filter does not take it.
docs/decisions/0042 says why it is signed, and with what.
"""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

from facewatch.errors import InvalidRequest

_PLACE, _WINDOW, _SIGNATURE = 16, 8, 18  # bytes; together no base64 with stray bits


def sealed(secret: bytes, question: str, last: UUID, since_ms: int) -> str:
    """The key to what comes after *last*.

    *secret* is the org's, *question* all that was asked for but the page, and *since_ms* where
    the window of the first page began: it does not move while somebody turns pages.

    >>> key = sealed(b"secret", "everything", UUID(int=7), 1)
    >>> opened(b"secret", "everything", key)
    (UUID('00000000-0000-0000-0000-000000000007'), 1)
    """
    place = last.bytes + since_ms.to_bytes(_WINDOW, "big")
    return base64.urlsafe_b64encode(place + _signature(secret, question, place)).decode()


def opened(secret: bytes, question: str, key: str) -> tuple[UUID, int]:
    """What *key* was sealed with.

    Raises:
        InvalidRequest: it is none of ours, or was given out for another question.
    """
    try:
        body = base64.b64decode(key.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        body = b""
    place, signature = body[: _PLACE + _WINDOW], body[_PLACE + _WINDOW :]
    if not hmac.compare_digest(signature, _signature(secret, question, place)):
        raise InvalidRequest(
            "lastEvaluatedKey is not the key of a page of this list",
            "send it as it came, with the same searchFilter, or leave it out to begin again",
        )
    return UUID(bytes=place[:_PLACE]), int.from_bytes(place[_PLACE:], "big")


def _signature(secret: bytes, question: str, place: bytes) -> bytes:
    message = hashlib.sha256(question.encode()).digest() + place
    return hmac.digest(secret, message, "sha256")[:_SIGNATURE]

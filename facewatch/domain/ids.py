"""Ids: UUIDv7 inside, one UUID in two spellings at the edge.

Rhombus spells a UUID as base64url without padding (22 characters, "RUUID"), Gumnut as a prefix
and shortuuid (base57, 22 characters).
"""

import base64
import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import NewType
from uuid import UUID

OrgId = NewType("OrgId", UUID)
LocationId = NewType("LocationId", UUID)
CameraId = NewType("CameraId", UUID)
PersonId = NewType("PersonId", UUID)
FaceId = NewType("FaceId", UUID)
AssetId = NewType("AssetId", UUID)
EventId = NewType("EventId", UUID)
KeyId = NewType("KeyId", UUID)
RegionId = NewType("RegionId", UUID)

_RUUID = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
"""22 characters are 132 bits: the last four are 0."""
_BASE57 = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _BASE57 for low in _BASE57)


_FIXED = 0b1111 << 76 | 0b11 << 62
_VERSION_7 = 0b0111 << 76 | 0b10 << 62


def _uuid7(at: datetime, entropy: bytes) -> UUID:
    """A UUIDv7 (RFC 9562) of *at*, to the millisecond, and ten bytes of entropy."""
    milliseconds = int(at.timestamp() * 1000)
    bits = milliseconds << 80 | int.from_bytes(entropy[:10], "big")
    return UUID(int=bits & ~_FIXED | _VERSION_7)


def new_id(at: datetime | None = None) -> UUID:
    """A fresh UUIDv7, dated now or *at*."""
    return _uuid7(at or datetime.now(UTC), secrets.token_bytes(10))


def derived_id(at: datetime, *parts: object) -> UUID:
    """The UUIDv7 that *at* and *parts* always give: a replay makes the same ids again."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return _uuid7(at, digest)


def first_id(at: datetime) -> UUID:
    """The smallest UUIDv7 of the millisecond of *at*: ids of a window lie between two of these.

    >>> first_id(datetime(2022, 1, 1, tzinfo=UTC)) <= new_id(datetime(2022, 1, 1, tzinfo=UTC))
    True
    """
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=max(milliseconds, 0) << 80)


def to_ruuid(value: UUID) -> str:
    """Rhombus' spelling.

    >>> to_ruuid(UUID("e37ab833-9299-4859-bd30-e9b9b8916dc1"))
    '43q4M5KZSFm9MOm5uJFtwQ'
    """
    return base64.urlsafe_b64encode(value.bytes)[:22].decode()


def from_ruuid(text: str) -> UUID:
    """The UUID that *text* spells; only its canonical spelling is taken.

    Raises:
        ValueError: not 22 characters of base64url, or its last character carries stray bits.
    """
    if not _RUUID.fullmatch(text):
        raise ValueError("not the canonical base64url of a UUID, 22 characters")
    return UUID(bytes=base64.urlsafe_b64decode(text + "=="))


def to_prefixed(prefix: str, value: UUID) -> str:
    """Gumnut's spelling, such as ``face_`` and 22 characters of shortuuid's base57.

    >>> to_prefixed("face", UUID(int=0))
    'face_2222222222222222222222'
    """
    pairs, number = [], value.int
    for _ in range(11):
        number, pair = divmod(number, 57 * 57)
        pairs.append(_PAIRS[pair])
    return f"{prefix}_{''.join(reversed(pairs))}"


def from_prefixed(prefix: str, text: str) -> UUID:
    """The UUID that *text* spells with *prefix*.

    Raises:
        ValueError: another prefix, or not 22 characters of base57 below 2^128.
    """
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 22 or set(digits) - set(_BASE57):
        raise ValueError(f"not an id of the form {prefix}_...")
    number = 0
    for digit in digits:
        number = number * 57 + _BASE57.index(digit)
    if number >> 128:
        raise ValueError(f"not an id of the form {prefix}_...")
    return UUID(int=number)

"""Camera addresses without their passwords."""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

from facewatch.errors import InvalidRequest

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)\S*@")
_IN_WORDS = re.compile(r"\b(?P<key>pass(?:word|wd)?|pwd)=[^&\s'\"/]*", re.IGNORECASE)
_HOST = re.compile(r"[^:\[\]]*(:\d*)?|\[[0-9A-Fa-f:.]+\](:\d*)?")


def redact(text: str) -> str:
    """*text* with the user and password of every URL in it replaced, wherever a URL has them.

    >>> redact("rtsp://admin:s3cret@10.0.0.7/main failed")
    'rtsp://***@10.0.0.7/main failed'
    >>> redact("rtsp://10.0.0.7/user=admin&password=s3cret&channel=1")
    'rtsp://10.0.0.7/user=admin&password=***&channel=1'
    """
    return _IN_WORDS.sub(r"\g<key>=***", _USERINFO.sub(r"\g<scheme>***@", text))


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """*url* without its user and password, and the two, percent-decoded.

    >>> split_credentials("rtsp://admin:a%40b@cam/1")
    ('rtsp://cam/1', ('admin', 'a@b'))

    Raises:
        InvalidRequest: the password holds what ends the host's part of a URL, and would be
            taken for a path.
    """
    if "://" not in url:
        return url, None
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unreadable(url) from None
    if "@" not in parts.netloc:
        if "@" in url and not _HOST.fullmatch(parts.netloc):
            raise _unreadable(url)
        return url, None
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def rtsp_address(url: str) -> tuple[str, tuple[str, str] | None]:
    """`split_credentials` of an address that somebody else's words may make us connect to.

    >>> rtsp_address("rtsps://admin:x@10.0.0.7/main")
    ('rtsps://10.0.0.7/main', ('admin', 'x'))

    Raises:
        InvalidRequest: it is not rtsp or rtsps, names no host, is redacted, or holds characters
            that could be read as more than an address.
    """
    if "***" in url:
        raise InvalidRequest("the password of this address is redacted", "send the whole address")
    if url.partition("://")[0].lower() not in ("rtsp", "rtsps"):
        raise InvalidRequest("this is no camera's address", "give it as rtsp:// or rtsps://")
    address, credentials = split_credentials(url)
    if any(not it.isprintable() or it == " " for it in url) or not all(
        it.isprintable() for it in credentials or ()
    ):
        raise _unreadable(url)
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except ValueError:
        raise InvalidRequest(
            f"the address {redact(url)!r} names no host, or no port from 1 to 65535",
            "give it as rtsp://user:password@host:554/path",
        ) from None
    return address, credentials


def _unreadable(url: str) -> InvalidRequest:
    return InvalidRequest(
        f"the address {redact(url)!r} cannot be read",
        "in user and password write %2F for /, %3F for ?, %23 for #, %5B for [ and %5D for ]",
    )

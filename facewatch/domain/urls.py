"""Camera addresses without their passwords."""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s]*@")


def redact(text: str) -> str:
    """*text* with the user and password of every URL in it replaced.

    >>> redact("rtsp://admin:s3cret@10.0.0.7/main failed")
    'rtsp://***@10.0.0.7/main failed'
    """
    return _USERINFO.sub(r"\g<scheme>***@", text)


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """*url* without its user and password, and the two, percent-decoded.

    >>> split_credentials("rtsp://admin:a%40b@cam/1")
    ('rtsp://cam/1', ('admin', 'a@b'))
    """
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url, None
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))

"""Which request a log line is about."""

import logging
import re
import secrets
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

HEADER = "X-Request-Id"

_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_current: ContextVar[str] = ContextVar("request", default="-")


class _Traced(logging.LoggerAdapter[logging.Logger]):
    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        return f"[{_current.get()}] {msg}", kwargs


log = _Traced(logging.getLogger("facewatch.api"))
"""The API's log; each line begins with the id of its request."""


def _kept_from_logs(record: logging.LogRecord) -> bool:
    """What is no HTTP is told in a line; its error quotes what was sent, keys among it."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
        record.msg = "%s sent what is no HTTP"
        record.levelno = min(record.levelno, logging.INFO)
        record.levelname = logging.getLevelName(record.levelno)
    return True


server_log = logging.getLogger("facewatch.api.http")
"""For the server below the API."""
server_log.addFilter(_kept_from_logs)


def current() -> str:
    """The id of the request under way."""
    return _current.get()


def begin(request: web.Request) -> str:
    """The id of *request*, the caller's own where it is a plain word; lines logged on bear it."""
    theirs = request.headers.get(HEADER, "")
    name = theirs if _ACCEPTABLE.fullmatch(theirs) else secrets.token_hex(8)
    _current.set(name)
    return name

"""The access log: a line for each request."""

import asyncio
import logging

from aiohttp import web

from facewatch.api import trace

_GATHER_S = 0.05
_MOST = 1_000

log = logging.getLogger("facewatch.api")


class AccessLog:
    """Lines that are written together, at most 50 ms late.

    A line on its own costs four times as much. At 1,000 that wait they are written at once.
    Event loop only.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[object, ...]] = []

    def note(self, request: web.Request, status: int, took_s: float, key: object) -> None:
        """*request*, which is under way, was answered."""
        if not log.isEnabledFor(logging.INFO):
            return
        path = request.rel_url.raw_path
        self._waiting.append(
            (trace.current(), request.remote, request.method, path, status, took_s * 1000, key)
        )
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(_GATHER_S, self.write)
        elif len(self._waiting) >= _MOST:
            self.write()

    def write(self) -> None:
        """What waits is written now."""
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            log.info("[%s] %s %s %s %d %.1f ms key %s", *line)

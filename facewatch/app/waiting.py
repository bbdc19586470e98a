"""Waiting for a database that does not answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from facewatch.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_AGAIN_S = 2.0


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until the database answers: nobody rings again for what was missed in a bad moment."""
    said = False
    while True:
        try:
            return await ask()
        except DatabaseUnavailable as trouble:
            if not said:
                log.warning("what changed is read later: %s", trouble)
            said = True
            await asyncio.sleep(_AGAIN_S)

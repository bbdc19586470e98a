"""A look at a camera that somebody asks for: few at once, and soon over."""

import asyncio
from collections.abc import Awaitable, Callable

from facewatch.domain.cameras import Camera
from facewatch.errors import Busy, CameraStalled
from facewatch.settings import Settings
from facewatch.stream.sources import Probe, probe

_AT_ONCE = 2
_LISTEN_S = 3.0
_PATIENCE_S = 25.0


def looking(settings: Settings) -> Callable[[Camera], Awaitable[Probe]]:
    """Watches a camera for a second or two in a thread.

    Whoever comes while two look is turned away (Busy). A look that takes longer than 25 s is
    CameraStalled; its thread keeps its place until it ends.
    """
    under_way: set[asyncio.Task[Probe]] = set()

    def ended(task: asyncio.Task[Probe]) -> None:
        under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be there any more to take it

    async def look(camera: Camera) -> Probe:
        if len(under_way) >= _AT_ONCE:
            raise Busy(f"{_AT_ONCE} cameras are being looked at already", "try again in a moment")
        task = asyncio.create_task(
            asyncio.to_thread(
                probe,
                camera,
                open_timeout_s=min(settings.cameras.open_timeout_s, 10.0),
                read_timeout_s=min(settings.cameras.read_timeout_s, 5.0),
                listen_s=_LISTEN_S,
            )
        )
        under_way.add(task)
        task.add_done_callback(ended)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await asyncio.shield(task)
        except TimeoutError:
            raise CameraStalled(f"{camera!r}: no end within {_PATIENCE_S:g} s") from None

    return look

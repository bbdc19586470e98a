"""The same stages over a file: every sampled frame counts, as fast as it goes."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from facewatch.flow.channel import Channel
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.visit import Visit
from facewatch.ports.streams import Frame, Source

_BLOCK = 8
"""Frames read ahead while the engine looks at the block before: decoded, not converted."""


async def ingest(
    source: Source,
    recogniser: Recogniser,
    engine_thread: Executor,
    visits: Channel[Visit],
    seen: Callable[[Frame], None],
    at_once: int = _BLOCK,
) -> None:
    """Run *source* to its end, then close its visits; *seen* is told of each frame.

    The engine looks at *at_once* frames in one go; others have their turn between.

    Cancelled, it stops reading; what was recorded stays.

    Raises:
        CameraTrouble: the source cannot be read.
    """
    loop = asyncio.get_running_loop()
    stop = threading.Event()
    frames = source.frames(stop)

    def read() -> list[Frame]:
        return list(itertools.islice(frames, at_once))

    def look(block: Sequence[Frame]) -> list[Visit]:
        return [visit for frame in block for visit in recogniser.see([frame])]

    with ThreadPoolExecutor(1, "file reader") as reader:
        try:
            ahead = loop.run_in_executor(reader, read)
            while block := await ahead:
                ahead = loop.run_in_executor(reader, read)
                for visit in await loop.run_in_executor(engine_thread, look, block):
                    await visits.put(visit)
                for frame in block:
                    seen(frame)
        finally:
            stop.set()
    for visit in await loop.run_in_executor(engine_thread, recogniser.close_all):
        await visits.put(visit)

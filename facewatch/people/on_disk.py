"""An object that may be larger than memory, as a file for as long as somebody reads it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from facewatch.ports.keeping import Blobs

_PART_BYTES = 4 << 20


@asynccontextmanager
async def on_disk(blobs: Blobs, key: str, folder: Path | None = None) -> AsyncIterator[Path]:
    """A copy in *folder*, or where temporary files lie; gone when the block ends.

    Raises:
        NotFound: no object has this key.
        ObjectStoreUnavailable: it does not answer or refuses us.
    """
    with NamedTemporaryFile(dir=folder, prefix="facewatch-") as file:
        place = 0
        while part := await blobs.part(key, place, _PART_BYTES):
            await asyncio.to_thread(file.write, part)
            place += len(part)
        await asyncio.to_thread(file.flush)
        yield Path(file.name)

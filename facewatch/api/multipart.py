"""Files out of ``multipart/form-data``, one after the other, each bounded while it is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar
from urllib.parse import unquote

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from facewatch.errors import InvalidRequest
from facewatch.people.inbox import LARGEST_BYTES, Sent

Read = TypeVar("Read")

_MOST_PARTS = 1_000
_MOST_BYTES = 600 << 20
_CHUNK_BYTES = 64 << 10
_HANDFUL_FILES = 32
_HANDFUL_BYTES = 8 << 20
_SILENCE_S = 30.0
_LONGEST_S = 600.0
_BROKEN = (ValueError, AssertionError, HttpProcessingError, web.RequestPayloadError, OSError)


async def files_of(request: web.Request) -> AsyncIterator[Sent]:
    """The files in *request*, whatever their parts are called; fields are passed over.

    Of one that is too large nothing is kept. At most 600 MiB and a thousand parts are read, and
    somebody who sends nothing for 30 s, or is not done after ten minutes, is not waited for.

    Raises:
        InvalidRequest: it is no multipart, breaks off, or holds no file.
        web.HTTPRequestEntityTooLarge: it is larger than all files may be together.
    """
    if (request.content_length or 0) > _MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(_MOST_BYTES, request.content_length or 0)
    if request.content_type != "multipart/form-data":
        raise InvalidRequest("the body is no multipart/form-data", "send the photos as its parts")
    found = 0
    until = asyncio.get_running_loop().time() + _LONGEST_S
    try:
        reader = await request.multipart()
        for _ in range(_MOST_PARTS):
            part = await _in_time(reader.next(), until)
            if part is None:
                break
            if isinstance(part, MultipartReader):
                raise InvalidRequest("a part holds parts itself", "send each photo as a part")
            body = await _body(request, part, until)
            if part.filename is not None:
                found += 1
                yield Sent(shown(part.filename), body)
        else:
            raise InvalidRequest(f"there are over {_MOST_PARTS} parts", "send fewer")
    except _BROKEN as error:
        raise InvalidRequest("the multipart is broken or breaks off", "send it again") from error
    if not found:
        raise InvalidRequest(
            "there is no file in the multipart", "send each photo as a part with a file name"
        )


async def files_together(request: web.Request) -> AsyncIterator[list[Sent]]:
    """`files_of` in handfuls of at most 32 files or about 8 MiB."""
    files: list[Sent] = []
    size = 0
    async for file in files_of(request):
        files.append(file)
        size += len(file.body or b"")
        if len(files) == _HANDFUL_FILES or size >= _HANDFUL_BYTES:
            yield files
            files, size = [], 0
    if files:
        yield files


async def first_file(request: web.Request) -> Sent:
    """The first of `files_of`; the others are read past."""
    files = files_of(request)
    first = await anext(files)
    async for _ in files:
        pass
    return first


def shown(name: str) -> str:
    """A file name as text, without the folders and percents that some clients send.

    >>> shown("photos/Ann.jpg"), shown("Ann%20Lee.jpg")
    ('Ann.jpg', 'Ann Lee.jpg')
    """
    last = unquote(name).replace("\\", "/").rpartition("/")[2]
    return last.encode(errors="replace").decode().replace("\0", "?")


async def _body(request: web.Request, part: BodyPartReader, until: float) -> bytes | None:
    """What *part* holds; None where that is too much, which is read past."""
    body = bytearray()
    most = LARGEST_BYTES if part.filename is not None else 0
    too_large = False
    while chunk := await _in_time(part.read_chunk(_CHUNK_BYTES), until):
        if request.content.total_bytes > _MOST_BYTES:
            raise web.HTTPRequestEntityTooLarge(_MOST_BYTES, request.content.total_bytes)
        too_large = too_large or len(body) + len(chunk) > most
        if too_large:
            body.clear()
        else:
            body += chunk
    return None if too_large else bytes(body)


async def _in_time(reading: Awaitable[Read], until: float) -> Read:
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + _SILENCE_S)):
            return await reading
    except TimeoutError:
        raise InvalidRequest("the photos do not come, or too slowly", "send fewer") from None

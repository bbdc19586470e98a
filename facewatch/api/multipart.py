"""Files out of ``multipart/form-data``, one after the other, each bounded while it is read."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TypeVar
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
_MOST_FIELDS = 50
_FIELD_BYTES = 4 << 10
_FIELDS_BYTES = 1 << 20
_FILE_CHUNK_BYTES = 1 << 20
_LONGEST_NAME = 255
_LONGEST_FILE_S = 3600.0
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


async def _body(
    request: web.Request,
    part: BodyPartReader,
    until: float,
    most: int | None = None,
    whole: int = _MOST_BYTES,
) -> bytes | None:
    """What *part* holds; None where that is too much, which is read past."""
    body = bytearray()
    if most is None:
        most = LARGEST_BYTES if part.filename is not None else 0
    too_large = False
    while chunk := await _in_time(part.read_chunk(_CHUNK_BYTES), until):
        if request.content.total_bytes > whole:
            raise web.HTTPRequestEntityTooLarge(whole, request.content.total_bytes)
        too_large = too_large or len(body) + len(chunk) > most
        if too_large:
            body.clear()
        else:
            body += chunk
    return None if too_large else bytes(body)


@dataclass(frozen=True, slots=True)
class Streamed:
    """A form with one file, which lies on the disk while it is looked at.

    Attributes:
        fields: The form's others, by name; of two of one name the last.
        file: None where the form has none.
    """

    fields: Mapping[str, str]
    file: Path | None = None
    name: str = ""
    size_bytes: int = 0
    sha256: bytes = b""
    sha1: bytes = b""


@asynccontextmanager
async def streamed(
    request: web.Request, part_name: str, folder: Path, most_bytes: int
) -> AsyncIterator[Streamed]:
    """The form in *request* with the file of its part *part_name*, of any length up to that.

    The file is gone when the block ends. Any other file is read past.

    Raises:
        InvalidRequest: it is no multipart, breaks off, or a field is too long.
        web.HTTPRequestEntityTooLarge: it is larger than it may be.
    """
    if (request.content_length or 0) > most_bytes + _FIELDS_BYTES:
        raise web.HTTPRequestEntityTooLarge(most_bytes, request.content_length or 0)
    if request.content_type != "multipart/form-data":
        raise InvalidRequest("the body is no multipart/form-data", "send a form with the file")
    await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder, prefix="sent-") as file:
        form = Streamed({})
        until = asyncio.get_running_loop().time() + _LONGEST_FILE_S
        try:
            async for part in _parts(request, until):
                if part.filename is None:
                    text = await _text(request, part, until, most_bytes + _FIELDS_BYTES)
                    fields = {**form.fields, part.name or "": text}
                    form = replace(form, fields=fields)
                elif part.name == part_name and form.file is None:
                    got = await _saved(request, part, file.file, most_bytes, until)
                    form = replace(got, fields=form.fields, file=Path(file.name))
                else:
                    await _body(request, part, until, 0, most_bytes + _FIELDS_BYTES)
        except _BROKEN as error:
            raise InvalidRequest("the form is broken or breaks off", "send it again") from error
        yield form


async def _parts(request: web.Request, until: float) -> AsyncIterator[BodyPartReader]:
    reader = await request.multipart()
    for _ in range(_MOST_FIELDS):
        part = await _in_time(reader.next(), until)
        if part is None:
            return
        if isinstance(part, MultipartReader):
            raise InvalidRequest("a part holds parts itself", "send a plain form")
        yield part
    raise InvalidRequest(f"there are over {_MOST_FIELDS} parts", "send fewer")


async def _text(request: web.Request, part: BodyPartReader, until: float, whole: int) -> str:
    body = await _body(request, part, until, _FIELD_BYTES, whole)
    if body is None:
        raise InvalidRequest(f"a field is longer than {_FIELD_BYTES} bytes", "shorten it")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("a field is no UTF-8", "spell it in another way") from None


async def _saved(
    request: web.Request,
    part: BodyPartReader,
    file: IO[bytes],
    most_bytes: int,
    until: float,
) -> Streamed:
    sha256, sha1, size = hashlib.sha256(), hashlib.sha1(usedforsecurity=False), 0

    def write(chunk: bytes) -> None:
        for digest in (sha256, sha1):
            digest.update(chunk)
        file.write(chunk)

    while chunk := await _in_time(part.read_chunk(_FILE_CHUNK_BYTES), until):
        size += len(chunk)
        if size > most_bytes:
            raise web.HTTPRequestEntityTooLarge(most_bytes, size)
        await asyncio.to_thread(write, bytes(chunk))
    await asyncio.to_thread(file.flush)
    name = shown(part.filename or "")[:_LONGEST_NAME]
    return Streamed({}, None, name, size, sha256.digest(), sha1.digest())


async def _in_time(reading: Awaitable[Read], until: float) -> Read:
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + _SILENCE_S)):
            return await reading
    except TimeoutError:
        raise InvalidRequest("the photos do not come, or too slowly", "send fewer") from None

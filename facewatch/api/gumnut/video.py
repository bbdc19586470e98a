"""A video as browsers ask for it: in parts, from anywhere, never whole in memory."""

from collections.abc import AsyncIterator

from aiohttp import web

from facewatch.domain.library import Asset
from facewatch.errors import NotFound
from facewatch.ports.keeping import Blobs

_PART_BYTES = 1 << 20


async def video(request: web.Request, blobs: Blobs, asset: Asset) -> web.Response:
    """The clip, or the range of bytes that *request* asks for.

    Raises:
        NotFound: its pixels were erased.
        web.HTTPRequestRangeNotSatisfiable: it has no such bytes.
    """
    first = await blobs.part(asset.key, 0, 1) if asset.key else b""
    if not first:
        raise NotFound("the pixels of this asset were erased")
    size, tag = asset.size_bytes, asset.sha256.hex()[:32]
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if any(theirs.value in (tag, "*") for theirs in request.if_none_match or ()):
        return web.Response(status=304, headers={**headers, "ETag": f'"{tag}"'})
    start, stop, is_part = _range(request, size)
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    response = web.Response(
        status=206 if is_part else 200,
        headers={**headers, "Content-Length": str(stop - start)},
        body=_parts(blobs, asset.key, start, stop),
        content_type=asset.mime,
    )
    response.etag = tag
    return response


def _range(request: web.Request, size: int) -> tuple[int, int, bool]:
    """From where to where, and whether that was asked for."""
    try:
        asked = request.http_range
    except ValueError:
        raise _unsatisfiable(size) from None
    if asked.start is None and asked.stop is None:
        return 0, size, False
    start, stop, _ = asked.indices(size)
    if start >= stop:
        raise _unsatisfiable(size)
    return start, stop, True


def _unsatisfiable(size: int) -> web.HTTPRequestRangeNotSatisfiable:
    return web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})


async def _parts(blobs: Blobs, key: str, start: int, stop: int) -> AsyncIterator[bytes]:
    while start < stop:
        part = await blobs.part(key, start, min(_PART_BYTES, stop - start))
        if not part:
            return
        start += len(part)
        yield part

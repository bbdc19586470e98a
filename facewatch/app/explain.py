"""The faces that a decision compared, as one picture."""

from facewatch.domain.events import Compared, Explained
from facewatch.domain.faces import Pixels
from facewatch.domain.ids import to_ruuid
from facewatch.errors import NotAPicture, NotFound
from facewatch.ports.keeping import Blobs
from facewatch.vision.compare import Tile, side_by_side
from facewatch.vision.pictures import JpegPngEncoder, decode


async def drawn(explained: Explained, blobs: Blobs) -> bytes:
    """A PNG: the visitor, then each candidate's deciding matchmaker, best first.

    Where pixels were erased, or are not there yet, the tile says so.

    Raises:
        ObjectStoreUnavailable: it does not answer or refuses us.
    """
    event = explained.event
    tiles = [
        Tile(
            await _face(blobs, explained.picture_key),
            (to_ruuid(event.id), f"quality {event.quality.overall:.2f}"),
        )
    ]
    for number, it in enumerate(explained.compared, 1):
        tiles.append(Tile(await _face(blobs, it.picture_key), (f"{number}", _score(it))))
    return JpegPngEncoder().png(side_by_side(tiles))


def _score(it: Compared) -> str:
    gone = " erased" if it.erased_at else ""
    return f"{it.candidate.similarity:.3f}, {it.candidate.confidence:.2f}{gone}"


async def _face(blobs: Blobs, key: str | None) -> Pixels | None:
    if key is None:
        return None
    try:
        return decode(await blobs.get(key), key).full()
    except (NotFound, NotAPicture):
        return None

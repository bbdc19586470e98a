"""A detector of either family, over pictures of any size."""

import time
from collections import defaultdict
from collections.abc import Sequence

from facewatch.domain.faces import Detection, Seen
from facewatch.ports.streams import Picture
from facewatch.vision.cards import Family
from facewatch.vision.detect import scrfd, yunet
from facewatch.vision.detect.canvas import Canvas, Sheets, detections, scene
from facewatch.vision.session import Session

_FAMILIES = {
    Family.YUNET: (yunet.decode, yunet.OVERLAP),
    Family.SCRFD: (scrfd.decode, scrfd.OVERLAP),
}


class Detector:
    """YuNet or an SCRFD. One thread at a time.

    Args:
        long_side: Pictures are scaled down to this, pixels; never up.
        threshold: Faces with a smaller score, 0..1, are none.
    """

    def __init__(self, session: Session, *, long_side: int, threshold: float) -> None:
        self._session = session
        self._long_side = long_side
        self._threshold = threshold
        self._sheets = Sheets()
        self._decode, self._overlap = _FAMILIES[session.card.family]

    @property
    def session(self) -> Session:
        return self._session

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """The faces of each picture, best first; pictures of equal canvas share a batch."""
        return [seen.faces for seen in self.watch(pictures)]

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        """As `detect`, with the scene of each picture."""
        canvases = [
            Canvas.of(picture.width, picture.height, self._long_side) for picture in pictures
        ]
        groups = defaultdict(list)
        for place, canvas in enumerate(canvases):
            groups[canvas.size].append(place)
        found: dict[int, Seen] = {}
        for (width, _), places in groups.items():
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            batch = self._sheets.painted(
                [pictures[n] for n in places], [canvases[n] for n in places]
            )
            wall_s = (time.perf_counter() - wall_s) / len(places)
            cpu_s = (time.thread_time() - cpu_s) / len(places)
            candidates = self._decode(self._session.run(batch), width, self._threshold)
            for item, place in enumerate(places):
                picture, canvas, sheet = pictures[place], canvases[place], batch[item]
                faces = detections(candidates, item, picture, canvas, sheet, self._overlap)
                found[place] = Seen(faces, scene(sheet, canvas), wall_s, cpu_s)
        return [found[place] for place in range(len(pictures))]

    def warm_up(self, width: int, height: int) -> None:
        """For pictures of this size: see `Session.warm_up`."""
        self._session.warm_up(*Canvas.of(width, height, self._long_side).size)

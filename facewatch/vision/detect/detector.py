"""A detector of either family, over pictures of any size."""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

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
        painters: Make the next batch ready while one runs; without, pictures are made ready and
            run in turns.
    """

    def __init__(
        self,
        session: Session,
        *,
        long_side: int,
        threshold: float,
        painters: Executor | None = None,
    ) -> None:
        self._session = session
        self._long_side = long_side
        self._threshold = threshold
        self._sheets = (Sheets(painters), Sheets(painters))  # one runs, one is painted
        self._painters = painters
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
            for part, batch, spent in self._painted(pictures, canvases, places):
                candidates = self._decode(self._session.run(batch), width, self._threshold)
                for item, place in enumerate(part):
                    picture, canvas, sheet = pictures[place], canvases[place], batch[item]
                    faces = detections(candidates, item, picture, canvas, sheet, self._overlap)
                    found[place] = Seen(faces, scene(sheet, canvas), *spent)
        return [found[place] for place in range(len(pictures))]

    def _painted(
        self, pictures: Sequence[Picture], canvases: Sequence[Canvas], places: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], NDArray[np.uint8], tuple[float, float]]]:
        """Which pictures, their canvases (good until the next but one), and what each cost.

        In seconds of this thread, by the clock and of the processor: waiting for painters too.
        """
        parts = self._parts(places)
        sheets = itertools.cycle(self._sheets)

        def begun(part: Sequence[int]) -> Callable[[], NDArray[np.uint8]]:
            return next(sheets).begun([pictures[n] for n in part], [canvases[n] for n in part])

        ahead = begun(parts[0])
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            batch = ahead()
            wall_s, cpu_s = time.perf_counter() - wall_s, time.thread_time() - cpu_s
            if after:
                ahead = begun(after)
            yield part, batch, (wall_s / len(part), cpu_s / len(part))

    def _parts(self, places: Sequence[int]) -> list[Sequence[int]]:
        """A batch each, so that the next can be painted while one runs; without painters one."""
        if self._painters is None:
            return [places]
        parts, start = [], 0
        for count, _ in self._session.buckets.plan(len(places)):
            parts.append(places[start : start + count])
            start += count
        return parts

    def warm_up(self, width: int, height: int) -> None:
        """For pictures of this size: see `Session.warm_up`."""
        self._session.warm_up(*Canvas.of(width, height, self._long_side).size)

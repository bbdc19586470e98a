"""A picture that knows how long it took to convert."""

from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.flow.stopwatch import Spent, Stopwatch
from facewatch.ports.streams import Picture


class TimedPicture:
    """*picture*, with what its conversions cost so far; implements `ports.streams.Picture`."""

    __slots__ = ("_picture", "spent")

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.spent = Spent()

    @property
    def width(self) -> int:
        return self._picture.width

    @property
    def height(self) -> int:
        return self._picture.height

    def fit(self, width: int, height: int) -> Pixels:
        watch = Stopwatch()
        pixels = self._picture.fit(width, height)
        self.spent += watch.lap()
        return pixels

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        return self._picture.cut(box)

    def full(self) -> Pixels:
        return self._picture.full()

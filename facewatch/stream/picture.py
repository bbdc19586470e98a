"""A decoded picture, converted only as far as somebody looks at it."""

import math
import threading
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from facewatch.domain.faces import Glance, Pixels
from facewatch.domain.geometry import Box
from facewatch.ports.streams import Halve

_PLANES: Final = {
    # how far each plane is subsampled across and down
    "yuv420p": ((1, 1), (2, 2), (2, 2)),
    "yuvj420p": ((1, 1), (2, 2), (2, 2)),
    "yuv422p": ((1, 1), (2, 1), (2, 1)),
    "yuvj422p": ((1, 1), (2, 1), (2, 1)),
}
"""Formats whose pixels swscale converts one by one, so that a piece can be taken first."""

_GLANCED: Final = {*_PLANES, "nv12", "gray"}
"""Formats whose first plane is a byte of brightness a pixel."""
_GLANCE_WIDTH: Final = 320

_UNSPECIFIED: Final = 2
"""AVCOL_SPC_UNSPECIFIED: the stream does not say which matrix its colours were made with."""

_HD_LINES: Final = 720
"""From this height on an unspecified matrix is BT.709, below BT.601, as in every player."""


class Converter:
    """The swscale contexts of one source, kept because making them costs more than a small picture.

    Any thread scales; one at a time does the rest.
    """

    def __init__(self) -> None:
        self._scaling = threading.Lock()
        self._scale = VideoReformatter()
        self._colour = VideoReformatter()
        self._convert = VideoReformatter()

    def scaled(self, frame: VideoFrame, width: int, height: int, halve: Halve | None) -> Pixels:
        """Scaled first, then turned to BGR: swscale has a quick path for each, none for both."""
        with self._scaling:
            if frame.format.name in _PLANES and width % 2 == height % 2 == 0:
                small = self._small(frame, width, height, halve)
                small.colorspace, small.color_range = frame.colorspace, frame.color_range
                return _bgr(self._colour, small, width, height, _matrix(frame))
            return _bgr(self._scale, frame, width, height, _matrix(frame))

    def _small(self, frame: VideoFrame, width: int, height: int, halve: Halve | None) -> VideoFrame:
        """Of the same format; *halve*, if it fits, takes half as long as swscale."""
        twice = (frame.width, frame.height) == (2 * width, 2 * height)
        if halve is None or not twice or frame.interlaced_frame:
            return self._scale.reformat(
                frame,
                width,
                height,
                frame.format.name,
                interpolation=Interpolation.BILINEAR,
                threads=1,
            )
        small = VideoFrame(width, height, frame.format.name)
        for source, target in zip(frame.planes, small.planes, strict=True):
            halve(
                _lines(source)[: source.height, : source.width],
                _lines(target)[: target.height, : target.width],
            )
        return small

    def whole(self, frame: VideoFrame) -> Pixels:
        return _bgr(self._convert, frame, frame.width, frame.height, _matrix(frame))

    def piece(self, frame: VideoFrame, left: int, top: int, right: int, bottom: int) -> Pixels:
        """The part between even edges, in the colours that the whole frame would have."""
        small = VideoFrame(right - left, bottom - top, frame.format.name)
        planes = zip(_PLANES[frame.format.name], frame.planes, small.planes, strict=True)
        for (across, down), source, target in planes:
            rows, columns = (
                slice(top // down, bottom // down),
                slice(left // across, right // across),
            )
            wanted = _lines(source)[rows, columns]
            _lines(target)[: wanted.shape[0], : wanted.shape[1]] = wanted
        small.colorspace, small.color_range = frame.colorspace, frame.color_range
        return _bgr(self._convert, small, small.width, small.height, _matrix(frame))


class DecodedPicture:
    """A frame of a camera or file, upright: a phone's rotation is undone.

    Implements `ports.streams.Picture`. Mirroring in a display matrix is not.
    """

    __slots__ = ("_converter", "_frame", "_turns")

    def __init__(self, frame: VideoFrame, converter: Converter) -> None:
        self._frame = frame
        self._converter = converter
        self._turns = round(frame.rotation / 90) % 4  # quarter turns, anticlockwise

    @property
    def width(self) -> int:
        return self._frame.height if self._turns % 2 else self._frame.width

    @property
    def height(self) -> int:
        return self._frame.width if self._turns % 2 else self._frame.height

    def fit(self, width: int, height: int, halve: Halve | None = None) -> Pixels:
        if self._turns % 2:
            width, height = height, width
        return self._upright(self._converter.scaled(self._frame, width, height, halve))

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        picture = Box(0, 0, self.width, self.height)
        wanted = self._turned(box.clipped(picture))
        left, top = 2 * math.floor(wanted.left / 2), 2 * math.floor(wanted.top / 2)
        right, bottom = 2 * math.ceil(wanted.right / 2), 2 * math.ceil(wanted.bottom / 2)
        right, bottom = min(right, self._frame.width), min(bottom, self._frame.height)
        if not wanted.area:
            return np.empty((0, 0, 3), np.uint8), (left, top)
        if self._can_be_cut:
            pixels = self._converter.piece(self._frame, left, top, right, bottom)
        else:
            pixels = self._converter.whole(self._frame)[top:bottom, left:right]
        return self._upright(pixels), self._corner(left, top, right, bottom)

    def full(self) -> Pixels:
        return self._upright(self._converter.whole(self._frame))

    def glance(self) -> Glance | None:
        frame = self._frame
        if frame.format.name not in _GLANCED:
            return None
        step = max(1, round(frame.width / _GLANCE_WIDTH))
        return _lines(frame.planes[0])[: frame.height : step, : frame.width : step]

    @property
    def _can_be_cut(self) -> bool:
        # Fields of an interlaced frame are converted one by one; odd sizes take another path
        # through swscale. Both are rare: convert the whole frame then.
        frame = self._frame
        return (
            frame.format.name in _PLANES
            and not frame.interlaced_frame
            and frame.width % 2 == frame.height % 2 == 0
        )

    def _upright(self, pixels: Pixels) -> Pixels:
        if not self._turns:
            return pixels
        return np.ascontiguousarray(np.rot90(pixels, self._turns))

    def _turned(self, box: Box) -> Box:
        """*box* of the upright picture in the pixels of the frame as it was coded."""
        width, height = self._frame.width, self._frame.height
        match self._turns:
            case 1:
                return Box(width - box.bottom, box.left, width - box.top, box.right)
            case 2:
                return Box(
                    width - box.right, height - box.bottom, width - box.left, height - box.top
                )
            case 3:
                return Box(box.top, height - box.right, box.bottom, height - box.left)
            case _:
                return box

    def _corner(self, left: int, top: int, right: int, bottom: int) -> tuple[int, int]:
        """Left and top in the upright picture of a rectangle in the coded frame."""
        width, height = self._frame.width, self._frame.height
        return [
            (left, top),
            (top, width - right),
            (width - right, height - bottom),
            (height - bottom, left),
        ][self._turns]


def _matrix(frame: VideoFrame) -> int:
    if frame.colorspace != _UNSPECIFIED:
        return frame.colorspace
    return Colorspace.ITU709 if frame.height >= _HD_LINES else Colorspace.ITU601


def _bgr(
    reformatter: VideoReformatter, frame: VideoFrame, width: int, height: int, matrix: int
) -> Pixels:
    picture = reformatter.reformat(
        frame,
        width,
        height,
        "bgr24",
        src_colorspace=matrix,
        interpolation=Interpolation.BILINEAR,
        threads=1,
    )
    pixels = _lines(picture.planes[0])[:height, : 3 * width]
    return np.ascontiguousarray(pixels).reshape(height, width, 3)


def _lines(plane: VideoPlane) -> NDArray[np.uint8]:
    """The plane's memory, a row per line with its padding; no copy."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload, no-any-return]  # PyAV's Buffer is one, but says so from Python 3.12 on

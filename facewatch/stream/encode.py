"""Pictures become a video file: the demo's material, and the tests'."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final, Literal

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from facewatch.domain.faces import Pixels

Codec = Literal["h264", "hevc"]

_ENCODERS: Final = {"h264": "libx264", "hevc": "libx265"}


def encode_video(
    path: Path,
    frames: Iterable[Pixels],
    *,
    fps: float,
    codec: Codec = "h264",
    gop: int = 25,
    b_frames: int = 0,
    crf: int = 23,
    rotation: int = 0,
) -> None:
    """Write *frames*, all of one even size, to *path*; its suffix chooses the container.

    The file appears when it is complete. BT.709, limited range, and said so.

    Args:
        gop: Frames from one key frame to the next.
        crf: Quality, 0 (lossless) to 51.
        rotation: Degrees by which a player turns the picture anticlockwise, as phones write it.
    """
    unfinished = path.with_name(f"{path.stem}.unfinished{path.suffix}")
    options = {"preset": "veryfast", "crf": str(crf), "g": str(gop), "bf": str(b_frames)}
    if codec == "hevc":
        options["x265-params"] = f"log-level=none:keyint={gop}:bframes={b_frames}:open-gop=0"
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("there are no frames to encode")
    with av.open(str(unfinished), "w") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(_ENCODERS[codec], rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        _describe(stream, first, rotation)
        for pixels in chain([first], pictures):
            container.mux(stream.encode(_yuv(pixels)))
        container.mux(stream.encode())
    unfinished.replace(path)


def _describe(stream: VideoStream, pixels: Pixels, rotation: int) -> None:
    stream.height, stream.width = pixels.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.colorspace, stream.color_range = Colorspace.ITU709, ColorRange.MPEG
    stream.color_primaries = stream.color_trc = 1  # BT.709
    if rotation:
        stream.set_display_rotation(rotation)


def _yuv(pixels: Pixels) -> VideoFrame:
    return VideoFrame.from_ndarray(pixels, format="bgr24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )

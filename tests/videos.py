"""Videos for the stream tests: pictures that tell which one they are, and containers gone wrong."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from facewatch.domain.faces import Pixels

BITS = 8


def counting_pictures(
    number: int, width: int = 320, height: int = 240, first: int = 0
) -> Iterator[Pixels]:
    """Pictures with their own number in binary: light and dark columns, lowest bit left.

    Fine noise lies over them, so that key pictures are as large as a camera's.
    """
    noise = np.random.default_rng(1).integers(0, 50, (height, width, 3), np.uint8)
    for index in range(first, first + number):
        bits = [(index >> bit) & 1 for bit in range(BITS)]
        row = np.repeat(np.array([180 if bit else 30 for bit in bits], np.uint8), width // BITS)
        yield row[None, :, None] + noise


def number_in(pixels: Pixels) -> int:
    """Which of the `counting_pictures` this is."""
    columns = np.array_split(pixels.mean(axis=(0, 2)), BITS)
    return sum(1 << bit for bit, column in enumerate(columns) if column.mean() > 130)


def shifted(
    source: Path, target: Path, by_s: float, *, created: str | None = None, **options: str
) -> Path:
    """*source* with every timestamp *by_s* later, and perhaps a creation time."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = old.streams.video[0]
        if created:
            new.metadata["creation_time"] = created
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is None or packet.pts is None or stream.time_base is None:
                continue
            ticks = round(by_s / stream.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, copy
            new.mux(packet)
    return target


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        samples = np.zeros((1, 48000), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def coded_as(
    path: Path,
    pictures: Iterator[Pixels],
    pixel_format: str,
    options: dict[str, str] | None = None,
    *,
    fps: int = 25,
    encoder: str = "libx264",
) -> Path:
    """Encoded in a format or with options that `encode_video` has no word for."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(fps), options=options or {})
        assert isinstance(stream, VideoStream)
        for index, pixels in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = pixel_format
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode())
    return path

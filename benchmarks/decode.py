"""What looking at fewer pictures than arrive costs in CPU, against decoding them all.

Streams are made here: a texture that moves under a sensor's noise, as H.264 with and without
pictures that no other refers to, and with the sub-stream that cameras have. Each pair is measured
in turns and in CPU time of this process, once the stream is known; of the rounds the median counts.

    .venv/bin/python benchmarks/decode.py [--quick] [--rounds N]

Prints a JSON line a case, then a table. Goals: 0.4 with B-pictures, 0.3 with a sub-stream.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from facewatch.cli.output import table
from facewatch.domain.faces import Pixels
from facewatch.domain.ids import CameraId, new_id
from facewatch.stream.files import FileSource
from facewatch.stream.held import HeldStream, Moment

_FPS = 25
_KNOWN_S = 6
_NONE = {"bf": "0"}
_FLAT = {"bf": "3", "b_strategy": "0", "b-pyramid": "none"}
_PYRAMID = {"bf": "3", "b_strategy": "0", "b-pyramid": "normal"}


@dataclass(frozen=True)
class Case:
    """One stream, looked at so often; *goal* is what part of decoding it all it may cost.

    With a sub-stream of size *sub* the main one is held, and of every *cut*-th look a face cut.
    """

    name: str
    size: tuple[int, int]
    pattern: dict[str, str]
    looks_per_s: float
    gop: int = 50
    sub: tuple[int, int] | None = None
    cut: int = 0
    goal: float | None = None


_SMALL = (640, 360)

CASES = [
    Case("720p, B-pictures, 1/5", (1280, 720), _FLAT, 5, goal=0.4),
    Case("720p, B-pyramid, 1/5", (1280, 720), _PYRAMID, 5),
    Case("720p, P only, 1/5", (1280, 720), _NONE, 5),
    Case("720p, P only, key pictures (0.5 a second)", (1280, 720), _NONE, 0.5),
    Case("1080p, P only, sub-stream 640 x 360, 1/5", (1920, 1080), _NONE, 5, sub=_SMALL, goal=0.3),
    Case("the same, a face cut from one look in 25", (1920, 1080), _NONE, 5, sub=_SMALL, cut=25),
    Case("the same, a face cut from every look", (1920, 1080), _NONE, 5, sub=_SMALL, cut=1),
    Case("720p, P only, sub-stream 640 x 360, 1/5", (1280, 720), _NONE, 5, sub=_SMALL),
]


def moving(size: tuple[int, int], frames: int) -> Iterator[Pixels]:
    """A textured wall, a part of which walks across it, under a little noise of the sensor."""
    width, height = size
    random = np.random.default_rng(7)
    coarse = random.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    wall = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    grain = random.integers(0, 6, (8, height, width, 1), np.uint8)
    who = wall[: height // 2, : width // 6] ^ 255
    for number in range(frames):
        picture = wall.copy()
        at = (number * width // 200) % (width - who.shape[1])
        picture[height // 3 : height // 3 + who.shape[0], at : at + who.shape[1]] = who
        yield np.maximum(picture, 6) - grain[number % len(grain)]


def encoded(folder: Path, size: tuple[int, int], pattern: dict[str, str], gop: int, s: int) -> Path:
    """A stream of so many seconds in *folder*, made if it is not there."""
    path = folder / f"{size[0]}-{'-'.join(pattern.values())}-{gop}.mp4"
    if path.exists():
        return path
    options = {"preset": "superfast", "crf": "23", "sc_threshold": "0", "g": str(gop), **pattern}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(_FPS), options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for pixels in moving(size, s * _FPS):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
    return path


def spent_s(times: Iterator[float]) -> tuple[float, int]:
    """CPU seconds from when a stream is known to its end, and how many of *times* came then."""
    began, seen = 0.0, 0
    for t_s in times:
        if t_s >= _KNOWN_S:
            began = began or time.process_time()
            seen += 1
    return time.process_time() - began, seen - 1


def looks(path: Path, looks_per_s: float) -> Iterator[float]:
    """Read as the pipeline does, converting nothing."""
    source = FileSource(CameraId(new_id()), path, looks_per_s=looks_per_s)
    with closing(source.frames(threading.Event())) as frames:
        for frame in frames:
            yield frame.t_s


def every_frame(path: Path) -> Iterator[float]:
    """What a plain reader decodes: everything, one thread."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        for frame in container.decode(stream):
            yield frame.time or 0.0


def paired(main: Path, sub: Path, looks_per_s: float, cut: int) -> Iterator[float]:
    """As a camera with two streams is read: the main one held beside the looks at the other."""
    with av.open(str(main)) as container:
        stream = container.streams.video[0]
        held, packets, reached = HeldStream(stream), container.demux(stream), -1.0
        source = FileSource(CameraId(new_id()), sub, looks_per_s=looks_per_s)
        for number, frame in enumerate(source.frames(threading.Event())):
            while reached < frame.t_s and (packet := next(packets, None)) is not None:
                if packet.pts is not None and packet.time_base is not None:
                    reached = float(packet.pts * packet.time_base)
                    held.hold(packet, Moment(reached, reached))
            if cut and number % cut == 0:
                assert held.picture(Moment(frame.t_s, frame.t_s), 0.1) is not None
            yield frame.t_s


def measured(case: Case, folder: Path, seconds: int, rounds: int) -> dict[str, object]:
    length_s = seconds + _KNOWN_S
    path = encoded(folder, case.size, case.pattern, case.gop, length_s)
    small = encoded(folder, case.sub, case.pattern, case.gop, length_s) if case.sub else path
    all_s, thrifty_s, seen = [], [], 0
    for _ in every_frame(path):
        pass
    for _ in range(rounds):
        all_s.append(spent_s(every_frame(path))[0])
        spent, seen = spent_s(
            paired(path, small, case.looks_per_s, case.cut)
            if case.sub
            else looks(path, case.looks_per_s)
        )
        thrifty_s.append(spent)
    return line(case, seconds, all_s, thrifty_s, seen)


def line(
    case: Case, seconds: int, all_s: list[float], thrifty_s: list[float], seen: int
) -> dict[str, object]:
    ratio = statistics.median(b / a for a, b in zip(all_s, thrifty_s, strict=True))
    return {
        "benchmark": "decode",
        "case": case.name,
        "looks": seen,
        "wanted": round(seconds * case.looks_per_s),
        "everything_ms_per_s": round(1e3 * statistics.median(all_s) / seconds, 1),
        "as_looked_at_ms_per_s": round(1e3 * statistics.median(thrifty_s) / seconds, 1),
        "ratio": round(ratio, 3),
        "goal": case.goal,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds of each stream")
    parser.add_argument("--rounds", type=int, default=0)
    args = parser.parse_args()
    seconds, rounds = (8, 2) if args.quick else (20, 3)
    rows = []
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        for case in CASES:
            rows.append(measured(case, Path(folder), seconds, args.rounds or rounds))
            print(json.dumps(rows[-1]), flush=True)
    machine = {
        "benchmark": "decode",
        "seconds": seconds,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "av": av.__version__,
    }
    print(json.dumps(machine))
    shown = [key for key in rows[0] if key != "benchmark"]
    table(shown, [[row[key] for key in shown] for row in rows])


if __name__ == "__main__":
    main()

"""What the pipeline costs beyond its bare parts, and against the loop that a user would write.

Whole: `app.replay` of a video into an embedded Postgres and a directory of pictures, the CPU of
this process and of Postgres' processes counted. Bare, over the same frames: decoding every frame
with PyAV alone, plus the model calls that the answer took, on the same frames, converted
beforehand. The user's loop: `users_loop.py`. Start-up (imports, models, Postgres) is in none.

A machine that others use is now and then a fifth slower for seconds, in CPU time as well. So the
bare parts of a round are measured between two replays and compared with the mean of both, and of
a video's rounds the median counts. The least cost of each would not do: a short part finds a
quiet moment more easily than a long one.

    .venv/bin/python benchmarks/pipeline.py [VIDEO ...] [--rounds N]

Without videos: four cameras of 1280 x 720, 25 frames/s, P-pictures only, one or two faces in view,
of which it is known who was there. Prints a JSON line a round, then the ratios, then a table.
Goals: 1.10 x the bare parts; 3 x the loop's throughput with 0.98 of the visits that it finds.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import onnxruntime
from users_loop import (
    CAMERAS,
    FULL_SIDE,
    OpenCvModels,
    OurModels,
    Sight,
    smallest_px,
    users_loop,
    visits_found,
)

from facewatch.app.recognition import Recognition, open_recognition, runtime
from facewatch.app.replay import replay_video
from facewatch.app.stores import Stores, camera_named, open_stores
from facewatch.cli.output import table
from facewatch.demo.material import prepare
from facewatch.domain.faces import Pixels, Seen
from facewatch.domain.ids import CameraId, new_id
from facewatch.ports.streams import Picture
from facewatch.settings import Settings
from facewatch.stream.files import FileSource
from facewatch.vision import registry
from facewatch.vision.detect.canvas import Canvas, Sheets
from facewatch.vision.detect.detector import Detector
from facewatch.vision.embed import Embedder
from facewatch.vision.engine import FaceEngine
from facewatch.vision.session import Session

_counting_s = 0.0
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Models:
    """The two models by themselves, with as many threads as the pipeline gives them."""

    detector: Session
    embedder: Session
    opencv: OpenCvModels
    ours: OurModels

    @classmethod
    def warm(cls, settings: Settings) -> "Models":
        detector, embedder = (
            Session(registry.card(name), settings.model_directory, runtime(settings))
            for name in (settings.models.detector, settings.models.embedder)
        )
        detector.warm_up(640, 384)
        embedder.warm_up(112, 112)
        score = settings.recognition.detector_score
        full_size = Detector(detector, long_side=FULL_SIDE, threshold=score)
        full_size.warm_up(1280, 720)
        return cls(
            detector,
            embedder,
            OpenCvModels(settings.model_directory, score),
            OurModels(full_size, Embedder(embedder)),
        )


class Overheard:
    """An engine that remembers what it embedded, and the smallest face that it found."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.embedded: list[list[Pixels]] = []
        self.smallest_px = 1e9

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        seen = self._engine.watch(pictures)
        widths = [face.box.width for it in seen for face in it.faces]
        self.smallest_px = min([self.smallest_px, *widths])
        return seen

    def embed_telling(self, crops: Sequence[Pixels]) -> tuple[np.ndarray, np.ndarray]:
        self.embedded.append(list(crops))
        return self._engine.embed_telling(crops)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def cpu_s(home: Path) -> float:
    """CPU seconds of this process and of the Postgres that works below *home*.

    Less what this took itself: to read the list of processes is milliseconds.
    """
    global _counting_s
    began, ticks, total = time.process_time(), os.sysconf("SC_CLK_TCK"), 0.0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if home in (process / "cwd").resolve().parents:
                times = (process / "stat").read_text().rsplit(")", 1)[1].split()[11:15]
                total += sum(map(int, times)) / ticks
    total += began - _counting_s
    _counting_s += time.process_time() - began
    return total


def decode_alone(video: Path) -> float:
    """CPU seconds to decode every frame in one thread."""
    began = time.process_time()
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "NONE", 1
        for _ in container.decode(stream):
            pass
    return time.process_time() - began


def canvases(video: Path, settings: Settings) -> list[np.ndarray]:
    """What the detector is given for each analysed frame, each in memory of its own."""
    rule, sheets = settings.recognition, Sheets()
    frames = FileSource(CameraId(new_id()), video, looks_per_s=rule.looks_per_s).frames(
        threading.Event()
    )
    pictures = (frame.picture for frame in frames)
    return [
        sheets.painted([it], [Canvas.of(it.width, it.height, rule.long_side_px)]).copy()
        for it in pictures
    ]


def models_alone(
    models: Models, inputs: Sequence[np.ndarray], embedded: Sequence[Sequence[Pixels]]
) -> float:
    """CPU seconds of the same detections and embeddings on inputs that lie ready."""
    crops = [np.stack(each) for each in embedded]
    began = time.process_time()
    for canvas in inputs:
        models.detector.run(canvas)
    for each in crops:
        models.embedder.run(each)
    return time.process_time() - began


@dataclass(frozen=True)
class Replayed:
    """The whole for one video: CPU seconds, by the clock, and what came of it."""

    cpu_s: float
    wall_s: float
    embedded: list[list[Pixels]]
    smallest_px: float
    sights: list[Sight]


async def replayed(
    settings: Settings, stores: Stores, recognition: Recognition, video: Path, number: int
) -> Replayed:
    heard, sights = Overheard(recognition.engine), list[Sight]()
    camera = await camera_named(stores, f"{video.stem} {number}")
    began, began_s = cpu_s(settings.home_path), time.perf_counter()
    await replay_video(
        settings,
        stores,
        replace(recognition, engine=heard),
        video,
        camera,
        start=None,
        seen=lambda _: None,
        written=lambda it, _: sights.append(Sight(it.best.look.t_s, it.best.look.box)),
    )
    return Replayed(
        *(cpu_s(settings.home_path) - began, time.perf_counter() - began_s),
        *(heard.embedded, heard.smallest_px, sights),
    )


async def measure_video(
    settings: Settings,
    stores: Stores,
    recognition: Recognition,
    models: Models,
    video: Path,
    rounds: int,
) -> AsyncIterator[dict[str, object]]:
    """The rounds over one video: bare parts between two replays, of which the next round has one.

    A replay before them is not counted: it makes threads and pages that the others find.
    """
    inputs = canvases(video, settings)
    await replayed(settings, stores, recognition, video, -2)
    before = await replayed(settings, stores, recognition, video, -1)
    embedded, frames = before.embedded, len(inputs)
    for number in range(rounds):
        decode, calls = decode_alone(video), models_alone(models, inputs, embedded)
        loop, quick = (users_loop(video, it) for it in (models.opencv, models.ours))
        after = await replayed(settings, stores, recognition, video, number)
        whole, wall = (before.cpu_s + after.cpu_s) / 2, (before.wall_s + after.wall_s) / 2
        before = after
        yield {
            "benchmark": "pipeline",
            "video": video.name,
            "round": number,
            "frames": frames,
            "embeddings": sum(map(len, embedded)),
            "whole_ms_per_frame": round(1e3 * whole / frames, 3),
            "decode_ms_per_frame": round(1e3 * decode / frames, 3),
            "models_ms_per_frame": round(1e3 * calls / frames, 3),
            "ratio": round(whole / (decode + calls), 4),
            "loop_looks": loop.looks,
            "loop_ms_per_frame": round(1e3 * loop.cpu_s / loop.looks, 3),
            "times_loop": round(loop.cpu_s / loop.looks / (whole / frames), 3),
            "times_loop_by_clock": round(loop.wall_s / loop.looks / (wall / frames), 3),
            "times_quick_loop": round(quick.cpu_s / quick.looks / (whole / frames), 3),
            "times_quick_loop_by_clock": round(quick.wall_s / quick.looks / (wall / frames), 3),
            "smallest_px": round(after.smallest_px),
            "loop_smallest_px": round(smallest_px(loop.sights)),
            **_found(video, after.sights, loop.sights),
        }


def _found(video: Path, sights: list[Sight], loops: Sequence[Sight]) -> dict[str, object]:
    """Visits that each found, where it is known who was there."""
    room = next((it for it in CAMERAS if video.name.startswith(f"{it.name}-")), None)
    if room is None:
        return {"visits": 0, "loop_visits": 0, "both": 0}
    mine, theirs = visits_found(room, sights), visits_found(room, loops)
    return {"visits": len(mine), "loop_visits": len(theirs), "both": len(mine & theirs)}


async def measure(videos: Sequence[Path], rounds: int) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        settings = Settings.model_validate(
            {"home": folder, "models": {"directory": str(_ROOT / ".home" / "models")}}
        )
        async with (
            open_stores(settings) as stores,
            open_recognition(settings, stores) as recognition,
        ):
            models = Models.warm(settings)
            for video in videos:
                async for line in measure_video(
                    settings, stores, recognition, models, video, rounds
                ):
                    lines.append(line)
                    print(json.dumps(line), flush=True)
    return lines


def summed_up(lines: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Each video's medians."""
    found = []
    for video in dict.fromkeys(str(it["video"]) for it in lines):
        mine = [it for it in lines if it["video"] == video]
        same = {key: mine[0][key] for key in ("video", "frames", "embeddings")}
        medians = {
            key: round(statistics.median(float(str(it[key])) for it in mine), 3)
            for key in mine[0]
            if key not in (*same, "benchmark", "round")
        }
        found.append({**same, **medians})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round of one short video")
    args = parser.parse_args()
    first = CAMERAS[0]
    short = replace(first, seconds=14, walks=first.walks[:3])
    rooms = (short,) if args.quick else CAMERAS
    videos = args.videos or list(
        prepare(_ROOT / ".home", lambda _w, _s: None, rooms).cameras.values()
    )
    if args.quick:
        videos, args.rounds = videos[:1], 1
    rows = summed_up(asyncio.run(measure(videos, args.rounds)))

    def mean(key: str) -> float:
        return statistics.mean(float(str(it[key])) for it in rows)

    summary = {
        "benchmark": "pipeline",
        "ratio": round(mean("ratio"), 3),
        "times_loop": round(mean("times_loop"), 3),
        "times_loop_by_clock": round(mean("times_loop_by_clock"), 3),
        "times_quick_loop": round(mean("times_quick_loop"), 3),
        "times_quick_loop_by_clock": round(mean("times_quick_loop_by_clock"), 3),
        "of_its_visits": round(mean("both") / max(mean("loop_visits"), 1e-9), 3),
        "rounds": args.rounds,
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "onnxruntime": onnxruntime.__version__,
        "av": av.__version__,
    }
    print(json.dumps(summary))
    table(list(rows[0]), [list(it.values()) for it in rows])


if __name__ == "__main__":
    main()

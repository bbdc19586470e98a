"""What the pipeline costs beyond its bare parts, in CPU seconds per analysed frame.

Whole: `app.replay` of a video into an embedded Postgres and a directory of pictures, the CPU of
this process and of Postgres' processes counted. Bare, in the same rounds over the same frames:
decoding alone, plus the model calls that the answer took, on inputs that lie ready. Start-up
(imports, models, Postgres) is in neither.

    .venv/bin/python benchmarks/pipeline.py [VIDEO ...] [--rounds N]

Without videos: the demo's. Prints JSON lines, then a table.
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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import onnxruntime

from facewatch import app
from facewatch.cli.output import table
from facewatch.demo.material import prepare
from facewatch.domain.faces import Detection, Pixels
from facewatch.domain.ids import CameraId, new_id
from facewatch.ports import Picture
from facewatch.settings import Settings
from facewatch.stream.files import FileSource
from facewatch.vision import registry
from facewatch.vision.detect.canvas import Canvas
from facewatch.vision.engine import FaceEngine
from facewatch.vision.session import Session

_ROOT = Path(__file__).parent.parent


class Overheard:
    """An engine that remembers how often it was asked for what."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.detected: list[tuple[int, int]] = []
        self.embedded: list[int] = []

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        self.detected += [(it.width, it.height) for it in pictures]
        return self._engine.detect(pictures)

    def embed(self, crops: Sequence[Pixels]) -> np.ndarray:
        self.embedded.append(len(crops))
        return self._engine.embed(crops)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def cpu_s(home: Path) -> float:
    """CPU seconds of this process and of the Postgres that works below *home*."""
    ticks, total = os.sysconf("SC_CLK_TCK"), time.process_time()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if home in (process / "cwd").resolve().parents:
                times = (process / "stat").read_text().rsplit(")", 1)[1].split()[11:15]
                total += sum(map(int, times)) / ticks
    return total


def decode_alone(video: Path) -> float:
    """CPU seconds to decode every frame, as the pipeline's own reader does."""
    began = time.process_time()
    source = FileSource(CameraId(new_id()), video, looks_per_s=1e-6)
    for _ in source.frames(threading.Event()):
        pass
    return time.process_time() - began


def models_alone(heard: Overheard, settings: Settings) -> float:
    """CPU seconds of the same detections and embeddings on inputs that lie ready."""
    detector, embedder = (
        Session(registry.card(name), settings.model_directory, threads=os.cpu_count() or 1)
        for name in (settings.models.detector, settings.models.embedder)
    )
    long_side = settings.recognition.long_side_px
    canvases = [Canvas.of(*size, long_side).size for size in heard.detected]
    noise = np.random.default_rng(0)
    inputs = {
        (width, height): noise.integers(0, 255, (1, height, width, 3), dtype=np.uint8)
        for width, height in set(canvases)
    }
    crops = noise.integers(0, 255, (64, 112, 112, 3), dtype=np.uint8)
    for size in inputs:
        detector.warm_up(*size)
    embedder.warm_up(112, 112)
    began = time.process_time()
    for size in canvases:
        detector.run(inputs[size])
    for count in heard.embedded:
        embedder.run(crops[:count])
    return time.process_time() - began


async def measure_once(
    settings: Settings, stores: app.Stores, recognition: app.Recognition, video: Path, number: int
) -> dict[str, object]:
    """One round over one video: the whole, then its parts."""
    heard = Overheard(recognition.engine)
    camera = await app.camera_named(stores, f"{video.stem} {number}")
    began = cpu_s(settings.home_path)
    await app.replay(
        settings,
        stores,
        replace(recognition, engine=heard),
        video,
        camera,
        start=None,
        seen=lambda _: None,
        written=lambda _visit, _record: None,
    )
    whole = cpu_s(settings.home_path) - began
    decode, models = decode_alone(video), models_alone(heard, settings)
    frames = len(heard.detected)
    return {
        "benchmark": "pipeline",
        "video": video.name,
        "round": number,
        "frames": frames,
        "embeddings": sum(heard.embedded),
        "whole_ms_per_frame": round(1e3 * whole / frames, 3),
        "decode_ms_per_frame": round(1e3 * decode / frames, 3),
        "models_ms_per_frame": round(1e3 * models / frames, 3),
        "ratio": round(whole / (decode + models), 4),
    }


async def measure(videos: Sequence[Path], rounds: int) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        settings = Settings.model_validate(
            {"home": folder, "models": {"directory": str(_ROOT / ".home" / "models")}}
        )
        async with (
            app.open_stores(settings) as stores,
            app.open_recognition(settings, stores) as recognition,
        ):
            await measure_once(settings, stores, recognition, videos[0], -1)  # warm-up
            for number in range(rounds):
                for video in videos:
                    line = await measure_once(settings, stores, recognition, video, number)
                    lines.append(line)
                    print(json.dumps(line), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    videos = args.videos or list(prepare(_ROOT / ".home", lambda _w, _s: None).cameras.values())
    lines = asyncio.run(measure(videos, args.rounds))
    print(
        json.dumps(
            {
                "benchmark": "pipeline",
                "median_ratio": statistics.median(float(str(it["ratio"])) for it in lines),
                "cpu": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "onnxruntime": onnxruntime.__version__,
                "av": av.__version__,
            }
        )
    )
    columns = ["video", "frames", "embeddings", "whole_ms_per_frame", "decode_ms_per_frame"]
    columns += ["models_ms_per_frame", "ratio"]
    table(columns, [[it[column] for column in columns] for it in lines])


if __name__ == "__main__":
    main()

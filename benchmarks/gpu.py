"""How much of a GPU the engine and the whole pipeline use, against the same models' bare kernels.

- *bare*: detector and embedder alone, one batch after another, inputs and outputs in the
  provider's own memory, nothing converted, nothing decoded.
- *engine*: `FaceEngine.watch` and `embed` over as many pictures and faces, which lie ready in the
  canvas' size in main memory. Goal: 0.8 of the bare figure, detector and embedder together.
- *pipeline*: 1080p streams, encoded beforehand, decoded by a thread each (on a GPU by NVDEC, unless
  --decode-on says otherwise) and taken through detection, tracking, embedding and visits: frames
  looked at a second, how many streams at 5 looks/s that is, and how many the engine alone would
  carry.

    .venv/bin/python benchmarks/gpu.py [--quick] [--provider cuda] [--precision fp16] [--batch 64]

Without such a provider it says so and ends. `--provider cpu --quick` runs all of it on a processor,
in its own precision, with small batches: what it measures there says nothing about a GPU.
"""

import argparse
import itertools
import json
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final, get_args

import av
import numpy as np
import onnxruntime as ort
from av.video.stream import VideoStream
from numpy.typing import NDArray

from facewatch.app.machine import Machine
from facewatch.cli.output import table
from facewatch.demo.material import prepare
from facewatch.domain.ids import CameraId, EventId, new_id
from facewatch.errors import FacewatchError
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.visit import Visitors
from facewatch.ports.streams import Frame
from facewatch.settings import load_for_process
from facewatch.stream.files import FileSource
from facewatch.stream.hardware import DecodeOn
from facewatch.vision.cards import Precision
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import ArrayPicture
from facewatch.vision.runtime import Runtime
from facewatch.vision.session import Session

_ROOT = Path(__file__).parent.parent
_WIDTH, _HEIGHT = 640, 384
_LOOKS_PER_S = 5.0
_GOAL = 0.8
_PLACES: Final[dict[str, DecodeOn]] = {"cuda": "cuda", "tensorrt": "cuda"}


def per_s(run: Callable[[], object], pictures: int, seconds: float) -> float:
    """Pictures a second: the median of single runs, warm."""
    run()
    took: list[float] = []
    until = time.perf_counter() + seconds
    while len(took) < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return pictures / statistics.median(took)


def bare(session: Session, batch: NDArray[np.uint8], provider: str) -> Callable[[], object]:
    """One run of the model over *batch*, which lies where the provider calculates."""
    place = _PLACES.get(provider, "cpu")
    raw: ort.InferenceSession = session.onnx
    binding = raw.io_binding()
    binding.bind_ortvalue_input(
        raw.get_inputs()[0].name, ort.OrtValue.ortvalue_from_numpy(batch, place, 0)
    )
    for output in raw.get_outputs():
        binding.bind_output(output.name, place, 0)

    def run() -> None:
        raw.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return run


def kernels(engine: FaceEngine, provider: str, batch: int, seconds: float) -> dict[str, float]:
    """Pictures and faces a second, bare and through the engine."""
    random = np.random.default_rng(1)
    canvases = random.integers(0, 256, (batch, _HEIGHT, _WIDTH, 3), np.uint8)
    crops = random.integers(0, 256, (batch, 112, 112, 3), np.uint8)
    pictures = [ArrayPicture(each[:360]) for each in canvases]
    faces = list(crops)
    detector, embedder = engine.sessions
    return {
        "bare_pictures_per_s": per_s(bare(detector, canvases, provider), batch, seconds),
        "bare_faces_per_s": per_s(bare(embedder, crops, provider), batch, seconds),
        "pictures_per_s": per_s(partial(engine.watch, pictures), batch, seconds),
        "faces_per_s": per_s(partial(engine.embed, faces), batch, seconds),
    }


def together(pictures_per_s: float, faces_per_s: float) -> float:
    """Pictures a second with one face each."""
    return 1 / (1 / pictures_per_s + 1 / faces_per_s)


def encode(source: Path, path: Path, seconds: int) -> Path:
    """*source*, scaled to 1080p, as a camera would send it: P-pictures, few key pictures."""
    options = {"preset": "superfast", "bf": "0", "g": "25"}
    with av.open(str(source)) as reading, av.open(str(path), "w") as writing:
        rate = reading.streams.video[0].average_rate or Fraction(15)
        stream = writing.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for frame in itertools.islice(reading.decode(video=0), int(seconds * rate)):
            writing.mux(stream.encode(frame.reformat(1920, 1080, "yuv420p")))
        writing.mux(stream.encode())
    return path


class Streams:
    """Readers of one file, each with a slot for its newest frames; nothing is dropped."""

    def __init__(self, path: Path, count: int, decode_on: DecodeOn) -> None:
        self._decode_on = decode_on
        self._slots: list[queue.Queue[Frame | None]] = [queue.Queue(2) for _ in range(count)]
        self._arrived = threading.Semaphore(0)
        self._left = count
        for slot in self._slots:
            threading.Thread(target=self._read, args=(path, slot), daemon=True).start()

    def _read(self, path: Path, slot: "queue.Queue[Frame | None]") -> None:
        source = FileSource(
            CameraId(new_id()), path, looks_per_s=_LOOKS_PER_S, decode_on=self._decode_on
        )
        for frame in source.frames(threading.Event()):
            slot.put(frame)
            self._arrived.release()
        slot.put(None)
        self._arrived.release()

    def take(self, most: int) -> list[Frame]:
        """At least one frame, one of each stream at most; none at the end."""
        taken: list[Frame] = []
        while self._left and not taken:
            self._arrived.acquire()
            self._arrived.release()
            for slot in self._slots:
                if len(taken) == most:
                    break
                try:
                    frame = slot.get_nowait()
                except queue.Empty:
                    continue
                self._arrived.acquire()
                if frame is None:
                    self._left -= 1
                else:
                    taken.append(frame)
        return taken


def pipeline(
    engine: FaceEngine, path: Path, count: int, most: int, decode_on: DecodeOn
) -> dict[str, float]:
    recogniser = Recogniser(
        engine,
        lambda camera: Visitors(camera, lambda at, _number: EventId(new_id(at))),
        Metrics.on(),
    )
    streams, frames, engine_s, visits = Streams(path, count, decode_on), 0, 0.0, 0
    began = time.perf_counter()
    while taken := streams.take(most):
        seeing = time.perf_counter()
        visits += len(recogniser.see(taken))
        engine_s += time.perf_counter() - seeing
        frames += len(taken)
    took = time.perf_counter() - began
    visits += len(recogniser.close_all())
    return {
        "streams": count,
        "frames": frames,
        "visit_versions": visits,
        "frames_per_s": frames / took,
        "streams_at_5_looks_per_s": frames / took / _LOOKS_PER_S,
        "streams_of_the_engine_alone": frames / engine_s / _LOOKS_PER_S,
    }


def opened(provider: str, precision: Precision) -> FaceEngine:
    """The default models; where they cannot run the benchmark is skipped, with the reason."""
    settings = load_for_process(None, {})
    cores = os.cpu_count() or 1
    on = Runtime((provider,), max(1, cores // 2), settings.home_path / "engine")
    try:
        engine = open_engine(
            settings.model_directory,
            runtime=on,
            detector_precision=precision,
            embedder_precision=precision,
        )
    except FacewatchError as trouble:
        print(json.dumps({"benchmark": "gpu", "skipped": f"no {provider} here: {trouble.what}"}))
        sys.exit(0)
    engine.warm_up()
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small batches, few seconds")
    parser.add_argument("--provider", default="cuda")
    parser.add_argument("--precision", choices=list(Precision), help="fp16; fp32 on a processor")
    parser.add_argument("--batch", type=int, default=0, help="64; 4 with --quick")
    parser.add_argument("--video", type=Path, help="what the streams show; the demo's if not given")
    parser.add_argument("--streams", type=int, default=0, help="four a core; 2 with --quick")
    parser.add_argument("--decode-on", choices=get_args(DecodeOn), help="cuda on a GPU")
    args = parser.parse_args()
    decode_on: DecodeOn = args.decode_on or _PLACES.get(args.provider, "cpu")
    usual = Precision.FP16 if Runtime((args.provider,)).accelerated else Precision.FP32
    precision = Precision(args.precision) if args.precision else usual
    batch = args.batch or (4 if args.quick else 64)
    engine = opened(args.provider, precision)
    on = {"benchmark": "gpu", "provider": args.provider, "precision": precision, "batch": batch}
    on["decode_on"] = decode_on
    measured = kernels(engine, args.provider, batch, 0.3 if args.quick else 5)
    ratio = together(measured["pictures_per_s"], measured["faces_per_s"]) / together(
        measured["bare_pictures_per_s"], measured["bare_faces_per_s"]
    )
    rows: list[dict[str, object]] = [
        {**on, **{key: round(it, 1) for key, it in measured.items()}, "ratio": round(ratio, 3)}
    ]
    print(json.dumps({**rows[0], "goal": _GOAL}), flush=True)
    count = args.streams or (2 if args.quick else 4 * (os.cpu_count() or 1))
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        video = args.video or next(
            iter(prepare(_ROOT / ".home", lambda _w, _s: None).cameras.values())
        )
        path = encode(video, Path(folder) / "1080p.mp4", 2 if args.quick else 20)
        whole = pipeline(engine, path, count, max(batch, 4), decode_on)
    print(json.dumps({**on, **{key: round(it, 1) for key, it in whole.items()}}), flush=True)
    print(json.dumps({"benchmark": "gpu", "machine": Machine.here().shown()}))
    table(["what", "figure"], [[k, v] for k, v in (rows[0] | whole).items()])


if __name__ == "__main__":
    main()

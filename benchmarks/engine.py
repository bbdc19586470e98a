"""What batches cost on each provider, whether they answer as single pictures do, and who waits.

- *batches*: milliseconds a picture for each batch size, model, provider, precision and number of
  threads; which sizes the engine chooses by its own trial; how far answers in a batch are from
  those to single pictures.
- *memory*: what the process gains while batches of 1 to 40 come in any order: with the engine's
  fixed sizes, and with batches as they come.
- *threads*: looks (a detection and a quarter of an embedding each), and pictures that one reader
  decodes beside them, with one thread and with all cores, spinning and not; for each second of
  processor time too, which others that use the machine leave alone.
- *ahead*: detection with the next picture made ready meanwhile, against in turns.

    .venv/bin/python benchmarks/engine.py [--quick] [--providers cpu,openvino]

Without --providers: every one that is built in and starts. In --quick the larger batches and half
of the rounds are left out. Prints JSON lines, then tables.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facewatch.app.recognition import runtime
from facewatch.cli.output import table
from facewatch.demo.material import prepare
from facewatch.domain.ids import CameraId, new_id
from facewatch.errors import ModelTrouble
from facewatch.settings import Settings, load_for_process
from facewatch.stream.files import FileSource
from facewatch.vision import graph, registry
from facewatch.vision.batching import Buckets
from facewatch.vision.cards import Kind, ModelCard, Precision
from facewatch.vision.detect.detector import Detector
from facewatch.vision.fetch import verify
from facewatch.vision.runtime import Runtime
from facewatch.vision.session import Session

_ROOT = Path(__file__).parent.parent
_SIZES = {Kind.DETECTOR: (384, 640), Kind.EMBEDDER: (112, 112)}
_LINES: list[dict[str, object]] = []


def say(part: str, **figures: object) -> None:
    _LINES.append({"benchmark": "engine", "part": part, **figures})
    print(json.dumps(_LINES[-1]), flush=True)


def noise(card: ModelCard, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, *_SIZES[card.kind], 3), np.uint8)


def least(run: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of the quickest round each."""
    run()
    wall, cpu = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return min(wall), min(cpu)


def batches(
    card: ModelCard, models: Path, on: Runtime, precision: Precision, sizes: list[int], rounds: int
) -> None:
    session = Session(card, models, on, precision=precision)
    session.warm_up(*_SIZES[card.kind][::-1])
    pictures = noise(card, sizes[-1])
    single = Session(card, models, on, precision=precision, buckets=Buckets({1: 1.0}))
    alone = single.run(pictures)
    for size in sizes:
        together = Session(card, models, on, precision=precision, buckets=Buckets({size: 1.0}))
        wall_s, cpu_s = least(partial(together.run, pictures[:size]), rounds)
        outputs = zip(together.run(pictures[:size]), alone, strict=True)
        say(
            "batches",
            model=card.name,
            provider=on.first,
            precision=precision,
            threads=on.threads,
            batch=size,
            ms_a_picture=round(1e3 * wall_s / size, 2),
            cpu_ms_a_picture=round(1e3 * cpu_s / size, 2),
            chosen=size in session.buckets.sizes,
            furthest_from_alone=float(max(np.abs(a - b[:size]).max() for a, b in outputs)),
        )


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def memory(name: str, models: Path, provider: str, fixed: bool, counts: list[int]) -> list[float]:
    """MiB gained after each of *counts*; in a process of its own, as memory is not given back."""
    card = registry.card(name)
    free = Buckets({size: float(size) for size in range(1, 41)})
    session = Session(card, models, Runtime((provider,)), buckets=None if fixed else free)
    pictures = noise(card, 40)
    session.run(pictures[:1])
    before, seen = resident_mib(), []
    for count in counts:
        if not fixed:
            assert session.buckets.plan(count) == [(count, count)]
        session.run(pictures[:count])
        seen.append(resident_mib() - before)
    return seen


@contextmanager
def decoding(video: Path, readers: int) -> Iterator[list[int]]:
    """Readers that decode *video* again and again; the list counts their frames."""
    stop, counts = threading.Event(), [0] * readers

    def read(number: int) -> None:
        while not stop.is_set():
            source = FileSource(CameraId(new_id()), video, looks_per_s=60)
            for _ in source.frames(stop):
                counts[number] += 1

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for each in threads:
        each.start()
    try:
        yield counts
    finally:
        stop.set()
        for each in threads:
            each.join()


def threads(models: Path, provider: str, video: Path, seconds: float) -> None:
    """One detection and a quarter of an embedding a look, as at a door, beside one reader."""
    wanted = sorted({1, max(1, (os.cpu_count() or 1) // 2), os.cpu_count() or 1})
    for count, spins in itertools.product(wanted, (False, True)):
        if spins and provider != "cpu":
            continue
        detect, embed = (bare(name, models, provider, count, spins) for name in ("yunet", "sface"))
        with decoding(video, 1) as decoded:
            before, looks = decoded[0], 0
            began, worked = time.perf_counter(), time.process_time()
            while time.perf_counter() - began < seconds:
                detect()
                if looks % 4 == 0:
                    embed()
                looks += 1
            took, cpu = time.perf_counter() - began, time.process_time() - worked
            frames = decoded[0] - before
        say(
            "threads",
            provider=provider,
            threads=count,
            spinning=spins,
            looks_a_cpu_s=round(looks / cpu, 1),
            decoded_a_cpu_s=round(frames / cpu, 1),
            looks_a_s=round(looks / took, 1),
            decoded_a_s=round(frames / took, 1),
        )


def bare(name: str, models: Path, provider: str, count: int, spins: bool) -> Callable[[], object]:
    """One run of the model called *name* for one picture, warm."""
    card = registry.card(name)
    picture = noise(card, 1)
    if not spins:
        session = Session(card, models, Runtime((provider,), count))
        session.run(picture)
        return lambda: session.run(picture)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = count, 3
    model = graph.prepared(card, verify(card, models), Precision.FP32, on_cpu=True)
    raw = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    wanted = {raw.get_inputs()[0].name: picture}
    raw.run(None, wanted)
    return lambda: raw.run(None, wanted)


def ahead(models: Path, provider: str, video: Path, rounds: int) -> None:
    source = FileSource(CameraId(new_id()), video, looks_per_s=5)
    frames = itertools.islice(source.frames(threading.Event()), 16)
    pictures = [frame.picture for frame in frames]
    with ThreadPoolExecutor(1, "painter") as painters:
        detectors = {
            name: Detector(
                Session(registry.card("yunet"), models, Runtime((provider,))),
                long_side=640,
                threshold=0.7,
                painters=each,
            )
            for name, each in (("in turns", None), ("ahead", painters))
        }
        for readers in (0, 1):
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in detectors}
            with decoding(video, readers):
                for _ in range(rounds):
                    for name, each in detectors.items():
                        took[name].append(least(partial(each.watch, pictures), 1))
            median = {
                name: [statistics.median(it) / len(pictures) for it in zip(*all_, strict=True)]
                for name, all_ in took.items()
            }
            say(
                "ahead",
                provider=provider,
                readers=readers,
                in_turns_ms=round(1e3 * median["in turns"][0], 2),
                ahead_ms=round(1e3 * median["ahead"][0], 2),
                ratio=round(median["ahead"][0] / median["in turns"][0], 3),
            )


def starting(models: Path, names: tuple[str, ...]) -> list[str]:
    """Of providers those that start here; what does not is said."""
    found = []
    for name in names:
        try:
            Session(registry.card("yunet"), models, Runtime((name,)))
        except ModelTrouble as trouble:
            print(f"{name} is left out: {trouble.what}", flush=True)
        else:
            found.append(name)
    return found


def measure(settings: Settings, providers: tuple[str, ...], quick: bool) -> None:
    models, rounds = settings.model_directory, 2 if quick else 8
    sizes = [1, 4] if quick else [1, 2, 4, 8, 16]
    video = next(iter(prepare(_ROOT / ".home", lambda _w, _s: None).cameras.values()))
    usual = runtime(settings).threads
    for provider in starting(models, providers):
        for name, count in itertools.product(
            ("yunet", "sface"), [usual] if quick else sorted({usual, os.cpu_count() or 1})
        ):
            card, on = registry.card(name), Runtime((provider,), count)
            for precision in card.precisions:
                if on.can(precision):
                    batches(card, models, on, precision, sizes, rounds)
        counts = np.random.default_rng(2).integers(1, 41, 8 if quick else 30).tolist()
        for name, fixed in itertools.product(
            ("yunet",) if quick else ("yunet", "sface"), (True, False)
        ):
            gained = apart(memory, name, models, provider, fixed, counts)
            say(
                "memory",
                model=name,
                provider=provider,
                batches="fixed" if fixed else "as they come",
                of_pictures=sum(counts),
                gained_mib=round(gained[-1], 1),
                of_it_in_the_second_half_mib=round(gained[-1] - gained[len(gained) // 2], 1),
            )
        threads(models, provider, video, 1.0 if quick else 8)
        ahead(models, provider, video, rounds)


def apart(work: Callable[..., list[float]], *given: object) -> list[float]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(work, *given).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument("--providers", default="cpu,openvino,cuda,tensorrt")
    args = parser.parse_args()
    measure(load_for_process(None, {}), tuple(args.providers.split(",")), args.quick)
    print(json.dumps({"benchmark": "engine", "onnxruntime": ort.__version__}))
    for part in dict.fromkeys(str(it["part"]) for it in _LINES):
        rows = [
            {key: it[key] for key in it if key not in ("benchmark", "part")}
            for it in _LINES
            if it["part"] == part
        ]
        print()
        table(list(rows[0]), [list(row.values()) for row in rows])


if __name__ == "__main__":
    main()

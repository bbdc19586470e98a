"""What fewer bits cost: time, and how far answers move; on this, cards allow a precision or do not.

For each model, provider and precision: processor milliseconds a picture, alone; of an embedder the
cosines between its templates and those of fp32, of a detector how many faces it finds, and how far
its boxes move, in hundredths of their width. With LFW View 1 beside the repository (and without
--quick): accuracy over its 1,000 pairs, faces found and aligned by YuNet in fp32.

int8 is made here for every model, by ranges from the demo's photographs.

    .venv/bin/python benchmarks/precision.py [--quick] [--providers cpu,openvino] [--write CARD]

--write puts the ranges of CARD, an entry of the registry, where facewatch finds them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    create_calibrator,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from shared import SHARED

from facewatch.cli.output import table
from facewatch.demo import photos
from facewatch.demo.cast import PHOTOS
from facewatch.domain.faces import Detection, Pixels
from facewatch.domain.geometry import Box
from facewatch.errors import FacewatchError
from facewatch.evaluate.pairs import Pair, load_pairs
from facewatch.evaluate.photos import Face, Photos, Whose
from facewatch.evaluate.verification import verify
from facewatch.settings import load_for_process
from facewatch.vision import graph, int8, registry
from facewatch.vision.batching import Buckets
from facewatch.vision.cards import Kind, ModelCard, Precision
from facewatch.vision.detect.canvas import Canvas, Sheets
from facewatch.vision.detect.detector import Detector
from facewatch.vision.embed import Embedder
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.fetch import verify as verified
from facewatch.vision.pictures import ArrayPicture, decode
from facewatch.vision.runtime import Runtime
from facewatch.vision.session import Session

_ROOT = Path(__file__).parent.parent
_SCALES = (640, 320, 160)
_ALONE = Buckets({1: 1.0})


class Tried:
    """What `Session` is to a detector or embedder, over a graph that no card allows."""

    buckets = _ALONE

    def __init__(self, card: ModelCard, model: bytes) -> None:
        self.card = card
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        parts = [self._session.run(None, {self._input: it[None]}) for it in pictures]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]


class Inputs(CalibrationDataReader):
    def __init__(self, name: str, inputs: Iterable[NDArray[np.uint8]]) -> None:
        self._each = iter([{name: it[None]} for it in inputs])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._each, None)


def ranges(model: Path, inputs: list[NDArray[np.uint8]], folder: Path) -> dict[str, list[float]]:
    """Least and greatest value of what convolutions read and write."""
    loaded = onnx.load(model)
    nodes = int8.whole_numbers(loaded)
    wanted = {it for node in nodes for it in (node.input[0], *node.output)}
    calibrator = create_calibrator(
        str(model),
        sorted({node.op_type for node in loaded.graph.node}),
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=CalibrationMethod.MinMax,
    )
    name = loaded.graph.input[0].name
    calibrator.collect_data(Inputs(name, inputs))
    found = calibrator.compute_data().data
    return {
        key: [float(np.min(it.lowest)), float(np.max(it.highest))]
        for key, it in sorted(found.items())
        if key in wanted
    }


def plain(card: ModelCard, models: Path, folder: Path) -> Path:
    """The graph of fp32 as facewatch runs it, of an age that can be quantised."""
    model = graph.changed(onnx.load(verified(card, models)), card)
    model = onnx.version_converter.convert_version(model, 13)
    onnx.save(model, folder / "plain.onnx")
    return folder / "plain.onnx"


def in_whole_numbers(card: ModelCard, models: Path, inputs: list[NDArray[np.uint8]]) -> Tried:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "optimised.onnx"
        quant_pre_process(str(plain(card, models, folder)), str(model), skip_symbolic_shape=True)
        limits = {key: (low, high) for key, (low, high) in ranges(model, inputs, folder).items()}
        return Tried(card, int8.quantised(onnx.load(model), limits).SerializeToString())


def write(card: ModelCard, models: Path, inputs: list[NDArray[np.uint8]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = ranges(plain(card, models, Path(name)), inputs, Path(name))
    file = int8.ranges_file(card)
    file.write_text(json.dumps({"sha256": card.sha256, "ranges": found}, indent=1) + "\n")
    print(f"wrote {len(found)} ranges to {file}")


def cpu_ms(run: Callable[[], object], rounds: int) -> float:
    run()
    took = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        took.append(time.process_time() - began)
    return 1e3 * min(took)


def moved(found: list[list[Detection]], usual: list[list[Detection]]) -> dict[str, object]:
    """Faces found, and how far the boxes of the same faces lie apart."""
    apart = []
    for some, others in zip(found, usual, strict=True):
        for one in some:
            same = max((it.box for it in others), key=one.box.overlap, default=one.box)
            ends = zip(_ends(one.box), _ends(same), strict=True)
            apart.append(max(abs(a - b) for a, b in ends) / same.width)
    return {
        "faces": sum(map(len, found)),
        "of": sum(map(len, usual)),
        "furthest_box_percent": round(100 * max(apart, default=0.0), 2),
    }


def _ends(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


class Lfw:
    """The crops of LFW View 1's pairs."""

    def __init__(self, engine: FaceEngine) -> None:
        folder = SHARED / "lfw-view1"
        self.pairs: list[Pair] = load_pairs(folder / "pairsDevTest.txt", folder / "images")
        look = Photos(_Cropping(engine), decode, Whose.CENTRE)
        wanted = dict.fromkeys(it for pair in self.pairs for it in (pair.left, pair.right))
        self.faces: dict[Path, Face | str] = {photo: look.face(photo) for photo in wanted}

    def figures(self, embedder: Embedder) -> dict[str, object]:
        faces: dict[Path, Face | str] = {}
        for photo, face in self.faces.items():
            if isinstance(face, Face):
                crop = np.asarray(face.template, np.uint8).reshape(112, 112, 3)
                face = Face(embedder.embed([crop])[0], face.quality, face.refused)
            faces[photo] = face
        measured = verify(self.pairs, faces)
        return {
            "lfw_accuracy_percent": round(100 * measured.accuracy, 2),
            "tar_at_far_0.01_percent": round(100 * measured.at_far(0.01).tar, 2),
        }


class _Cropping:
    """An engine whose templates are the crops themselves."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine

    def embed(self, crops: list[Pixels]) -> NDArray[np.float32]:
        return np.stack(crops).reshape(len(crops), -1).astype(np.float32)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def sessions(
    card: ModelCard, models: Path, providers: list[str], inputs: list[NDArray[np.uint8]]
) -> Iterable[tuple[str, Precision, Session | Tried]]:
    """Every way to run the model that there is here."""
    for provider in providers:
        on = Runtime((provider,))
        for precision in card.precisions:
            if precision is Precision.INT8 or not on.can(precision):
                continue
            try:
                yield (
                    provider,
                    precision,
                    Session(card, models, on, precision=precision, buckets=_ALONE),
                )
            except FacewatchError as trouble:
                print(f"{provider} is left out: {trouble.what}", flush=True)
                break
    yield "cpu", Precision.INT8, in_whole_numbers(card, models, inputs)


def material(models: Path) -> tuple[list[ArrayPicture], list[NDArray[np.uint8]], list[Pixels]]:
    """The demo's photographs, them as canvases of several sizes, and the faces in them."""
    folder = _ROOT / ".home" / "demo"
    photos.fetch(PHOTOS, folder, lambda *_: None)
    pictures = [decode((folder / it.file).read_bytes(), it.file) for it in PHOTOS]
    canvases = [
        Sheets().painted([it], [Canvas.of(it.width, it.height, side)])[0].copy()
        for it in pictures
        for side in _SCALES
    ]
    canvases += [np.ascontiguousarray(it[:, ::-1] // 3) for it in canvases]  # mirrored, at dusk
    engine = open_engine(models)
    crops = [
        engine.align(picture, face.landmarks)
        for picture in pictures
        for face in engine.detect([picture])[0]
    ]
    return pictures, canvases, [*crops, *(np.ascontiguousarray(it[:, ::-1]) for it in crops)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without LFW, two rounds")
    parser.add_argument("--providers", default="cpu,openvino,cuda,tensorrt")
    parser.add_argument("--write", metavar="CARD")
    args = parser.parse_args()
    models = load_for_process(None, {}).model_directory
    pictures, canvases, crops = material(models)
    if args.write:
        card = registry.card(args.write)
        write(card, models, canvases if card.kind is Kind.DETECTOR else crops)
        return
    with_lfw = not args.quick and (SHARED / "lfw-view1").exists()
    lfw = Lfw(open_engine(models)) if with_lfw else None
    rows: list[dict[str, object]] = []
    for name in ("yunet", "scrfd-2.5g", "sface"):
        card = registry.card(name)
        if not (models / card.file).exists():
            print(f"{name} is left out: it is not in {models}", flush=True)
            continue
        inputs = canvases if card.kind is Kind.DETECTOR else crops
        usual = None
        for provider, precision, session in sessions(
            card, models, args.providers.split(","), inputs
        ):
            picture = canvases[0] if card.kind is Kind.DETECTOR else crops[0]
            row: dict[str, object] = {
                "benchmark": "precision",
                "model": name,
                "provider": provider,
                "precision": precision,
                "cpu_ms": round(
                    cpu_ms(
                        lambda it=session, on=picture: it.run(on[None]), 2 if args.quick else 20
                    ),
                    2,
                ),
            }
            if card.kind is Kind.DETECTOR:
                found = Detector(session, long_side=640, threshold=0.7).detect(pictures)
                usual = usual or found
                row |= moved(found, usual)
            else:
                embedder = Embedder(session)
                templates = embedder.embed(crops)
                usual = templates if usual is None else usual
                cosines = (templates * usual).sum(1)
                row |= {"least_cosine": round(float(cosines.min()), 6)}
                if lfw:
                    row |= lfw.figures(embedder)
            rows.append(row)
            print(json.dumps(row), flush=True)
    for kind in (("yunet", "scrfd-2.5g"), ("sface",)):
        mine = [it for it in rows if it["model"] in kind]
        shown = [key for key in mine[0] if key != "benchmark"]
        print()
        table(shown, [[it[key] for key in shown] for it in mine])


if __name__ == "__main__":
    main()

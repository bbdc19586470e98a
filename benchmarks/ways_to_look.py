"""Whether two photos show one person, parts of the way from photo to template done otherwise.

LFW View 1's 1,000 pairs, as `facewatch eval verification` measures them, with: another detector;
room around each photo, so that faces at its edge are whole; crops that show more or less of the
head; templates of a face and its mirror image added up.

    .venv/bin/python benchmarks/ways_to_look.py [--quick]

Prints a JSON line a way, then a table.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shared import SHARED, needed

from facewatch.cli.output import table
from facewatch.domain.faces import Landmarks, Pixels
from facewatch.evaluate.pairs import load_pairs
from facewatch.evaluate.photos import Photos, Whose
from facewatch.evaluate.verification import verify
from facewatch.ports.streams import Picture
from facewatch.settings import load_for_process
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import ArrayPicture, decode


class Way:
    """An engine that cuts faces *wider*, and adds the mirror image's template if *mirrored*."""

    def __init__(self, engine: FaceEngine, *, wider: float = 1.0, mirrored: bool = False) -> None:
        self._engine = engine
        self._wider = wider
        self._mirrored = mirrored

    def align(self, picture: Picture, landmarks: Landmarks) -> Pixels:
        middle = landmarks.mean(axis=0)
        return self._engine.align(
            picture, (middle + (landmarks - middle) * self._wider).astype(np.float32)
        )

    def embed(self, crops: list[Pixels]) -> NDArray[np.float32]:
        templates = self._engine.embed(crops)
        if self._mirrored:
            templates = templates + self._engine.embed(
                [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
            )
        return templates / np.linalg.norm(templates, axis=1, keepdims=True)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def with_room(photo: bytes, name: str) -> Picture:
    """A quarter of its size more on each side, in the colours of its edge."""
    pixels = decode(photo, name).full()
    across, down = pixels.shape[1] // 4, pixels.shape[0] // 4
    return ArrayPicture(np.pad(pixels, ((down, down), (across, across), (0, 0)), "edge"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every tenth pair")
    args = parser.parse_args()
    folder = needed(SHARED / "lfw-view1")
    pairs = load_pairs(folder / "pairsDevTest.txt", folder / "images")
    pairs = pairs[::10] if args.quick else pairs
    photos: list[Path] = list(dict.fromkeys(it for each in pairs for it in (each.left, each.right)))
    models = load_for_process(None, {}).model_directory
    engine = open_engine(models)
    ways = {
        "as facewatch does it": (engine, decode),
        "mirror image added": (Way(engine, mirrored=True), decode),
        "room around the photo": (engine, with_room),
        "crop 6 % wider": (Way(engine, wider=1 / 1.06), decode),
        "crop 6 % tighter": (Way(engine, wider=1.06), decode),
    }
    if (models / "scrfd_2.5g_bnkps.onnx").exists():
        ways["SCRFD-2.5G for YuNet"] = (open_engine(models, "scrfd-2.5g"), decode)
    rows = []
    for name, (looker, decoder) in ways.items():
        look = Photos(looker, decoder, Whose.CENTRE)
        measured = verify(pairs, {photo: look.face(photo) for photo in photos})
        row = {
            "benchmark": "ways_to_look",
            "way": name,
            "pairs": len(pairs),
            "accuracy_percent": round(100 * measured.accuracy, 2),
            "tar_at_far_0.01_percent": round(100 * measured.at_far(0.01).tar, 2),
            "failures": len(measured.failures),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    print()
    table(list(rows[0]), [list(row.values()) for row in rows])


if __name__ == "__main__":
    main()

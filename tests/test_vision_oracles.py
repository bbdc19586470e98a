"""Other people's code on the same files: OpenCV's for the default pair, insightface for SCRFD.

Tolerances are what single precision leaves: insightface computes in original pixels where we
compute on the canvas, and divides by where we multiply with.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facewatch.domain.faces import Detection, Pixels
from facewatch.vision import registry
from facewatch.vision.detect.canvas import Canvas
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import ArrayPicture, decode

ROOT = Path(__file__).parent.parent
INSIGHTFACE = ROOT / ".venvs" / "insightface" / "bin" / "python"
GROUPS = ROOT.parent / "shared" / "data" / "dev" / "groups"


@pytest.fixture(scope="module")
def pictures(photos: Path) -> list[Pixels]:
    """The demo's photographs, all of them in one picture, and groups where they are at hand."""
    found = [decode(path.read_bytes(), path.name).full() for path in sorted(photos.iterdir())]
    wall = np.full((1240, 1280, 3), 60, np.uint8)
    for place, pixels in enumerate(found):
        top, left = divmod(place, 2)
        small = cv2.resize(pixels, (560, int(560 * min(1.0, pixels.shape[0] / pixels.shape[1]))))
        wall[top * 600 : top * 600 + len(small), left * 620 : left * 620 + 560] = small
    groups = [decode(path.read_bytes()).full() for path in sorted(GROUPS.glob("*.jpg"))]
    return [wall, *found, *groups]


# --- OpenCV -----------------------------------------------------------------------------------


def test_faces_and_templates_are_opencvs(models: Path, pictures: list[Pixels]) -> None:
    engine = open_engine(models, score_threshold=0.7)
    sface = cv2.FaceRecognizerSF.create(str(models / registry.card("sface").file), "")
    faces = 0
    for pixels in pictures:
        picture = ArrayPicture(pixels)
        found = engine.detect([picture])[0]
        theirs = by_opencv(models, picture)
        assert len(found) == len(theirs)
        for ours, row in zip(found, theirs, strict=True):
            left, top, width, height = row[:4]
            assert corners(ours) == pytest.approx((left, top, left + width, top + height), abs=5e-3)
            assert ours.landmarks == pytest.approx(row[4:14].reshape(5, 2), abs=5e-3)
            assert ours.score == pytest.approx(row[14], abs=1e-5)
            crop = engine.align(picture, ours.landmarks)
            their_crop = sface.alignCrop(pixels, row)
            assert np.abs(crop.astype(int) - their_crop).max() <= 2
            assert cosine(engine.embed([crop])[0], sface.feature(their_crop)[0]) > 0.9999
            faces += 1
    assert faces >= 8


def by_opencv(models: Path, picture: ArrayPicture) -> NDArray[np.float32]:
    """Rows of `cv2.FaceDetectorYN`, best first, in the picture's own pixels."""
    canvas = Canvas.of(picture.width, picture.height, 640)
    size = canvas.fit_width, canvas.fit_height
    yunet = cv2.FaceDetectorYN.create(
        str(models / registry.card("yunet").file), "", size, 0.7, 0.3, 5000
    )
    rows = yunet.detect(picture.fit(*size))[1]
    if rows is None:
        return np.empty((0, 15), np.float32)
    rows = rows[np.argsort(-rows[:, 14])]
    rows[:, :14] *= np.tile([picture.width / size[0], picture.height / size[1]], 7)
    return rows


# --- insightface ------------------------------------------------------------------------------


@dataclass
class Finding:
    """What insightface found in one picture, best first."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    crops: NDArray[np.uint8]
    templates: NDArray[np.float32]


@pytest.fixture(scope="module")
def squares(pictures: list[Pixels]) -> list[Pixels]:
    """Pictures that are scaled by exactly one half to fill most of 640 x 640.

    The file's canvas is 640 x 640 and insightface knows no other.
    """
    return [cv2.resize(pixels, (1280, 1240)) for pixels in pictures]


@pytest.fixture(scope="module")
def insightface(
    models: Path, squares: list[Pixels], tmp_path_factory: pytest.TempPathFactory
) -> list[Finding]:
    if not INSIGHTFACE.exists():
        pytest.skip("no .venvs/insightface: run tests/oracle/make_venv.sh, or make test")
    root = tmp_path_factory.mktemp("insightface")
    oracle = root / "models" / "oracle"
    oracle.mkdir(parents=True)
    for name in ("scrfd-2.5g", "sface"):
        (oracle / registry.card(name).file).symlink_to(models / registry.card(name).file)
    files = [root / f"{number}.png" for number in range(len(squares))]
    for file, pixels in zip(files, squares, strict=True):
        cv2.imwrite(str(file), pixels)
    script = Path(__file__).parent / "oracle" / "insightface_faces.py"
    subprocess.run(
        [INSIGHTFACE, script, root, root / "found.npz", "640x640", *files],
        check=True,
        timeout=120,
    )
    with np.load(root / "found.npz") as found:
        parts = ("boxes", "scores", "landmarks", "crops", "templates")
        return [
            Finding(*(found[f"{number}_{part}"] for part in parts)) for number in range(len(files))
        ]


def test_faces_and_templates_are_insightfaces(
    models: Path, squares: list[Pixels], insightface: list[Finding]
) -> None:
    engine = open_engine(models, "scrfd-2.5g", "sface", score_threshold=0.5)
    faces = 0
    for pixels, theirs in zip(squares, insightface, strict=True):
        picture = ArrayPicture(pixels)
        found = engine.detect([picture])[0]
        assert len(found) == len(theirs.boxes)
        for place, ours in enumerate(found):
            assert corners(ours) == pytest.approx(theirs.boxes[place], abs=1e-2)
            assert ours.score == pytest.approx(theirs.scores[place], abs=1e-4)
            assert ours.landmarks == pytest.approx(theirs.landmarks[place], abs=1e-2)
            assert_same_face(engine, picture, ours, theirs, place)
            faces += 1
    assert faces >= 8


def assert_same_face(
    engine: FaceEngine, picture: ArrayPicture, ours: Detection, theirs: Finding, place: int
) -> None:
    crop = engine.align(picture, ours.landmarks)
    assert np.abs(crop.astype(int) - theirs.crops[place]).max() <= 2
    assert cosine(engine.embed([crop])[0], theirs.templates[place]) > 0.9999


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def corners(found: Detection) -> tuple[float, float, float, float]:
    return found.box.left, found.box.top, found.box.right, found.box.bottom

"""From pictures to templates: the same answer however pictures are grouped, and always the same."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from facewatch.domain.faces import Detection, Pixels
from facewatch.domain.geometry import Box
from facewatch.errors import InvalidSettings, ModelCorrupt, NotFound, ProviderMissing
from facewatch.vision import registry
from facewatch.vision.batching import Buckets
from facewatch.vision.cards import Colour
from facewatch.vision.detect.canvas import Canvas, kept
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import ArrayPicture, decode
from facewatch.vision.runtime import Runtime
from facewatch.vision.session import Session

DETECTORS = ["yunet", "scrfd-2.5g"]
EVERY = [*DETECTORS, "sface"]
PADDED = Buckets({1: 1.0, 2: 1.1, 4: 1.2, 8: 1.3})
SPLIT = Buckets({1: 1.0, 2: 2.0, 4: 4.0})
NO_TINY = np.zeros(196, np.float32)


@pytest.fixture(scope="module")
def pictures(photos: Path) -> list[ArrayPicture]:
    return [decode(path.read_bytes(), path.name) for path in sorted(photos.iterdir())]


@pytest.fixture(scope="module")
def engines(models: Path) -> dict[str, FaceEngine]:
    return {name: open_engine(models, name, score_threshold=0.5) for name in DETECTORS}


def inputs(pictures: list[ArrayPicture], card: str, count: int) -> NDArray[np.uint8]:
    """Different pictures of the size that the model called *card* takes."""
    side = registry.card(card).input.side or 320
    made = [picture.fit(side, side) for picture in pictures]
    made += [np.ascontiguousarray(pixels[:, ::-1]) for pixels in made]
    return np.stack((made * 2)[:count])


# --- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("buckets", [PADDED, SPLIT], ids=["padded", "split"])
@pytest.mark.parametrize("name", EVERY)
def test_a_batch_gives_what_single_runs_give(
    models: Path, pictures: list[ArrayPicture], name: str, buckets: Buckets
) -> None:
    session = Session(registry.card(name), models, buckets=buckets)
    batch = inputs(pictures, name, 11)

    together = session.run(batch)

    alone = [session.run(batch[place : place + 1]) for place in range(len(batch))]
    for output, singles in zip(together, zip(*alone, strict=True), strict=True):
        assert len(output) == 11
        assert np.allclose(output, np.concatenate(singles), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("buckets", [PADDED, SPLIT], ids=["padded", "split"])
def test_only_fixed_batch_sizes_are_run(buckets: Buckets) -> None:
    for count in range(40):
        plan = buckets.plan(count)
        assert sum(pictures for pictures, _ in plan) == count
        assert all(size in buckets.sizes and pictures <= size for pictures, size in plan)


@pytest.mark.parametrize("name", EVERY)
def test_the_changed_graph_answers_as_the_published_file(
    models: Path, pictures: list[ArrayPicture], name: str
) -> None:
    """Fed as its card says; so colours, mean and scale are what we believe they are."""
    card = registry.card(name)
    published = ort.InferenceSession(models / card.file, providers=["CPUExecutionProvider"])
    pixels = pictures[0].fit(card.input.side or 640, card.input.side or 640)
    seen = pixels[..., ::-1] if card.input.colour is Colour.RGB else pixels
    planes = ((seen.astype(np.float32) - card.input.mean) / card.input.scale).transpose(2, 0, 1)

    theirs = published.run(None, {published.get_inputs()[0].name: planes[None]})

    ours = Session(card, models).run(pixels[None])
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a.ravel(), b.ravel(), rtol=1e-4, atol=2e-5)


def test_the_changed_graph_is_kept_and_made_again_when_it_is_gone(
    models: Path, tmp_path: Path
) -> None:
    card = registry.card("yunet")
    (tmp_path / card.file).write_bytes((models / card.file).read_bytes())
    Session(card, tmp_path)
    (kept_file,) = (tmp_path / ".prepared").iterdir()
    first = kept_file.stat().st_mtime_ns

    Session(card, tmp_path)
    assert kept_file.stat().st_mtime_ns == first

    kept_file.write_bytes(b"ruined")
    with pytest.raises(ModelCorrupt, match=r"delete .*\.prepared"):
        Session(card, tmp_path)
    kept_file.unlink()
    Session(card, tmp_path)


def test_a_demanded_provider_that_is_not_there_is_an_error(models: Path) -> None:
    absent = next(
        name
        for name in ("cuda", "openvino", "tensorrt")
        if not any(name in built_in.lower() for built_in in ort.get_available_providers())
    )
    with pytest.raises(ProviderMissing, match="install facewatch with the extra"):
        open_engine(models, runtime=Runtime((absent, "cpu")))


# --- golden values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "box", "nose", "score"),
    [
        ("yunet", (178.17, 62.91, 268.07, 176.24), (220.37, 124.54), 0.9323),
        ("scrfd-2.5g", (180.44, 55.71, 271.42, 179.09), (223.91, 128.99), 0.8417),
    ],
)
def test_the_astronaut_is_found_where_she_always_was(
    engines: dict[str, FaceEngine],
    photos: Path,
    name: str,
    box: tuple[float, ...],
    nose: tuple[float, float],
    score: float,
) -> None:
    (found,) = engines[name].detect([decode((photos / "astronaut.png").read_bytes())])[0]
    assert corners(found) == pytest.approx(box, abs=0.05)
    assert found.landmarks[2] == pytest.approx(nose, abs=0.05)
    assert found.score == pytest.approx(score, abs=1e-3)


SFACE_ASTRONAUT = (-0.0168, -0.0345, 0.0191, 0.0895, -0.0546, 0.1191)


def test_the_astronauts_template_is_what_it_always_was(
    engines: dict[str, FaceEngine], photos: Path
) -> None:
    crop = decode((photos / "astronaut.png").read_bytes()).cut(Box(160, 50, 272, 162))[0]
    template = engines["yunet"].embed([crop])[0]
    assert template[:6] == pytest.approx(SFACE_ASTRONAUT, abs=1e-3)
    assert np.linalg.norm(template) == pytest.approx(1, abs=1e-6)


def test_colours_the_wrong_way_round_are_noticed(
    engines: dict[str, FaceEngine], photos: Path
) -> None:
    crop = decode((photos / "astronaut.png").read_bytes()).cut(Box(160, 50, 272, 162))[0]
    right, wrong = engines["yunet"].embed([crop, np.ascontiguousarray(crop[..., ::-1])])
    assert right[:6] == pytest.approx(SFACE_ASTRONAUT, abs=1e-3)
    assert right @ wrong < 0.99


# --- the engine -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DETECTORS)
def test_pictures_of_all_sizes_may_come_together(
    engines: dict[str, FaceEngine], pictures: list[ArrayPicture], name: str
) -> None:
    mixed = [*pictures, *pictures[:2], ArrayPicture(np.zeros((1, 1, 3), np.uint8)), *pictures]
    together = engines[name].detect(mixed)
    alone = [engines[name].detect([picture])[0] for picture in mixed]
    assert [len(found) for found in together] == [len(found) for found in alone]
    for ours, theirs in zip(together, alone, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert corners(a) == pytest.approx(corners(b), abs=0.01)


def test_the_same_person_is_nearer_than_another(
    engines: dict[str, FaceEngine], photos: Path
) -> None:
    engine = engines["yunet"]
    crops = []
    for file in ("obama.jpg", "obama3.jpg", "astronaut.png", "grace_hopper.jpg"):
        picture = decode((photos / file).read_bytes())
        crops.append(engine.align(picture, engine.detect([picture])[0][0].landmarks))
    templates = engine.embed(crops)
    assert templates.shape == (4, engine.dimensions)
    similar = templates @ templates.T
    assert similar[0, 1] > engine.calibration.similarity(0.7, gallery=100)
    assert max(similar[0, 2], similar[0, 3], similar[2, 3]) < 0.3


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3000, 5), (5, 3000), (33, 31)])
@pytest.mark.parametrize("name", DETECTORS)
def test_odd_pictures_have_no_faces(
    engines: dict[str, FaceEngine], name: str, width: int, height: int
) -> None:
    assert engines[name].detect([ArrayPicture(np.full((height, width, 3), 90, np.uint8))]) == [[]]


def test_nothing_comes_of_nothing(engines: dict[str, FaceEngine]) -> None:
    assert engines["yunet"].detect([]) == []
    assert engines["yunet"].embed([]).shape == (0, 128)


def test_a_face_beyond_the_edge_is_cut_black(engines: dict[str, FaceEngine]) -> None:
    white = ArrayPicture(np.full((100, 100, 3), 255, np.uint8))
    face = np.float32([[38, 52], [73, 52], [56, 72], [41, 92], [71, 92]])
    assert not engines["yunet"].align(white, face + 1000).any()
    half = engines["yunet"].align(white, face - (60, 0))
    assert half[50, 100].max() == 0 or half[50, 10].max() == 0
    assert half.max() == 255
    assert engines["yunet"].align(white, np.full((5, 2), 50, np.float32)).shape == (112, 112, 3)


def test_a_picture_is_never_enlarged() -> None:
    assert Canvas.of(100, 50, 640) == Canvas(128, 64, 100, 50)
    assert Canvas.of(1920, 1080, 640) == Canvas(640, 384, 640, 360)
    assert Canvas.of(1080, 1920, 640) == Canvas(384, 640, 360, 640)


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [8, 8, 18, 18], [1, 1, 11, 11]])
    assert kept(boxes, np.float32([0.8, 0.9, 0.7, 0.6]), 0.3).tolist() == [1, 2]


def test_a_model_for_another_purpose_is_refused(models: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"'sface' is no detector.*yunet"):
        open_engine(models, detector="sface")
    with pytest.raises(NotFound, match="no model is called"):
        open_engine(models, embedder="facenet")


# --- quality ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portrait(photos: Path) -> Pixels:
    return decode((photos / "obama.jpg").read_bytes()).full()


Judge = Callable[[Pixels], tuple[float, float, float]]


@pytest.fixture(scope="module")
def judge(engines: dict[str, FaceEngine], portrait: Pixels) -> Judge:
    """Sharpness, exposure and whole of the portrait after something was done to it."""
    engine = engines["yunet"]
    (found,) = engine.detect([ArrayPicture(portrait)])[0]

    def judged(pixels: Pixels) -> tuple[float, float, float]:
        quality = engine.quality(found, engine.align(ArrayPicture(pixels), found.landmarks))
        return quality.sharpness, quality.exposure, quality.overall

    return judged


def test_a_good_portrait_is_good(judge: Judge, portrait: Pixels) -> None:
    assert min(judge(portrait)) > 0.9


def test_the_more_blurred_the_less_sharp(judge: Judge, portrait: Pixels) -> None:
    width = 243  # px of the face; the crop is about half as wide
    sharp = [judge(cv2.GaussianBlur(portrait, (0, 0), sigma))[0] for sigma in (1, 4, 6, 10, 16)]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[-1] < 0.2
    scale = 14 / width
    tiny = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    back = cv2.resize(tiny, portrait.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    assert judge(back)[0] < 0.5


def test_neither_dark_nor_dim_but_burnt_out_and_flat_are_bad(
    judge: Judge, portrait: Pixels
) -> None:
    def lit(gain: float, plus: float = 0.0) -> float:
        return judge(np.clip(portrait.astype(float) * gain + plus, 0, 255).astype(np.uint8))[1]

    assert lit(0.4) > 0.9
    assert lit(0.04) < 0.3
    assert lit(4) < 0.3
    assert lit(0.05, 120) < 0.3


@pytest.mark.parametrize(("angle", "least", "most"), [(0, 0.95, 1), (15, 0.9, 1), (60, 0, 0.1)])
def test_a_turned_head_is_worth_less_and_a_tilted_one_is_not(
    engines: dict[str, FaceEngine], angle: float, least: float, most: float
) -> None:
    """A head of five points, turned about its neck and seen from far away."""
    head = np.array([[-31, -33, 0], [31, -33, 0], [0, 0, 35], [-25, 32, 8], [25, 32, 8]], float)
    turn = np.radians(angle)
    x = head[:, 0] * np.cos(turn) + head[:, 2] * np.sin(turn)
    for tilt in np.radians((0, 40)):
        seen = np.stack([x * np.cos(tilt) - head[:, 1] * np.sin(tilt),
                         x * np.sin(tilt) + head[:, 1] * np.cos(tilt)], 1) + 200  # fmt: skip
        found = Detection(Box(150, 150, 250, 250), seen.astype(np.float32), 0.9, NO_TINY)
        grey = np.full((112, 112, 3), 128, np.uint8)
        assert least <= engines["yunet"].quality(found, grey).pose <= most


def test_small_faces_are_worth_less(engines: dict[str, FaceEngine], judge: Judge) -> None:
    points = np.float32([[38, 52], [73, 52], [56, 72], [41, 92], [71, 92]])
    crop = np.zeros((112, 112, 3), np.uint8)
    sizes = [
        engines["yunet"]
        .quality(Detection(Box(0, 0, width, width), points, 0.9, NO_TINY), crop)
        .size
        for width in (20, 24, 40, 60, 80, 200)
    ]
    assert sizes[0] == sizes[1] == 0
    assert sizes[-1] == sizes[-2] == 1
    assert sizes == sorted(sizes)


def corners(found: Detection) -> tuple[float, float, float, float]:
    return found.box.left, found.box.top, found.box.right, found.box.bottom

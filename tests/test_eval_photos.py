"""Pairs and galleries: the arithmetic by hand, the commands on real photographs."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from videos import counting_pictures

from facewatch.cli import facewatch
from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Quality, Template
from facewatch.errors import FacewatchError, PlotsUnavailable, UnusableLabels, UnusablePhoto
from facewatch.evaluate.identification import Attempt, det, identify
from facewatch.evaluate.pairs import Pair, load_pairs
from facewatch.evaluate.photos import Face
from facewatch.evaluate.verification import best_threshold, cross_validated, roc, verify
from facewatch.people.decide import Rule
from facewatch.stream.encode import encode_video
from facewatch.vision.engine import open_engine
from facewatch.vision.pictures import ArrayPicture, decode

CALIBRATION = Calibration("test", ((0.363, -3.23), (0.415, -4.0), (0.468, -5.0), (0.541, -6.0)))
GOOD = Quality(size=1, sharpness=1, pose=1, exposure=1, score=1)


def a_face(*cosines: float, refused: str = "", quality: Quality = GOOD) -> Face:
    """Of unit length, with these cosines to the first axes."""
    rest = np.sqrt(max(0.0, 1 - sum(c * c for c in cosines)))
    template: Template = np.array([*cosines, *[0.0] * (7 - len(cosines)), rest], np.float32)
    return Face(template, quality, refused)


def photo(name: str) -> Path:
    return Path(f"/photos/{name}.jpg")


# --- pairs ------------------------------------------------------------------------------------


def test_the_threshold_of_a_fold_comes_from_the_others() -> None:
    scores = np.array([0.1, 0.8, 0.5, 0.9])
    same = np.array([False, True, False, True])
    accuracies, thresholds = cross_validated(scores, same, np.array([0, 0, 1, 1]))

    assert thresholds == [pytest.approx(0.7), pytest.approx(0.45)]
    assert accuracies == [1.0, 0.5]


def test_equal_scores_are_never_told_apart() -> None:
    scores = np.array([0.5, 0.5, 0.5, 0.2])
    threshold = best_threshold(scores, np.array([True, False, True, False]))

    assert threshold == pytest.approx(0.35)


def test_rates_at_each_threshold() -> None:
    points = roc(np.array([0.9, 0.6, 0.4, 0.7, 0.2]), np.array([True, True, True, False, False]))

    assert [(it.threshold, it.far, it.tar) for it in points[:-1]] == [
        (0.2, 1.0, 1.0),
        (0.4, 0.5, 1.0),
        (0.6, 0.5, pytest.approx(2 / 3)),
        (0.7, 0.5, pytest.approx(1 / 3)),
        (0.9, 0.0, pytest.approx(1 / 3)),
    ]
    assert (points[-1].far, points[-1].tar) == (0.0, 0.0)


def test_a_face_that_is_not_found_makes_a_pair_two_people() -> None:
    faces: dict[Path, Face | str] = {
        photo("a"): a_face(1.0),
        photo("b"): a_face(0.9),
        photo("c"): a_face(0.0, 1.0),
        photo("d"): "d.jpg: no face found",
    }
    pairs = [
        Pair(photo("a"), photo("b"), True),
        Pair(photo("a"), photo("d"), True),
        Pair(photo("a"), photo("c"), False),
        Pair(photo("c"), photo("d"), False),
    ]
    measured = verify(pairs, faces)

    assert measured.at_far(1e-2).tar == 0.5
    assert measured.at_far(1e-2).threshold == pytest.approx(0.9)
    assert measured.json()["failures_to_enrol"] == {"/photos/d.jpg": "d.jpg: no face found"}
    assert len(measured.accuracies) == 2


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    for name in ("Ann_A", "Ben_B"):
        (tmp_path / name).mkdir()
        for number in range(1, 5):
            (tmp_path / name / f"{name}_{number:04}.jpg").touch()
    return tmp_path


def test_lfw_pairs_are_read_with_their_sets(lfw: Path) -> None:
    pairs = lfw / "pairs.txt"
    same, different = "Ann_A 1 2\n", "Ann_A 3 Ben_B 4\n"
    pairs.write_text(f"2 1\n{same}{different}{same}{different}")
    loaded = load_pairs(pairs, lfw)

    assert [(it.left.name, it.right.name, it.same, it.fold) for it in loaded] == [
        ("Ann_A_0001.jpg", "Ann_A_0002.jpg", True, 0),
        ("Ann_A_0003.jpg", "Ben_B_0004.jpg", False, 0),
        ("Ann_A_0001.jpg", "Ann_A_0002.jpg", True, 1),
        ("Ann_A_0003.jpg", "Ben_B_0004.jpg", False, 1),
    ]
    pairs.write_text(f"2\n{same}{same}{different}{different}")
    assert {it.fold for it in load_pairs(pairs, lfw)} == {0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "left, right and same"),
        ("a.jpg,b.jpg,1\n", "left, right and same"),
        ("left,right,same\na.jpg,b.jpg,perhaps\n", "line 2"),
        ("left,right,same\na.jpg,,1\n", "line 2"),
        ("left,right,same\na.jpg\n", "line 2"),
        ('left,right,same\n"a.jpg,b.jpg,1\n', "unexpected end"),
        ("left,right,same\na.jpg,b.jpg,1\na.jpg,b.jpg,1\n", "at least two of each"),
        (
            "left,right,same\na.jpg,b.jpg,1\na.jpg,b.jpg,1\na.jpg,b.jpg,0\na.jpg,b.jpg,0\n",
            "not there",
        ),
    ],
)
def test_pairs_of_another_format_are_refused(tmp_path: Path, text: str, says: str) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)

    with pytest.raises(UnusableLabels, match=says):
        load_pairs(pairs, None)


def test_csv_is_not_taken_for_lfw_pairs(lfw: Path) -> None:
    pairs = lfw / "pairs.csv"
    pairs.write_text("left,right,same\n")

    with pytest.raises(UnusableLabels, match="line 1: neither"):
        load_pairs(pairs, lfw)


# --- galleries --------------------------------------------------------------------------------


def test_identification_rates_by_hand() -> None:
    attempts = [
        Attempt(photo("x"), "ann", "ann", 0.9, "ann"),
        Attempt(photo("x"), "ann", "ann", 0.5, None),
        Attempt(photo("x"), "ben", "ann", 0.8, "ann"),
        Attempt(photo("x"), "ben", None, -1.0, None),
        Attempt(photo("x"), None, "ann", 0.6, "ann"),
        Attempt(photo("x"), None, "ben", 0.2, None),
    ]
    errors = [(round(it.threshold, 6), it.fpir, it.fnir) for it in det(attempts)]

    assert errors == [(0.2, 1.0, 0.5), (0.2, 0.5, 0.5), (0.6, 0.5, 0.75), (0.6, 0.0, 0.75)]


def test_a_gallery_is_asked_as_recognition_asks_it() -> None:
    blurred = Quality(size=1, sharpness=0.01, pose=1, exposure=1, score=1)
    faces: dict[Path, Face | str] = {
        photo("ann"): a_face(1.0),
        photo("ben"): a_face(0.0, 1.0),
        photo("ben poor"): a_face(0.0, 0.0, 1.0, refused="too blurred"),
        photo("ann again"): a_face(0.8, 0.1),
        photo("ann blurred"): a_face(0.9, quality=blurred),
        photo("ben as ann"): a_face(0.7, 0.2),
        photo("ben hidden"): "no face found",
        photo("stranger"): a_face(0.2, 0.3),
        photo("lookalike"): a_face(0.6, 0.1),
    }
    measured = identify(
        [("ann", photo("ann")), ("ben", photo("ben")), ("ben", photo("ben poor"))],
        [
            ("ann", photo("ann again")),
            ("ann", photo("ann blurred")),
            ("ben", photo("ben as ann")),
            ("ben", photo("ben hidden")),
        ],
        [photo("stranger"), photo("lookalike")],
        faces,
        CALIBRATION,
        Rule(),
    )

    assert (measured.people, measured.gallery_photos) == (2, 2)
    assert measured.rank1 == 0.5
    assert (measured.named_right, measured.named_wrong) == (0.25, 0.25)
    assert measured.fpir == 0.5
    assert [(it.photo, it.named) for it in measured.mistakes] == [
        (photo("ben as ann"), "ann"),
        (photo("lookalike"), "ann"),
    ]
    assert measured.threshold_similarity == pytest.approx(0.415)
    assert measured.at_fpir(1e-2).fnir == pytest.approx(0.5)
    assert set(measured.refused) == {photo("ben poor"), photo("ben hidden")}


def test_a_gallery_of_nobody_and_probes_of_strangers_are_refused() -> None:
    faces: dict[Path, Face | str] = {photo("ann"): "ann.jpg: no face found"}
    gallery = [("ann", photo("ann"))]

    with pytest.raises(UnusableLabels, match=r"no photo of GALLERY.*no face found"):
        identify(gallery, gallery, [], faces, CALIBRATION, Rule())
    with pytest.raises(UnusableLabels, match="'cid', whom GALLERY does not have"):
        identify(gallery, [("cid", photo("ann"))], [], faces, CALIBRATION, Rule())


# --- the commands -----------------------------------------------------------------------------


def answer(capfd: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command prints, as JSON; in this process, because loading models twice is dear."""
    facewatch.main([*words, "--json"], standalone_mode=False)
    return json.loads(capfd.readouterr().out.splitlines()[-1])


@pytest.fixture
def at_home(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_MODELS_DIRECTORY", str(models))
    return tmp_path


def test_pairs_of_real_photographs_are_told_apart(
    at_home: Path, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (at_home / "broken.jpg").write_bytes(b"no picture")
    obama, obama3 = photos / "obama.jpg", photos / "obama3.jpg"
    hopper, collins = photos / "grace_hopper.jpg", photos / "astronaut.png"
    rows = [
        (obama, obama3, 1),
        (obama3, obama, "true"),
        (obama, hopper, 0),
        (collins, obama3, "no"),
        ("broken.jpg", hopper, 0),
    ]
    pairs = at_home / "pairs.csv"
    pairs.write_text("left,right,same\n" + "".join(f"{a},{b},{same}\n" for a, b, same in rows))
    measured = answer(
        capfd, "eval", "verification", str(pairs), "--pictures", str(at_home / "pictures")
    )

    assert measured["pairs"] == {"same": 2, "different": 3}
    assert measured["accuracy"] == 1.0
    assert measured["tar"][1]["tar"] == 1.0
    assert measured["photos"] == 5
    assert list(measured["failures_to_enrol"]) == [str(at_home / "broken.jpg")]
    assert (at_home / "pictures/verification.png").read_bytes()[:4] == b"\x89PNG"


def test_a_stranger_at_a_gallery_of_real_photographs_gets_no_name(
    at_home: Path, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for place, name in {
        "gallery/Obama": "obama.jpg",
        "gallery/Hopper": "grace_hopper.jpg",
        "probes/Obama": "obama3.jpg",
        "strangers/Collins": "astronaut.png",
    }.items():
        (at_home / place).mkdir(parents=True)
        (at_home / place / name).symlink_to(photos / name)
    measured = answer(
        capfd,
        *("eval", "identification", str(at_home / "gallery"), str(at_home / "probes")),
        *("--strangers", str(at_home / "strangers"), "--pictures", str(at_home)),
    )

    assert measured["gallery"] == {"people": 2, "photos": 2}
    assert measured["rank1"] == 1.0
    assert measured["in_force"]["named_right"] == 1.0
    assert measured["in_force"]["fpir"] == 0.0
    assert measured["fnir"][0]["fnir"] == 0.0
    assert (at_home / "identification.png").read_bytes()[:4] == b"\x89PNG"


def test_a_labelled_video_is_judged(
    at_home: Path, models: Path, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = decode((photos / "obama.jpg").read_bytes())
    picture = ArrayPicture(picture.fit(picture.width // 4 * 2, picture.height // 4 * 2))
    face = open_engine(models).detect([picture])[0][0].box.rounded()
    encode_video(at_home / "door.mp4", [picture.full()] * 30, fps=10)
    label = {
        "id": "P1",
        "recognizable": "yes",
        "enrolled_as": "obama3",
        "visible_s": [[0, 2.9]],
        "boxes": [[number / 5, *face] for number in range(15)],
    }
    truth = at_home / "truth.json"
    truth.write_text(json.dumps({"videos": [{"file": "door.mp4", "people": [label]}]}))
    (at_home / "enrol").mkdir()
    (at_home / "enrol" / "obama3.jpg").symlink_to(photos / "obama3.jpg")
    words = ("eval", "visits", str(at_home / "door.mp4"), "--truth", str(truth))

    named = answer(capfd, *words, "--enrol", str(at_home / "enrol"), "--pictures", str(at_home))
    assert (named["visits"], named["once"], named["right"]) == (1, 1, 1)
    assert 1 <= named["embeddings"] <= named["embeddings_allowed"]
    assert (at_home / "door.png").read_bytes()[:4] == b"\x89PNG"

    facewatch.main([*words], standalone_mode=False)
    shown = capfd.readouterr().out
    assert "P1" in shown
    assert "all together" in shown


def test_a_truth_that_does_not_fit_is_said_before_the_models_are_loaded(at_home: Path) -> None:
    truth = at_home / "truth.json"
    truth.write_text('{"videos": []}')

    with pytest.raises(FacewatchError, match=r"no video 'door.mp4'"):
        facewatch.main(["eval", "visits", "door.mp4", "--truth", str(truth)], standalone_mode=False)


def test_a_folder_of_which_nobody_can_be_enrolled_is_refused(at_home: Path) -> None:
    encode_video(at_home / "door.mp4", counting_pictures(5), fps=25)
    truth = at_home / "truth.json"
    truth.write_text('{"videos": [{"file": "door.mp4", "people": []}]}')
    (at_home / "enrol").mkdir()
    (at_home / "enrol" / "ada.jpg").write_bytes(b"no picture")
    words = ["eval", "visits", str(at_home / "door.mp4"), "--truth", str(truth)]

    with pytest.raises(UnusablePhoto, match=r"no photo in .*ada.jpg holds no"):
        facewatch.main([*words, "--enrol", str(at_home / "enrol")], standalone_mode=False)


def test_without_matplotlib_pictures_are_refused_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "facewatch.evaluate.draw", raising=False)
    for name in [it for it in sys.modules if it.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)

    with pytest.raises(PlotsUnavailable, match=r"facewatch\[plots\]"):
        importlib.import_module("facewatch.evaluate.draw")

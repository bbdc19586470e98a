"""Events against the truth, on cases made by hand and on the labelled videos' own file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facewatch.domain.geometry import Box
from facewatch.errors import UnusableLabels
from facewatch.evaluate.score import Found, Naming, Seen, Tally, Verdict, VideoScore
from facewatch.evaluate.truth import Kind, Sight, Span, VideoTruth, load_truth, truth_of
from facewatch.evaluate.visits import judge

DEV = Path(__file__).parents[2] / "shared" / "data" / "dev"

LEFT, MIDDLE, RIGHT = (0, 0, 100, 100), (200, 0, 300, 100), (400, 0, 500, 100)

Place = tuple[int, int, int, int]
Truths = Callable[..., VideoTruth]


def boxes(place: Place, start_s: float, end_s: float) -> list[list[float]]:
    """A label every 0.2 s."""
    steps = round((end_s - start_s) / 0.2)
    return [[round(start_s + 0.2 * step, 3), *place] for step in range(steps + 1)]


def person(called: str, place: Place, *visible: tuple[float, float], **given: Any) -> Any:
    labelled = [box for span in visible for box in boxes(place, *span)]
    return {
        "id": called,
        "recognizable": "yes",
        "visible_s": [list(it) for it in visible],
        "boxes": labelled,
        **given,
    }


def other(kind: str, place: Place, start_s: float, end_s: float) -> Any:
    return {"kind": kind, "note": kind, "boxes": boxes(place, start_s, end_s)}


@pytest.fixture
def a_truth(tmp_path: Path) -> Truths:
    """The labels of one video, read from a file as a user would write it."""

    def made(*people: Any, others: tuple[Any, ...] = ()) -> VideoTruth:
        file = tmp_path / "truth.json"
        video = {"file": "door.mp4", "people": list(people), "others": list(others)}
        file.write_text(json.dumps({"videos": [video]}))
        return load_truth(file)["door.mp4"]

    return made


def seen(
    place: Place,
    start_s: float,
    end_s: float,
    *names: str | None,
    best_s: float | None = None,
    looks: tuple[tuple[float, Place], ...] = (),
) -> Seen:
    """An event whose best shot is in its middle, or at *best_s*."""
    return Seen(
        Span(start_s, end_s),
        Sight((start_s + end_s) / 2 if best_s is None else best_s, Box(*place)),
        tuple(Sight(t_s, Box(*at)) for t_s, at in looks),
        names or (None,),
    )


def judged(truth: VideoTruth, *events: Seen, enrolled: tuple[str, ...] = ("ada",)) -> VideoScore:
    return judge(truth, events, embeddings=7, gap_s=3.0, enrolled=enrolled)


def test_a_visit_with_one_event_is_found_once_and_named_right(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 4), enrolled_as="ada"))
    score = judged(truth, seen(LEFT, 0.2, 4.0, None, "ada"))

    assert score.tally == Tally(visits=1, once=1, right=1)
    assert score.cost.embeddings == 7
    assert score.cost.allowed == pytest.approx(2.8)


def test_ranges_closer_than_the_gap_are_one_visit(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 1), (4, 5), (8.1, 9)))
    score = judged(truth, seen(LEFT, 0, 5, best_s=4.4), seen(LEFT, 8.2, 9))

    assert [it.span for it in score.visits] == [Span(0, 5), Span(8.1, 9)]
    assert score.tally == Tally(visits=2, once=2)


def test_two_events_of_one_visit_split_it(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 4)), person("P2", RIGHT, (0, 4)))
    score = judged(truth, seen(LEFT, 0, 2), seen(LEFT, 2.2, 4), seen(RIGHT, 0, 4))

    assert [it.found for it in score.visits] == [Found.SPLIT, Found.ONCE]
    assert [it.verdict for it in score.events] == [Verdict.PIECE, Verdict.PIECE, Verdict.ONLY]


def test_a_visit_that_anothers_event_runs_through_is_swallowed(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 6)), person("P2", LEFT, (6.4, 10)))
    score = judged(truth, seen(LEFT, 0, 10))

    assert [it.found for it in score.visits] == [Found.ONCE, Found.SWALLOWED]
    assert score.tally.beyond == 1


def test_a_visit_whose_look_another_event_took_is_swallowed(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 6)), person("P2", MIDDLE, (2, 4)))
    score = judged(truth, seen(LEFT, 0, 6, looks=((3.0, MIDDLE), (3.0, LEFT))))

    assert [it.found for it in score.visits] == [Found.ONCE, Found.SWALLOWED]


def test_a_visit_beside_others_that_nobody_took_is_missed(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 6)), person("P2", MIDDLE, (2, 4)))
    score = judged(truth, seen(LEFT, 0, 6, looks=((3.0, LEFT),)))

    assert [it.found for it in score.visits] == [Found.ONCE, Found.MISSED]


def test_two_visits_of_one_person_in_one_event_are_one_found_and_one_swallowed(
    a_truth: Truths,
) -> None:
    truth = a_truth(person("P1", LEFT, (0, 3), (7, 8)))
    score = judged(truth, seen(LEFT, 0, 5), seen(RIGHT, 6, 8))
    joined = judged(truth, seen(LEFT, 0, 8, best_s=2, looks=((7.5, LEFT),)))

    assert [it.found for it in score.visits] == [Found.ONCE, Found.MISSED]
    assert sorted(it.found for it in joined.visits) == [Found.ONCE, Found.SWALLOWED]
    assert score.tally.beyond == 0
    assert joined.tally.beyond == 1


@pytest.mark.parametrize(
    ("start_s", "end_s", "beyond"), [(7.9, 14, 1), (8.0, 16.0, 0), (10, 16.1, 1), (10, 14, 0)]
)
def test_an_event_may_stick_out_by_two_seconds(
    a_truth: Truths, start_s: float, end_s: float, beyond: int
) -> None:
    truth = a_truth(person("P1", LEFT, (10, 14)))
    score = judged(truth, seen(LEFT, start_s, end_s))

    assert score.tally == Tally(visits=1, once=1, beyond=beyond)


def test_events_on_things_and_on_nothing_are_false(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 4)), others=(other("not_a_face", MIDDLE, 0, 4),))
    score = judged(truth, seen(LEFT, 0, 4), seen(MIDDLE, 0, 4, "ada"), seen(RIGHT, 0, 4))

    assert score.tally == Tally(visits=1, once=1, false=2, wrong=1)
    assert score.tally_of(None).false == 1
    assert score.cost.allowed == pytest.approx(2.8)  # nobody should embed a thing


def test_background_and_weak_people_are_neither_right_nor_wrong(a_truth: Truths) -> None:
    truth = a_truth(
        person("P1", LEFT, (0, 4), recognizable="weak", enrolled_as="ada"),
        others=(other("person", MIDDLE, 0, 4),),
    )
    score = judged(truth, seen(LEFT, 0, 2, None), seen(MIDDLE, 0, 4), seen(MIDDLE, 0, 4, "ada"))

    assert score.tally == Tally(unjudged=3, unchecked=1)
    assert score.cost.allowed == pytest.approx(5.6)


def test_a_wrong_name_is_wrong_on_whomever_it_falls(a_truth: Truths) -> None:
    truth = a_truth(
        person("P1", LEFT, (0, 4), enrolled_as="ada"),
        person("P2", MIDDLE, (0, 4)),
        person("P3", RIGHT, (0, 4), recognizable="no"),
    )
    score = judged(
        truth,
        seen(LEFT, 0, 4, "bob", "ada"),
        seen(MIDDLE, 0, 4, "ada"),
        seen(RIGHT, 0, 4, "ada", None),
        enrolled=("ada", "bob"),
    )

    assert [it.naming for it in score.events] == [Naming.WRONG] * 3


def test_a_name_is_withheld_only_from_who_is_enrolled(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 4), enrolled_as="ada"))

    assert judged(truth, seen(LEFT, 0, 4)).tally.withheld == 1
    assert judged(truth, seen(LEFT, 0, 4), enrolled=()).tally.withheld == 0


def test_what_a_score_says_is_json(a_truth: Truths) -> None:
    truth = a_truth(person("P1", LEFT, (0, 4)))
    said = json.loads(json.dumps(judged(truth, seen(LEFT, 1, 4)).json()))

    assert said["visits_judged"] == [{"who": "P1", "start_s": 0, "end_s": 4, "found": "once"}]
    assert said["events"][0]["box"] == list(LEFT)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "the whole"),
        ("{}", "videos"),
        ('{"videos": [{"file": "door.mp4"}]}', "videos.0.people"),
        (
            '{"videos": [{"file": "a", "people": [{"id": "P1", "recognizable": "perhaps",'
            ' "visible_s": [], "boxes": []}]}]}',
            "recognizable",
        ),
        (
            '{"videos": [{"file": "a", "people": [{"id": "P1", "recognizable": "yes",'
            ' "visible_s": [[2, 1]], "boxes": []}]}]}',
            "ends before it starts",
        ),
        (
            '{"videos": [{"file": "a", "people": [{"id": "P1", "recognizable": "yes",'
            ' "visible_s": [], "boxes": [[0, 10, 10, 5, 20]]}]}]}',
            "left < right",
        ),
        (
            '{"videos": [{"file": "a", "people": [{"id": "P1", "recognizable": "yes",'
            ' "visible_s": [], "boxes": [[0, 10, 10]]}]}]}',
            "boxes.0",
        ),
        (
            '{"videos": [{"file": "a", "people": [{"id": "P1", "recognizable": "yes",'
            ' "visible_s": [[0, NaN]], "boxes": []}]}]}',
            "finite",
        ),
        ('{"videos": [{"file": "a", "people": []}, {"file": "a", "people": []}]}', "twice"),
    ],
)
def test_a_truth_file_of_another_format_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "truth.json"
    file.write_text(text)

    with pytest.raises(UnusableLabels, match=says):
        load_truth(file)


def test_a_truth_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableLabels, match="cannot be read"):
        load_truth(tmp_path / "nowhere.json")


def test_a_video_without_labels_or_with_those_of_another_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "truth.json"
    file.write_text('{"videos": [{"file": "a.mp4", "sha256": "00", "people": []}]}')
    (tmp_path / "a.mp4").write_bytes(b"not what was labelled")
    truths = load_truth(file)

    with pytest.raises(UnusableLabels, match=r"no video 'b.mp4'.*it has: a.mp4"):
        truth_of(tmp_path / "b.mp4", truths, file)
    with pytest.raises(UnusableLabels, match="its sha256 differs"):
        truth_of(tmp_path / "a.mp4", truths, file)


@pytest.mark.skipif(not DEV.is_dir(), reason=f"the labelled videos are not at {DEV}")
def test_the_labelled_videos_hold_34_visits_of_clearly_recognisable_people() -> None:
    truths = load_truth(DEV / "ground_truth.json")
    counts = {
        name[:3]: sum(len(it.visits(3.0)) for it in truth.subjects if it.kind is Kind.CLEAR)
        for name, truth in truths.items()
    }

    assert counts == {
        "d01": 5,
        "d02": 8,
        "d03": 0,
        "d04": 1,
        "d05": 0,
        "d06": 7,
        "d07": 11,
        "d08": 1,
        "d09": 1,
    }
    assert sum(counts.values()) == 34

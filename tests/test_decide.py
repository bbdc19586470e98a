"""A name only where it is earned; otherwise honestly unknown, and the reason why."""

from dataclasses import replace

import numpy as np
import pytest

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import Matchmaker, SettledBy
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider, Rule

ORG, ELSEWHERE = OrgId(new_id()), OrgId(new_id())
ANN, BEN = PersonId(new_id()), PersonId(new_id())
CALIBRATION = Calibration("test", ((0.363, -3.23), (0.415, -4.0), (0.468, -5.0), (0.541, -6.0)))


def along(*cosines: float) -> Template:
    """A template with these cosines to the first axes."""
    rest = np.sqrt(max(0.0, 1 - sum(c * c for c in cosines)))
    return np.array([*cosines, *[0.0] * (7 - len(cosines)), rest], np.float32)


def enrolled(*people: PersonId, org: OrgId = ORG) -> Decider:
    """Each of *people* along an axis of their own; the same person twice has two faces."""
    gallery = ExactGallery(8)
    faces = [
        Matchmaker(FaceId(new_id()), person, org, np.eye(8, dtype=np.float32)[n])
        for n, person in enumerate(people)
    ]
    gallery.replace(org, 3, faces)
    return Decider(gallery, CALIBRATION, "digest", Rule())


def test_who_is_clearly_enrolled_is_named() -> None:
    decision = enrolled(ANN, BEN).decide(ORG, along(0.8, 0.1), quality=0.9)

    assert decision.person == ANN
    assert decision.reason == ""
    assert decision.confidence is not None
    assert decision.confidence > 0.9
    assert decision.margin == pytest.approx(0.7)
    assert (decision.gallery_revision, decision.gallery_people) == (3, 2)
    assert [it.person for it in decision.candidates] == [ANN, BEN]


@pytest.mark.parametrize(
    ("cosines", "quality", "why"),
    [
        ((0.40, 0.0), 0.9, "confidence"),
        ((0.60, 0.57), 0.9, "runner-up"),
        ((0.80, 0.0), 0.1, "quality"),
    ],
)
def test_a_name_that_is_not_earned_is_withheld_with_the_reason(
    cosines: tuple[float, float], quality: float, why: str
) -> None:
    decision = enrolled(ANN, BEN).decide(ORG, along(*cosines), quality)

    assert decision.person is None
    assert why in decision.reason
    assert decision.candidates[0].person == ANN


def test_what_an_org_has_settled_goes_before_the_rule() -> None:
    decider = enrolled(ANN)
    settled: dict[OrgId, float] = {}
    decider = replace(decider, thresholds=settled)
    assert decider.decide(ORG, along(0.55), quality=0.9).person == ANN

    settled[ORG] = 0.995
    strict = decider.decide(ORG, along(0.55), quality=0.9)

    assert strict.person is None
    assert strict.threshold == 0.995
    assert strict.threshold_similarity > 0.55
    settled[ORG] = 0.0
    assert decider.decide(ORG, along(0.1), quality=0.9).person == ANN
    assert decider.decide(ELSEWHERE, along(0.1), quality=0.9).threshold == 0.7


def test_two_faces_of_one_person_are_no_runner_up() -> None:
    decision = enrolled(ANN, ANN).decide(ORG, along(0.6, 0.59), quality=0.9)

    assert decision.person == ANN
    assert decision.margin is None
    assert len(decision.candidates) == 1


def test_several_matchmakers_count_by_the_best_and_by_what_they_have_in_common() -> None:
    decision = enrolled(ANN, ANN, BEN).decide(ORG, along(0.6, 0.5, 0.55), quality=0.9)

    ann, ben = decision.candidates
    assert (ann.person, ann.matchmakers) == (ANN, 2)
    assert ann.best == pytest.approx(0.6)
    assert ann.similarity == pytest.approx((0.6 + (0.6 + 0.5) / np.sqrt(2)) / 2)
    assert (ben.best, ben.similarity, ben.matchmakers) == (*[pytest.approx(0.55)] * 2, 1)


def test_one_wrong_matchmaker_attracts_less_than_it_would_alone() -> None:
    alone = enrolled(ANN).decide(ORG, along(0.5), quality=0.9)
    decision = enrolled(ANN, ANN, ANN).decide(ORG, along(0.5), quality=0.9)

    assert alone.person == ANN
    assert decision.candidates[0].similarity == pytest.approx((0.5 + 0.5 / np.sqrt(3)) / 2)
    assert decision.person is None


@pytest.mark.parametrize("people", [3, 60, 400])
def test_who_is_most_like_a_probe_is_found_among_any_number(people: int) -> None:
    rng = np.random.default_rng(people)
    owners = [PersonId(new_id()) for _ in range(people)]
    faces = []
    for person in owners * 3:
        face = rng.normal(size=8).astype(np.float32)
        faces.append(Matchmaker(FaceId(new_id()), person, ORG, face / np.linalg.norm(face)))
    gallery = ExactGallery(8)
    gallery.replace(ORG, 1, faces)
    probe = along(0.5, 0.3)

    def score(person: PersonId) -> float:
        theirs = np.stack([it.template for it in faces if it.person == person])
        total = theirs.sum(axis=0)
        return float(max(theirs @ probe) + total @ probe / np.linalg.norm(total)) / 2

    expected = sorted(owners, key=score, reverse=True)[:5]
    found = gallery.resembling(ORG, probe.reshape(1, -1), 5)[0]

    assert [it.person for it in found] == expected
    assert [it.similarity for it in found] == pytest.approx([score(it) for it in expected])


def test_a_camera_of_its_own_mind_goes_before_the_org() -> None:
    decider = replace(enrolled(ANN), thresholds={ORG: 0.3})

    strict = decider.decide(ORG, along(0.45), quality=0.9, camera_threshold=0.95)
    loose = decider.decide(ORG, along(0.1), quality=0.9, camera_threshold=0.0)

    assert (strict.person, strict.threshold, strict.settled_by) == (None, 0.95, SettledBy.CAMERA)
    assert (loose.person, loose.threshold) == (ANN, 0.0)
    assert decider.decide(ORG, along(0.45), quality=0.9).settled_by is SettledBy.ORG
    assert enrolled(ANN).decide(ORG, along(0.45), 0.9).settled_by is SettledBy.SETTINGS


def test_without_colour_one_must_be_surer_until_that_is_measured() -> None:
    decider = enrolled(ANN)
    between = along((CALIBRATION.similarity(0.7, 1) + CALIBRATION.similarity(0.8, 1)) / 2)
    assert decider.decide(ORG, between, 0.9).person == ANN

    grey = decider.decide(ORG, between, 0.9, grey=True)
    measured = replace(
        decider, grey_calibration=Calibration("infrared", ((0.3, -2.0), (0.4, -4.0)))
    ).decide(ORG, between, 0.9, grey=True)

    assert (grey.person, grey.threshold, grey.settled_by) == (None, 0.8, SettledBy.GREY)
    assert (measured.person, measured.threshold) == (ANN, 0.7)
    assert measured.calibration == "infrared"
    # an operator's own word for a camera stands by night too
    assert decider.decide(ORG, between, 0.9, grey=True, camera_threshold=0.7).person == ANN


def test_a_runner_up_is_seen_behind_any_number_of_photos() -> None:
    gallery = ExactGallery(8)
    owners = [ANN] * 400 + [BEN]
    gallery.replace(
        ORG,
        1,
        [
            Matchmaker(
                FaceId(new_id()), person, ORG, along(0.0, 1.0) if person == BEN else along(1.0)
            )
            for person in owners
        ],
    )
    decision = Decider(gallery, CALIBRATION, "digest", Rule()).decide(ORG, along(0.60, 0.57), 0.9)

    assert decision.person is None
    assert decision.margin == pytest.approx(0.03, abs=0.001)


def test_with_nobody_enrolled_everybody_is_unknown() -> None:
    decision = enrolled().decide(ORG, along(0.9), quality=0.9)

    assert decision.person is None
    assert decision.confidence is None
    assert decision.reason


def test_people_of_another_org_are_never_candidates() -> None:
    decision = enrolled(ANN, org=ELSEWHERE).decide(ORG, along(1.0), quality=0.9)

    assert decision.candidates == ()


def test_an_older_revision_never_replaces_a_newer_one() -> None:
    gallery = ExactGallery(8)
    face = Matchmaker(FaceId(new_id()), ANN, ORG, along(1.0))
    gallery.replace(ORG, 5, [])
    gallery.replace(ORG, 4, [face])

    assert gallery.revision(ORG) == 5
    assert gallery.search(ORG, along(1.0), 1) == []


@pytest.mark.parametrize("people", [1, 100, 1_559, 1_000_000])
def test_the_default_threshold_is_one_false_name_in_a_hundred_strangers(people: int) -> None:
    cosine = CALIBRATION.similarity(0.7, people)

    assert CALIBRATION.confidence(cosine, people) == pytest.approx(0.7)
    assert CALIBRATION.similarity(0.7, 10 * people) >= cosine


def test_confidence_rises_with_the_cosine_and_stays_in_its_range() -> None:
    found = [CALIBRATION.confidence(c, 1_000) for c in np.linspace(-1, 1, 101)]

    assert found == sorted(found)
    assert found[0] == 0
    assert found[-1] < 1

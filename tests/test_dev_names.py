"""Labelled portraits: who is enrolled is known again, and no stranger is given a name.

They are not ours to ship; where ../shared is absent these tests are skipped.
"""

from pathlib import Path

import pytest

from facewatch.app.evaluate import open_album
from facewatch.app.recognition import rule_of
from facewatch.evaluate.identification import identify
from facewatch.evaluate.photos import Whose
from facewatch.people.folder import photos_in
from facewatch.settings import load

DEV = Path(__file__).parents[2] / "shared" / "data" / "dev"
pytestmark = pytest.mark.skipif(not DEV.is_dir(), reason=f"the labelled portraits are not at {DEV}")


async def test_every_probe_is_named_and_no_stranger(models: Path, tmp_path: Path) -> None:
    settings = load(None, {}, {"home": str(tmp_path), "models.directory": str(models)})
    enrolled, asked = photos_in(DEV / "enrol"), photos_in(DEV / "probes")
    strangers = [photo for _, photo in photos_in(DEV / "distractors")]
    photos = [photo for _, photo in (*enrolled, *asked)] + strangers
    album = await open_album(settings, photos, Whose.LARGEST, lambda _done, _last: None)

    found = identify(enrolled, asked, strangers, album.faces, album.calibration, rule_of(settings))

    assert (len(found.mated), len(found.strangers), found.refused) == (31, 31, {})
    assert (found.rank1, found.named_right) == (1.0, 1.0)
    assert found.mistakes == []
    # as far from naming the likest stranger as a hair's breadth is not
    assert max(it.similarity for it in found.strangers) < found.threshold_similarity - 0.01
    assert min(it.similarity for it in found.mated) > found.threshold_similarity + 0.1

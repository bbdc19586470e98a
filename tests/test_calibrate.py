"""What a cosine is worth, measured; and what was measured, in force."""

import asyncio
import json
import shutil
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Any

import click
import numpy as np
import pytest
from factories import ORG, a_camera, a_decision, a_record, a_template
from pydantic import SecretStr

from facewatch.app import calibration
from facewatch.app.recognition import open_recognition, warm_engine
from facewatch.app.stores import open_stores
from facewatch.cli import facewatch
from facewatch.domain.calibration import Calibration
from facewatch.domain.people import Decision
from facewatch.errors import InvalidSettings, UnusableLabels
from facewatch.evaluate.calibrate import among, between, fit
from facewatch.settings import Settings, load
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.secrets import Vault
from facewatch.vision import registry

TODAY = date(2026, 11, 22)
SFACE = registry.card("sface")


def test_only_pairs_of_different_people_count() -> None:
    ann, ben = a_template(1), a_template(2)
    strangers = among([("ann", ann), ("ann", ann), ("ben", ben)])

    assert strangers.pairs == 2
    assert strangers.alike[:2] == ("ann", "ben")
    assert strangers.alike[2] == pytest.approx(float(ann @ ben), abs=1e-4)
    assert among([]).pairs == among([("ann", ann)]).pairs == 0


def test_only_pairs_with_one_that_was_seen_so_count() -> None:
    ann, ben, cid = a_template(1), a_template(2), a_template(3)
    strangers = among([("ann", ann), ("ann", ann), ("ben", ben), ("cid", cid)], seen=2)

    assert strangers.pairs == 4  # and not that of ben and cid
    assert among([("ann", ann), ("ben", ben)], seen=0).pairs == 0


def test_every_pair_counts_once_over_many_blocks() -> None:
    drawn = np.random.default_rng(0).standard_normal((2500, 8)).astype(np.float32)
    templates = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    strangers = among([(str(n // 2), template) for n, template in enumerate(templates)])

    assert strangers.pairs == 2500 * 2499 // 2 - 1250
    cosines = templates @ templates.T
    upper = np.triu_indices(2500, 1)
    different = upper[0] // 2 != upper[1] // 2
    share = float(np.mean(cosines[upper][different] >= strangers.cosine_at(1e-3)))
    assert share == pytest.approx(1e-3, rel=0.02)


def test_a_fit_says_how_often_strangers_reach_a_cosine() -> None:
    tail = NormalDist(0.0, 0.1)
    cosines = (tail.inv_cdf((n + 0.5) / 10_000) for n in range(10_000))
    fitted = fit(between(("a", "b", it) for it in cosines), "sface", TODAY)

    assert [rate for _, rate in fitted.points] == [-1, -2, -3]
    assert fitted.points[1][0] == pytest.approx(tail.inv_cdf(0.99), abs=1e-3)
    assert fitted.points[2][0] == pytest.approx(tail.inv_cdf(0.999), abs=2e-3)
    assert fitted.version.startswith("sface-site-2026-11-22-")
    assert fitted.confidence(fitted.points[2][0], 100) == pytest.approx(0.45, abs=0.01)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(UnusableLabels, match="there are 999 pairs"):
        fit(between([("a", "b", 0.1)] * 999), "sface", TODAY)
    with pytest.raises(UnusableLabels, match="equally alike"):
        fit(between([("a", "b", 0.1)] * 1000), "sface", TODAY)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path))


def test_what_was_measured_is_in_force_for_its_model_only(settings: Settings) -> None:
    measured = Calibration("sface-site", ((0.3, -3.0), (0.5, -5.0)))

    assert calibration.in_force(settings, SFACE) is None
    calibration.put_in_force(settings, SFACE, measured, "a test")
    assert calibration.in_force(settings, SFACE) == measured
    assert calibration.in_force(settings, registry.card("arcface-mbf")) is None


def test_faces_without_colour_have_a_mapping_of_their_own(settings: Settings) -> None:
    colour = Calibration("sface-site", ((0.3, -3.0), (0.5, -5.0)))
    grey = Calibration("sface-grey-site", ((0.4, -3.0), (0.6, -5.0)))
    calibration.put_in_force(settings, SFACE, colour, "a test")
    assert SFACE.calibration is not None
    assert calibration.shown(settings, SFACE) == ("sface-site", None)

    file = calibration.put_in_force(settings, SFACE, grey, "a test", grey=True)
    assert file.name == "sface.grey.json"
    assert calibration.shown(settings, SFACE) == ("sface-site", "sface-grey-site")
    calibration.place(settings, SFACE).unlink()
    assert calibration.shown(settings, SFACE) == (SFACE.calibration.version, "sface-grey-site")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("points", [[0.3, -3]], "at least 2"),
        ("points", [[0.3, -3], [0.2, -4]], "cosines must rise"),
        ("points", [[0.3, -3], [0.4, -2]], "rates fall"),
        ("points", [[0.3, -3], [4, -4]], "less than or equal to 1"),
        ("model_sha256", "00", "another file of sface"),
        ("more", 1, "Extra inputs"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(
    settings: Settings, key: str, value: object, says: str
) -> None:
    measured = Calibration("sface-site", ((0.3, -3.0), (0.5, -5.0)))
    file = calibration.put_in_force(settings, SFACE, measured, "a test")
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))

    with pytest.raises(InvalidSettings, match=says) as refused:
        calibration.in_force(settings, SFACE)
    assert str(file) in str(refused.value)


async def confirm_visits(dsn: str, vault: Path, people: int, grey: int = 0) -> None:
    """A visit of each that an operator confirmed, *grey* without colour; one that nobody did."""
    camera = a_camera()
    async with open_database(dsn) as database:
        await PostgresCameras(database, Vault(vault)).add(camera)
        events = PostgresFaceEvents(database)
        records = [
            a_record(camera.id, template=a_template(n), decision=a_decision(grey=n <= grey))
            for n in range(people + 1)
        ]
        await events.add(records)
        for number, record in enumerate(records[1:]):
            await events.assign(ORG, record.id, None, f"person {number}")


def test_confirmed_events_of_a_site_are_put_in_force(
    dsn: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asyncio.run(confirm_visits(dsn, tmp_path, 46))
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_DATABASE_URL", dsn)
    facewatch.main(["calibrate", "--events", "--apply", "--json"], standalone_mode=False)
    said = json.loads(capfd.readouterr().out)

    assert said["pairs"] == 46 * 45 // 2
    settings = Settings.model_validate(
        {"home": str(tmp_path), "models": {"directory": str(models)}}
    )
    assert warm_engine(settings).calibration.version == said["version"]


def test_one_source_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))

    for words in ([], ["--events", "--people", "x"]):
        with pytest.raises(click.UsageError, match="one of"):
            facewatch.main(["calibrate", *words], standalone_mode=False)


def test_confirmed_events_without_colour_are_put_in_force_for_such(
    dsn: str,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asyncio.run(confirm_visits(dsn, tmp_path, 60, grey=25))
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_DATABASE_URL", dsn)

    def said(*words: str) -> list[dict[str, Any]]:
        capfd.readouterr()
        facewatch.main([*words, "--json"], standalone_mode=False)
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    (measured,) = said("calibrate", "--events", "--grey", "--apply")
    assert measured["pairs"] == 25 * 24 // 2 + 25 * 35
    assert measured["version"].startswith("sface-grey-site-")
    assert (measured["threshold_now"], measured["threshold"]) == (0.8, 0.7)
    (again,) = said("calibrate", "--events", "--grey")
    assert again["threshold_now"] == 0.7
    assert [it["now"] for it in again["threshold_similarity"]] == [
        it["then"] for it in measured["threshold_similarity"]
    ]

    shown = {it["name"]: it for it in said("models", "list")}
    assert shown["sface"]["grey_calibration"] == measured["version"]
    assert shown["yunet"]["calibration"] is None

    async def decided() -> tuple[Decision, Decision]:
        settings = load(None, {}, {"home": str(tmp_path), "models.directory": str(models)})
        settings = settings.model_copy(update={"database_url": SecretStr(dsn)})
        async with open_stores(settings) as stores, open_recognition(settings, stores) as opened:
            return (
                opened.decider.decide(ORG, a_template(1), 0.9, grey=True),
                opened.decider.decide(ORG, a_template(1), 0.9),
            )

    grey, colour = asyncio.run(decided())
    assert (grey.calibration, grey.threshold) == (measured["version"], 0.7)
    assert colour.calibration != grey.calibration


def test_photos_with_colour_are_no_infrared_unless_it_is_said(
    tmp_path: Path,
    models: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_MODELS_DIRECTORY", str(models))
    people = tmp_path / "people"
    for photo in list(photos.glob("*.jpg"))[:3]:
        (people / photo.stem).mkdir(parents=True)
        shutil.copy(photo, people / photo.stem)

    for words, found, pairs in (
        ([], "0 faces without colour, 3 with it", 0),
        (["--turn-grey"], "3 faces without colour, 3 with it", 9),
    ):
        with pytest.raises(UnusableLabels, match=f"there are {pairs} pairs"):
            facewatch.main(
                ["calibrate", "--people", str(people), "--grey", *words], standalone_mode=False
            )
        assert found in capfd.readouterr().err


def test_turning_grey_is_for_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))

    for words in (["--events", "--grey"], ["--people", "x"]):
        with pytest.raises(click.UsageError, match="--turn-grey"):
            facewatch.main(["calibrate", *words, "--turn-grey"], standalone_mode=False)

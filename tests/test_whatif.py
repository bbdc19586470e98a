"""Past visits decided again: which names another rule would give or take."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import (
    NOON,
    ORG,
    a_camera,
    a_decision,
    a_record,
    a_template,
    an_enrolment,
    photo_keys,
    some_deps,
    turned,
)
from house import Caller, an_admin

from facewatch.cli import facewatch
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import EventId, PersonId, to_ruuid
from facewatch.domain.people import Candidate
from facewatch.errors import FacewatchError, NotFound
from facewatch.gallery.exact import ExactGallery
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

DOOR = a_camera(name="door")
ANN, BEN = a_template(1), a_template(2)


class Site:
    """A home with a camera, of which visits and people are made."""

    def __init__(self, dsn: str, home: Path) -> None:
        self._dsn = dsn
        self._home = home

    def run(self, work: Callable[[Database], Any]) -> Any:
        async def opened() -> Any:
            async with open_database(self._dsn) as database:
                return await work(database)

        return asyncio.run(opened())

    def enrol(self, **people: Any) -> dict[str, PersonId]:
        async def work(database: Database) -> dict[str, PersonId]:
            people_kept = PostgresPeople(database)
            made = {}
            for number, (name, template) in enumerate(people.items()):
                made[name] = (await people_kept.create(ORG, name)).id
                await people_kept.enrol(
                    ORG, made[name], an_enrolment(number, template=template), photo_keys(name)
                )
            return made

        made: dict[str, PersonId] = self.run(work)
        return made

    def seen(self, *records: EventRecord) -> None:
        async def work(database: Database) -> None:
            cameras = PostgresCameras(database, Vault(self._home))
            known = {it.id for it in await cameras.all(ORG)}
            if DOOR.id not in known:
                await cameras.add(DOOR)
            await PostgresFaceEvents(database).add(records)

        self.run(work)

    def said(self, event: EventId, name: str) -> None:
        """By an operator; '' is nobody."""
        self.run(lambda it: PostgresFaceEvents(it).assign(ORG, event, None, name))

    def everything(self) -> list[str]:
        """Every event, template and matchmaker as they stand in the tables."""

        async def work(database: Database) -> list[str]:
            async with database.transaction() as work:
                rows = await work._connection.fetch(
                    "SELECT e::text FROM face_event e UNION ALL SELECT t::text FROM template t"
                    " UNION ALL SELECT m::text FROM matchmaker m"
                    " UNION ALL SELECT r::text FROM gallery_revision r ORDER BY 1"
                )
            return [row[0] for row in rows]

        rows: list[str] = self.run(work)
        return rows


@pytest.fixture
def site(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> Site:
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_DATABASE_URL", dsn)
    monkeypatch.setenv("FACEWATCH_MODELS_DIRECTORY", str(models))
    return Site(dsn, tmp_path)


Ask = Callable[..., Any]


@pytest.fixture
def ask(site: Site, capfd: pytest.CaptureFixture[str]) -> Ask:
    def asked(*words: str) -> Any:
        capfd.readouterr()
        since = () if "--since" in words else ("--since", "2026-11-01")
        facewatch.main(["whatif", "--json", *since, *words], standalone_mode=False)
        return json.loads(capfd.readouterr().out)

    return asked


def visit(template: Any, person: PersonId | None = None, minutes: int = 0, **given: Any) -> Any:
    """A visit that the machine gave to *person*."""
    best = Candidate(person, an_enrolment().face, 0.6, 0.9) if person else None
    decision = a_decision(person, candidates=(best,) if best else ())
    at = NOON - timedelta(minutes=minutes)
    given = {"template": template, "decision": decision, "closed": True} | given
    return a_record(given.pop("camera", DOOR.id), at, **given)


def test_a_lower_threshold_gives_names_and_a_higher_one_takes_them(site: Site, ask: Ask) -> None:
    people = site.enrol(ann=ANN, ben=BEN)
    near, sure = visit(turned(ANN, 0.46), minutes=1), visit(turned(BEN, 0.52), people["ben"])
    site.seen(near, sure, visit(a_template(9), minutes=2))

    now = ask()
    lower, higher = ask("--threshold", "0.6"), ask("--threshold", "0.9")

    assert (now["visits"], now["same"], now["events"]) == (3, 3, [])
    assert (lower["gained"], lower["lost"], lower["same"]) == (1, 0, 2)
    (gained,) = lower["events"]
    assert (gained["event"], gained["before"], gained["after"]) == (to_ruuid(near.id), None, "ann")
    assert gained["similarity"] == pytest.approx(0.46, abs=1e-3)
    (lost,) = higher["events"]
    assert (lost["event"], lost["change"], lost["before"]) == (to_ruuid(sure.id), "lost", "ben")
    assert "below 0.90" in lost["reason"]


def test_a_margin_decides_between_two_who_are_alike(site: Site, ask: Ask) -> None:
    between = turned(ANN, 0.8)
    people = site.enrol(ann=ANN, twin=turned(between, 0.7, seed=5))
    site.seen(visit(between, people["ann"]))

    assert ask("--margin", "0.05")["same"] == 1
    assert ask("--margin", "0.3")["lost"] == 1


def test_a_visit_that_today_would_be_somebody_elses_is_changed(site: Site, ask: Ask) -> None:
    people = site.enrol(ann=ANN, ben=BEN)
    site.seen(visit(turned(ANN, 0.8), people["ben"]))

    (changed,) = ask()["events"]

    assert (changed["change"], changed["before"], changed["after"]) == ("changed", "ben", "ann")


def test_what_an_operator_said_is_not_decided_again_but_counted_apart(site: Site, ask: Ask) -> None:
    site.enrol(ann=ANN, ben=BEN)
    right, wrong, nobody = (visit(turned(ANN, 0.8), minutes=it) for it in range(3))
    site.seen(right, wrong, nobody)
    site.said(right.id, "ann")
    site.said(wrong.id, "ben")
    site.said(nobody.id, "")

    found = ask("--threshold", "0.6")

    assert (found["settled"], found["contradicted"]) == (1, 2)
    assert found["gained"] == found["lost"] == found["changed"] == found["same"] == 0
    assert {it["before"] for it in found["events"]} == {"ben", None}


def test_what_an_operator_refused_is_heeded_as_where_it_is_live(site: Site, ask: Ask) -> None:
    ann = site.enrol(ann=ANN)["ann"]
    stranger = turned(ANN, 0.6, seed=3)
    first, again = visit(stranger, ann), visit(turned(stranger, 0.95), ann, minutes=1)
    site.seen(first, again, visit(turned(ANN, 0.9, seed=7), ann, minutes=2))
    assert ask()["same"] == 3
    site.said(first.id, "")

    found = ask()

    assert (found["settled"], found["lost"], found["same"]) == (1, 1, 1)
    (lost,) = found["events"]
    assert (lost["event"], lost["before"]) == (to_ruuid(again.id), "ann")
    assert "not theirs" in lost["reason"]


def test_what_is_no_face_at_one_camera_may_be_one_at_another(site: Site, ask: Ask) -> None:
    ann = site.enrol(ann=ANN)["ann"]
    arms, gate = turned(ANN, 0.6, seed=3), a_camera(name="gate")
    first, again = visit(arms, ann), visit(turned(arms, 0.95, seed=5), ann, minutes=1)
    site.run(lambda it: PostgresCameras(it, Vault(site._home)).add(gate))
    site.seen(first, again)
    site.seen(visit(turned(arms, 0.95, seed=6), ann, minutes=2, camera=gate.id))
    site.run(lambda it: PostgresFaceEvents(it).no_face(ORG, first.id))

    (lost,) = ask()["events"]

    assert (lost["event"], lost["camera"], lost["change"]) == (to_ruuid(again.id), "door", "lost")
    assert "no face at this camera" in lost["reason"]


def test_nothing_is_changed_by_asking(site: Site, ask: Ask) -> None:
    site.enrol(ann=ANN)
    site.seen(visit(turned(ANN, 0.46)), visit(turned(ANN, 0.8), minutes=1))
    before = site.everything()

    assert ask("--threshold", "0.5")["gained"] == 2
    assert site.everything() == before


def test_since_and_camera_choose_the_visits(site: Site, ask: Ask) -> None:
    people = site.enrol(ann=ANN)
    site.seen(*(visit(turned(ANN, 0.8), people["ann"], minutes=60 * it) for it in range(4)))

    assert ask("--since", "2026-11-21T09:30:00Z")["visits"] == 3
    assert ask("--camera", "door")["visits"] == 4
    with pytest.raises(NotFound, match="attic"):
        ask("--camera", "attic")


def test_a_camera_of_its_own_threshold_follows_only_where_it_is_named(site: Site, ask: Ask) -> None:
    people = site.enrol(ann=ANN)
    site.seen(visit(turned(ANN, 0.52), people["ann"]))

    async def settle(database: Database) -> None:
        cameras = PostgresCameras(database, Vault(site._home))
        (door,) = await cameras.all(ORG)
        await cameras.change(a_camera(id=door.id, name="door", match_threshold=0.5))

    site.run(settle)

    assert ask("--threshold", "0.9")["lost"] == 0
    assert ask("--threshold", "0.9", "--camera", "door")["lost"] == 1


def test_a_visit_without_template_cannot_be_compared(site: Site, ask: Ask) -> None:
    site.enrol(ann=ANN)
    site.seen(visit(None, decision=None))

    assert ask()["uncomparable"] == 1


def test_more_visits_than_a_page_are_walked_once_each(site: Site, ask: Ask) -> None:
    site.enrol(ann=ANN)
    site.seen(*(visit(turned(ANN, 0.46), minutes=it) for it in range(1_100)))

    found = ask("--threshold", "0.6", "--limit", "7")

    assert (found["visits"], found["gained"], len(found["events"])) == (1_100, 1_100, 7)
    assert found["events"][0]["first_seen"] == "2026-11-21T12:00:00+00:00"


def test_a_gallery_of_nobody_names_nobody(site: Site, ask: Ask) -> None:
    site.seen(visit(ANN))

    assert ask("--threshold", "0.1")["same"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--model", "yunet"), "no embedder"),
        (("--model", "nonsense"), "no model is called"),
        (("--model", "arcface-mbf"), "is not there"),
    ],
)
def test_a_model_that_cannot_be_used_is_said(
    site: Site, ask: Ask, words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(FacewatchError, match=says):
        ask(*words)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    """An API that has Ann in force, and an admin of it."""
    people, gallery = PostgresPeople(database), ExactGallery(128)
    ann = await people.create(ORG, "ann")
    await people.enrol(ORG, ann.id, an_enrolment(template=ANN), photo_keys("ann"))
    gallery.replace(ORG, *(await people.gallery(ORG, "sface")))
    deps = some_deps(database, tmp_path)
    decider = replace(deps.reconsiderer.decider, gallery=gallery)
    deps = replace(deps, reconsiderer=replace(deps.reconsiderer, decider=decider))
    await deps.cameras.add(DOOR)
    await deps.events.add([visit(turned(ANN, 0.46), minutes=it) for it in range(3)])
    async with an_admin(deps, ORG) as caller:
        yield caller


async def test_the_api_answers_what_if(house: Caller) -> None:
    status, found = await house.ask("POST", "/whatif", json={"threshold": 0.6, "limit": 2})

    assert (status, found["visits"], found["counts"]["gained"]) == (200, 3, 3)
    assert [it["after"] for it in found["events"]] == ["ann", "ann"]
    assert found["oldest"] == "2026-11-21T11:58:00Z"
    at_door = {"threshold": 0.9, "camera": to_ruuid(DOOR.id), "since": "2026-11-21T11:59:00Z"}
    _, none = await house.ask("POST", "/whatif", json=at_door)
    assert (none["visits"], none["counts"]["same"], none["events"]) == (2, 2, [])
    _, later = await house.ask("POST", "/whatif", json={"since": "2026-11-22T00:00:00Z"})
    assert (later["visits"], later["oldest"]) == (0, None)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"threshold": 1.1}, 400),
        ({"threshold": "0.5"}, 400),
        ({"limit": 1001}, 400),
        ({"model": "sface"}, 400),
        ({"camera": "AAAAAAAAAAAAAAAAAAAAAA"}, 404),
    ],
)
async def test_what_the_api_does_not_take(house: Caller, sent: Any, status: int) -> None:
    await house.refused(status, "POST", "/whatif", **sent)


async def test_only_an_admin_may_ask_what_if(house: Caller) -> None:
    operator = await house.another("operator")
    assert (await operator.ask("POST", "/whatif", json={}))[0] == 403

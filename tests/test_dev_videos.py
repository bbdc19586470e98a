"""The labelled videos: every visit once, the enrolled named, nobody else.

They are not ours to ship; where ../shared is absent these tests are skipped.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from homes import a_home

from facewatch.app.recognition import Recognition, enroller_of, open_recognition
from facewatch.app.replay import replay_video
from facewatch.app.stores import Stores, camera_named, open_stores
from facewatch.cli.events import FinishedEvents
from facewatch.domain.geometry import Box
from facewatch.domain.ids import PersonId, to_ruuid
from facewatch.people.folder import Outcome, enrol_folder
from facewatch.settings import Settings

DEV = Path(__file__).parents[2] / "shared" / "data" / "dev"
pytestmark = [
    pytest.mark.skipif(not DEV.is_dir(), reason=f"the labelled videos are not at {DEV}"),
    pytest.mark.asyncio(loop_scope="module"),
]

Line = dict[str, Any]


class Recorder:
    """Replays DEV videos in one home, where everybody of ``enrol`` is enrolled."""

    def __init__(self, settings: Settings, stores: Stores, recognition: Recognition) -> None:
        self._settings = settings
        self._stores = stores
        self._recognition = recognition

    async def replay(self, video: str, at: str = "") -> list[Line]:
        people = {it.id: it.name for it in await self._stores.people.all(self._stores.org)}
        camera = await camera_named(self._stores, at or video)
        events = FinishedEvents(people, {camera.id: video}, lambda _: None)
        waiting = await replay_video(
            self._settings,
            self._stores,
            self._recognition,
            next((DEV / "videos").glob(f"{video}_*")),
            camera,
            start=None,
            seen=lambda _: None,
            written=events.written,
        )
        events.end()
        assert waiting == 0
        return list(events.lines)

    async def unnamed(self) -> dict[str, PersonId]:
        """By event, whose it is of those who have no name."""
        stores = self._stores
        people = {it.id for it in await stores.register.unnamed(stores.org, 100)}
        events = await stores.events.page(stores.org, 1000)
        return {to_ruuid(it.id): it.person for it in events if it.person in people}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorder(models: Path) -> AsyncIterator[Recorder]:
    with a_home() as home:
        settings = Settings.model_validate(
            {"home": str(home), "models": {"directory": str(models)}}
        )
        async with (
            open_stores(settings) as stores,
            open_recognition(settings, stores) as recognition,
        ):
            enroller = enroller_of(stores, recognition)
            results = [it async for it in enrol_folder(DEV / "enrol", stores.org, enroller)]
            assert all(it.outcome is Outcome.ENROLLED for it in results), results
            await recognition.galleries.catch_up()
            yield Recorder(settings, stores, recognition)


def truth(video: str) -> list[Line]:
    videos = json.loads((DEV / "ground_truth.json").read_text())["videos"]
    return next(it["people"] for it in videos if it["file"].startswith(video))


def shown(event: Line, people: list[Line]) -> str | None:
    """Whose labelled box the event's best shot hits."""
    box = Box(*event["box"])
    hits = {
        person["id"]: box.overlap(Box(*labelled[1:]))
        for person in people
        for labelled in person["boxes"]
        if abs(labelled[0] - event["best_s"]) <= 0.15
    }
    return max(hits, key=lambda it: hits[it], default=None)


async def test_ten_people_at_a_kiosk_are_eleven_visits(recorder: Recorder) -> None:
    people = truth("d07")
    events = await recorder.replay("d07")

    visits = sorted((start, person["id"]) for person in people for start, _ in person["visible_s"])
    assert [shown(it, people) for it in events] == [who for _, who in visits]
    for event, (start, _) in zip(events, visits, strict=True):
        assert event["first_seen_s"] == pytest.approx(start, abs=0.5)
    enrolled = {person["id"]: person.get("enrolled_as") for person in people}
    assert [it["person"] for it in events] == [enrolled[who] for _, who in visits]


async def test_who_comes_back_unknown_is_one_person_each(recorder: Recorder) -> None:
    people = truth("d07")
    visits = await recorder.replay("d07") + await recorder.replay("d07", at="the other door")

    whose = await recorder.unnamed()
    found = {(shown(it, people), whose[it["event"]]) for it in visits if it["event"] in whose}
    assert sorted(str(who) for who, _ in found) == ["g05", "g06", "g09", "g10"]
    assert len({person for _, person in found}) == 4
    assert len(whose) == 8


async def test_one_person_who_stays_is_one_event(recorder: Recorder) -> None:
    (event,) = await recorder.replay("d04")

    assert event["person"] is None
    assert event["last_seen_s"] - event["first_seen_s"] > 53


async def test_people_from_behind_are_never_named(recorder: Recorder) -> None:
    assert not [it for it in await recorder.replay("d05") if it["person"]]

"""Another embedder is put in force: nobody enrols again, and a running service takes it over."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import cv2
import numpy as np
import pytest
from embedders import beside, known, squinting, turned_sface
from factories import a_camera

from facewatch.app import switched
from facewatch.app.recognition import Recognition, open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import Stores, open_stores
from facewatch.app.switch import embed_all, put_in_force
from facewatch.cli import facewatch
from facewatch.demo.cameras import demo_cameras
from facewatch.demo.cast import ENROLLED
from facewatch.demo.material import DemoMaterial
from facewatch.domain.faces import Pixels
from facewatch.domain.past import Change
from facewatch.errors import InvalidSettings, ModelTrouble
from facewatch.settings import Settings, load
from facewatch.stream.encode import encode_video
from facewatch.vision import registry
from facewatch.vision.pictures import decode

Say = Callable[..., list[Any]]


@pytest.fixture
def home(dsn: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with embedders of its own beside the real ones."""
    directory = beside(models, tmp_path / "weights")
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("FACEWATCH_DATABASE_URL", dsn)
    monkeypatch.setenv("FACEWATCH_MODELS_DIRECTORY", str(directory))
    monkeypatch.setenv("FACEWATCH_HTTP_PORT", "0")
    with ExitStack() as cards:
        cards.enter_context(known(turned_sface(directory)))
        cards.enter_context(known(squinting(directory)))
        yield tmp_path


@pytest.fixture
def say(home: Path, capfd: pytest.CaptureFixture[str]) -> Say:
    """Runs a command; what it prints as JSON."""

    def run(*words: str) -> list[Any]:
        capfd.readouterr()
        facewatch.main([*words, "--json"], standalone_mode=False)
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return run


def fetched(dsn: str, sql: str) -> list[Any]:
    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


PAST = "SELECT id, confidence, decision FROM face_event ORDER BY id"
TEMPLATES = "SELECT m.name, count(*)::int FROM template t JOIN model m ON m.id = t.model GROUP BY 1"


@pytest.fixture
def enrolled(say: Say, home: Path, material: DemoMaterial) -> Say:
    """The demo's people are."""
    for name, photos in material.enrolment.items():
        (home / "people" / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(photo, home / "people" / name)
    say("person", "enrol", str(home / "people"))
    return say


@pytest.fixture
def site(enrolled: Say, material: DemoMaterial) -> Say:
    """Somebody enrolled, and a video in which they come, then a stranger."""
    say = enrolled
    events = say("replay", str(material.cameras["gate"]), "--camera", "gate")
    assert [it["person"] for it in events] == ["Barack Obama", None]
    return say


def test_a_switch_needs_no_enrolment_and_its_way_back_is_short(
    site: Say, dsn: str, home: Path, material: DemoMaterial
) -> None:
    enrolled = len(ENROLLED)
    past = fetched(dsn, PAST)

    (prepared,) = site("models", "switch", "turned", "--since", "2000-01-01", "--prepare")
    assert (prepared["visits"], prepared["same"], prepared["events"]) == (2, 2, [])
    assert dict(fetched(dsn, TEMPLATES)) == {"sface": enrolled + 2, "turned": enrolled + 2}
    assert in_use(site) == "sface"

    fetched(dsn, "DELETE FROM template WHERE model = 2 AND face IN (SELECT face FROM face_event)")
    site("models", "switch", "turned", "--since", "2000-01-01")
    assert dict(fetched(dsn, TEMPLATES))["turned"] == enrolled + 2
    assert in_use(site) == "turned"

    again = site("replay", str(material.cameras["gate"]), "--camera", "yard")
    assert [it["person"] for it in again] == ["Barack Obama", None]
    assert dict(fetched(dsn, TEMPLATES)) == {"sface": enrolled + 2, "turned": enrolled + 4}

    (back,) = site("models", "switch", "sface", "--since", "2000-01-01")
    assert (back["visits"], back["same"]) == (4, 4)
    assert dict(fetched(dsn, TEMPLATES)) == {"sface": enrolled + 4, "turned": enrolled + 4}
    kept = fetched(dsn, PAST)
    assert [it for it in kept if it in past] == past  # past confidences never move


def in_use(say: Say) -> str:
    names = [it["name"] for it in say("models", "list") if it["in_use"]]
    return next(it for it in names if it != "yunet")


def test_a_model_that_would_take_names_is_seen_before_it_is_in_force(site: Say) -> None:
    (found,) = site("whatif", "--model", "squinting", "--since", "2000-01-01")
    assert (found["visits"], found["lost"], found["gained"]) == (2, 1, 0)
    (lost,) = found["events"]
    assert (lost["before"], lost["change"]) == ("Barack Obama", Change.LOST)


def test_whatif_keeps_nothing_of_another_model(site: Say, dsn: str) -> None:
    site("whatif", "--model", "turned", "--since", "2000-01-01")
    assert [name for name, _ in fetched(dsn, TEMPLATES)] == ["sface"]


def test_what_lost_its_crops_is_counted(site: Say, home: Path, capfd: Any) -> None:
    for crop in (home / "objects").rglob("look-*.png"):
        crop.unlink()
    site_answer = site("whatif", "--model", "turned", "--since", "2000-01-01")
    assert site_answer[0]["uncomparable"] == 2
    facewatch.main(["models", "switch", "turned", "--prepare"], standalone_mode=False)
    assert "0 matchmakers, which will match nobody" in capfd.readouterr().err


def test_a_setting_goes_before_a_switch(say: Say, home: Path) -> None:
    (home / "facewatch.toml").write_text('[models]\nembedder = "sface"\n')
    with pytest.raises(InvalidSettings, match=r"settled as 'sface'"):
        say("models", "switch", "turned")
    assert in_use(say) == "sface"


@pytest.mark.parametrize("text", ["{", '{"embedder": 3}', '{"more": 1}'])
def test_a_damaged_memory_of_a_switch_is_said(say: Say, home: Path, text: str) -> None:
    (home / "embedder.json").write_text(text)
    with pytest.raises(InvalidSettings, match=r"embedder\.json"):
        say("models", "list")


def test_a_model_whose_file_is_not_here_is_not_switched_to(say: Say, home: Path) -> None:
    with pytest.raises(ModelTrouble, match="arcface-mbf"):
        say("models", "switch", "arcface-mbf")
    assert not (home / "embedder.json").exists()


async def until_ready(urls: list[str], answers: str) -> None:
    """Until the service says *answers* of its models."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as client:
        while not urls:  # noqa: ASYNC110 - filled by a callback
            await asyncio.sleep(0.05)
        while True:
            async with client.get(f"{urls[0]}/readyz") as answer:
                if answers in await answer.text():
                    return
            await asyncio.sleep(0.05)


async def until_caught_up(settings: Settings) -> None:
    async with asyncio.timeout(30):
        while switched.in_force(settings) != switched.Switched(embedder="turned"):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(
    home: Path, dsn: str
) -> AsyncIterator[tuple[Settings, Stores, list[str], Recognition]]:
    """A service in this process; its URL is in the list once it answers."""
    given = {"home": str(home), "database_url": dsn, "http.port": 0}
    settings = load(None, {}, {**given, "models.directory": str(home / "weights")})
    stop, urls = asyncio.Event(), list[str]()
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(
            run_service(
                *(settings, stores, recognition),
                stop=stop,
                ready=urls.append,
                written=lambda _v, _r: None,
            )
        )
        try:
            yield settings, stores, urls, recognition
        finally:
            stop.set()


def test_a_running_service_takes_it_over_with_whoever_was_enrolled_meanwhile(
    site: Say, home: Path, dsn: str
) -> None:
    everybody = len(ENROLLED)
    (late, _), *_ = fetched(dsn, "SELECT face, org FROM matchmaker ORDER BY face DESC LIMIT 1")

    async def serve() -> None:
        async with serving(home, dsn) as (settings, stores, urls, _):
            await until_ready(urls, f"sface, {everybody} people enrolled")
            card = registry.card("turned")
            began = (await stores.past.visits(stores.org, "sface", 1))[0].at
            await embed_all(settings, stores, card, lambda _looked_at, _made, _what: None)
            # as if they had been enrolled behind the embedding's back
            connection = await asyncpg.connect(dsn)
            await connection.execute("DELETE FROM template WHERE model = 2 AND face = $1", late)
            await connection.close()
            await put_in_force(settings, stores, card, began)
            await until_ready(urls, f"turned, {everybody} people enrolled")
            await until_caught_up(settings)

    asyncio.run(serve())


def somebody_who_stays(photos: Path) -> Iterator[Pixels]:
    """Six seconds without a beginning or an end: somebody sways to and fro."""
    rng = np.random.default_rng(1)
    face = decode((photos / "obama.jpg").read_bytes()).full()
    high = 300
    small = cv2.resize(face, (face.shape[1] * high // face.shape[0], high))
    for n in range(60):
        room = np.full((480, 848, 3), 110, np.uint8)
        left = 300 + round(30 * np.sin(2 * np.pi * n / 60))
        room[100 : 100 + high, left : left + small.shape[1]] = small
        yield np.clip(room + rng.normal(0, 3, room.shape), 0, 255).astype(np.uint8)


@dataclass
class Asker:
    """Asks the service again and again, and remembers what it said of its models."""

    url: str
    secret: str
    models: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def ask(self) -> None:
        headers = {"x-auth-apikey": self.secret}
        async with aiohttp.ClientSession(self.url, headers=headers) as client:
            while True:
                for path in ("/readyz", "/api/v1/cameras", "/api/v1/suggestions/names"):
                    try:
                        async with client.get(path) as answer:
                            told = await answer.json()
                    except aiohttp.ClientError as error:
                        self.failed.append(f"{path}: {error!r}")
                        continue
                    if answer.status != 200:
                        self.failed.append(f"{path}: {answer.status} {told}")
                    elif path == "/readyz":
                        self.models.append(told["parts"]["models"]["detail"].split(",")[0])


def test_whoever_is_in_view_makes_one_visit_and_no_request_fails(
    enrolled: Say, home: Path, dsn: str, photos: Path
) -> None:
    encode_video(video := home / "sway.mp4", somebody_who_stays(photos), fps=10)
    card = registry.card("turned")

    async def serve() -> Asker:
        async with (
            demo_cameras({"sway": video}) as urls_of,
            serving(home, dsn) as (settings, stores, urls, recognition),
            asyncio.timeout(90),
        ):
            place = {"org": stores.org, "location": stores.location}
            await stores.cameras.add(a_camera(name="sway", url=urls_of["sway"], **place))
            await until_ready(urls, "sface")
            _, secret = await stores.keys.create(stores.org, "asker", "admin")
            asker = Asker(urls[0], secret)
            asking = asyncio.create_task(asker.ask())
            while [it.person_name for it in await stores.events.page(stores.org, 9)] == []:  # noqa: ASYNC110 - a table
                await asyncio.sleep(0.1)
            began = datetime.now(UTC)
            await embed_all(settings, stores, card, lambda _looked_at, _made, _what: None)
            await put_in_force(settings, stores, card, began)
            await until_ready(urls, "turned")
            looks = recognition.metrics.frames_looked_at.labels("sway").collect()[0].samples[0]
            seen = looks.value
            while looks.value < seen + 10:
                looks = recognition.metrics.frames_looked_at.labels("sway").collect()[0].samples[0]
                await asyncio.sleep(0.1)
            asking.cancel()
            await asyncio.wait([asking])
            return asker

    asker = asyncio.run(serve())
    assert asker.failed == []
    assert (asker.models[0], asker.models[-1]) == ("sface", "turned")

    ((event, tracks, name, digest),) = fetched(
        dsn,
        "SELECT e.id, e.tracks, p.name, e.decision ->> 'model' FROM face_event e"
        " LEFT JOIN person p ON p.id = e.person WHERE e.closed",
    )
    assert (tracks, name, digest) == (1, "Barack Obama", card.sha256)
    assert fetched(dsn, "SELECT id FROM face_event") == [(event,)]

"""Another embedder is put in force: nobody enrols again, and a running service takes it over."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from embedders import beside, known, squinting, turned_sface

from facewatch.app import switched
from facewatch.app.keep_serving import keep_serving
from facewatch.app.stores import open_stores
from facewatch.app.switch import embed_all, put_in_force
from facewatch.cli import facewatch
from facewatch.demo.cast import ENROLLED
from facewatch.demo.material import DemoMaterial
from facewatch.domain.past import Change
from facewatch.errors import InvalidSettings, ModelTrouble
from facewatch.settings import Settings, load
from facewatch.vision import registry

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
def site(say: Say, home: Path, material: DemoMaterial) -> Say:
    """Somebody enrolled, and a video in which they come, then a stranger."""
    for name, photos in material.enrolment.items():
        (home / "people" / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(photo, home / "people" / name)
    say("person", "enrol", str(home / "people"))
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
    """Until the newest URL says *answers* of its models."""
    async with asyncio.timeout(30), aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"{urls[-1]}/readyz") as answer:
                    if answers in await answer.text():
                        return
            except (aiohttp.ClientError, IndexError):
                pass
            await asyncio.sleep(0.05)


async def until_caught_up(settings: Settings) -> None:
    async with asyncio.timeout(30):
        while switched.in_force(settings) != switched.Switched(embedder="turned"):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)


def test_a_running_service_takes_it_over_with_whoever_was_enrolled_meanwhile(
    site: Say, home: Path, dsn: str
) -> None:
    everybody = len(ENROLLED)
    (late, _), *_ = fetched(dsn, "SELECT face, org FROM matchmaker ORDER BY face DESC LIMIT 1")

    async def serve() -> None:
        settings = load(
            None,
            {},
            {
                "home": str(home),
                "database_url": dsn,
                "http.port": 0,
                "models.directory": str(home / "weights"),
            },
        )
        stop, urls = asyncio.Event(), list[str]()
        async with open_stores(settings) as stores, asyncio.TaskGroup() as group:
            group.create_task(
                keep_serving(
                    settings, stores, stop=stop, ready=urls.append, written=lambda _v, _r: None
                )
            )
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
            stop.set()

    asyncio.run(serve())

"""Labelled videos through the very stages of `replay`, and labelled photos; nothing is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from facewatch.app import calibration
from facewatch.app.recognition import rule_of, standstill_of, visiting_of, warm_engine
from facewatch.app.recording import VISITS_BOUND
from facewatch.domain.calibration import Calibration
from facewatch.domain.ids import CameraId, EventId, FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import Decision, Matchmaker
from facewatch.errors import UnusablePhoto
from facewatch.evaluate.photos import Face, Photos, Whose
from facewatch.evaluate.score import Seen
from facewatch.evaluate.truth import Sight, Span
from facewatch.flow.channel import Channel
from facewatch.flow.metrics import Metrics
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider
from facewatch.people.enrol import Gate, fit_face
from facewatch.people.folder import photos_in
from facewatch.pipeline.ingest import ingest
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.record import decided
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame
from facewatch.settings import Settings
from facewatch.stream.files import FileSource
from facewatch.vision import registry
from facewatch.vision.engine import FaceEngine
from facewatch.vision.pictures import decode, decode_grey

_CAMERA = CameraId(UUID(int=1))
_ORG = OrgId(UUID(int=1))
_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bench:
    """Models and a gallery in memory; `thread` is the one that may use the engine.

    Attributes:
        names: Who is enrolled.
        refused: Photos that were not: path and why.
    """

    settings: Settings
    engine: FaceEngine
    thread: ThreadPoolExecutor
    decider: Decider
    names: dict[PersonId, str]
    refused: tuple[tuple[Path, str], ...]


@asynccontextmanager
async def _warm(settings: Settings) -> AsyncIterator[tuple[FaceEngine, ThreadPoolExecutor]]:
    """The models, and the one thread that may use them."""
    with ThreadPoolExecutor(1, "engine") as thread:
        loop = asyncio.get_running_loop()
        yield await loop.run_in_executor(thread, warm_engine, settings), thread


@dataclass(frozen=True, slots=True)
class Album:
    """The face of each photo, or why there is none; and what judges them.

    Attributes:
        grey_calibration: For faces without colour; None where nobody has measured it.
    """

    faces: Mapping[Path, Face | str]
    calibration: Calibration
    grey_calibration: Calibration | None
    model_digest: str


async def open_album(
    settings: Settings,
    photos: Iterable[Path],
    whose: Whose,
    looked_at: Callable[[int, str], None],
    *,
    turn_grey: bool = False,
) -> Album:
    """Look at each of *photos* once; memory holds one picture and the templates.

    *looked_at* is told how many are done, and which was the last. *turn_grey* takes their colour.

    Raises:
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
    """
    loop = asyncio.get_running_loop()
    async with _warm(settings) as (engine, thread):
        look = Photos(engine, decode_grey if turn_grey else decode, whose).face
        faces: dict[Path, Face | str] = {}
        for photo in dict.fromkeys(photos):
            faces[photo] = await loop.run_in_executor(thread, look, photo)
            looked_at(len(faces), photo.name)
        return Album(faces, engine.calibration, _grey(settings, engine), engine.model_digest)


@asynccontextmanager
async def open_bench(
    settings: Settings, enrol: Path | None, enrolled: Callable[[int, str], None]
) -> AsyncIterator[Bench]:
    """The models, warm, and whoever has a fit photo in the folder *enrol*.

    *enrolled* is told of each photo: how many were looked at, and whose it was.

    Raises:
        NotFound: *enrol* holds no photos.
        UnusablePhoto: none of them can be used.
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
    """
    photos = photos_in(enrol) if enrol else []
    loop = asyncio.get_running_loop()
    async with _warm(settings) as (engine, thread):
        people: dict[str, PersonId] = {}
        matchmakers: list[Matchmaker] = []
        refused: list[tuple[Path, str]] = []
        for number, (name, photo) in enumerate(photos, 1):
            person = people.get(name) or PersonId(new_id())
            try:
                made = await loop.run_in_executor(thread, _matchmaker, engine, photo, person)
            except UnusablePhoto as error:
                refused.append((photo, error.what))
            except OSError as error:
                refused.append((photo, f"{photo.name}: {error.strerror}"))
            else:
                people[name] = person
                matchmakers.append(made)
            enrolled(number, name)
        if refused and not matchmakers:
            raise UnusablePhoto(
                f"no photo in {enrol} can be enrolled: {refused[0][1]}", "use better photos"
            )
        gallery = ExactGallery(engine.dimensions)
        gallery.replace(_ORG, 1, matchmakers)
        decider = Decider(
            *(gallery, engine.calibration, engine.model_digest, rule_of(settings)),
            grey_calibration=_grey(settings, engine),
        )
        names = {person: name for name, person in people.items()}
        yield Bench(settings, engine, thread, decider, names, tuple(refused))


def _grey(settings: Settings, engine: FaceEngine) -> Calibration | None:
    return calibration.in_force(settings, registry.card(engine.model), grey=True)


def _matchmaker(engine: FaceEngine, photo: Path, person: PersonId) -> Matchmaker:
    picture = decode(photo.read_bytes(), photo.name)
    _, crop, _ = fit_face(engine, Gate(), picture, photo.name)
    return Matchmaker(FaceId(new_id()), person, _ORG, engine.embed([crop])[0])


async def watch(bench: Bench, video: Path, seen: Callable[[Frame], None]) -> tuple[list[Seen], int]:
    """Every event of *video*, by its beginning, and how many embeddings that took.

    *seen* is told of each frame. Memory holds a handful of frames and the events' boxes.

    Raises:
        UnreadableStream: the file is no video.
    """
    settings, metrics = bench.settings, Metrics.on()
    recogniser = Recogniser(
        bench.engine,
        lambda camera: Visitors(
            camera,
            lambda at, _number: EventId(new_id(at)),
            visiting=visiting_of(settings),
            standstill=standstill_of(settings),
        ),
        metrics,
        idle_look_s=settings.recognition.idle_look_s,
    )
    source = FileSource(_CAMERA, video, looks_per_s=settings.recognition.looks_per_s, start=_START)
    visits: Channel[Visit] = Channel(VISITS_BOUND)
    async with asyncio.TaskGroup() as group:
        judged = group.create_task(_collect(bench, visits))
        try:
            await ingest(source, recogniser, bench.thread, visits, seen)
        finally:
            await visits.close()
    embeddings = metrics.registry.get_sample_value("embeddings_total")
    return judged.result(), int(embeddings or 0)


async def _collect(bench: Bench, visits: Channel[Visit]) -> list[Seen]:
    """Decide each version of each visit as the recorder would, and keep what was said of it."""
    said: dict[EventId, list[str | None]] = {}
    closed: list[Seen] = []
    async for visit in visits:
        decision = await asyncio.to_thread(decided, visit, bench.decider, _ORG)
        said.setdefault(visit.event, []).append(_name(decision, bench))
        if visit.closed:
            closed.append(_seen(visit, said.pop(visit.event)))
    return sorted(closed, key=lambda it: it.span.start_s)


def _name(decision: Decision | None, bench: Bench) -> str | None:
    return bench.names[decision.person] if decision and decision.person else None


def _seen(visit: Visit, names: list[str | None]) -> Seen:
    best = visit.best.look
    return Seen(
        span=Span(visit.first_seen_s, visit.last_seen_s),
        best=Sight(best.t_s, best.box),
        looks=tuple(Sight(it.t_s, it.box) for it in visit.best_looks),
        names=tuple(names),
    )

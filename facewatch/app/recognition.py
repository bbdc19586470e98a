"""The models, warm, and the gallery of today."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from facewatch.app import calibration
from facewatch.app.stores import Stores
from facewatch.domain.ids import OrgId
from facewatch.flow.metrics import Metrics
from facewatch.gallery.live import HomeGalleries, LiveGallery
from facewatch.people.decide import Decider, Rule
from facewatch.people.enrol import Enroller
from facewatch.people.gallery import Galleries
from facewatch.people.likeness import Likeness
from facewatch.people.look import Looker
from facewatch.pipeline.still import Standstill
from facewatch.pipeline.visit import Visiting
from facewatch.settings import Settings
from facewatch.vision import registry
from facewatch.vision.cards import Precision
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header
from facewatch.vision.runtime import Runtime, best_provider


@dataclass(frozen=True, slots=True)
class Hands:
    """What works for any model."""

    encoder: JpegPngEncoder
    thread: ThreadPoolExecutor
    workers: ThreadPoolExecutor
    photos: ThreadPoolExecutor
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Recognition:
    """The engine with galleries and thresholds in force; `thread` is the one that may use it.

    `looker` shares it, and has a thread of its own to decode photos: a large one holds up no
    camera.
    """

    engine: FaceEngine
    gallery: LiveGallery
    galleries: Galleries
    decider: Decider
    looker: Looker
    likeness: Likeness
    hands: Hands

    @property
    def encoder(self) -> JpegPngEncoder:
        return self.hands.encoder

    @property
    def thread(self) -> ThreadPoolExecutor:
        return self.hands.thread

    @property
    def workers(self) -> ThreadPoolExecutor:
        return self.hands.workers

    @property
    def metrics(self) -> Metrics:
        return self.hands.metrics


@asynccontextmanager
async def open_recognition(settings: Settings, stores: Stores) -> AsyncIterator[Recognition]:
    """The models, warm, and the gallery of today.

    Raises:
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
        InvalidSettings: a calibration that was measured here cannot be used.
    """
    with (
        ThreadPoolExecutor(1, "engine") as thread,
        ThreadPoolExecutor(2, "worker") as workers,
        ThreadPoolExecutor(1, "photos") as photos,
    ):
        hands = Hands(JpegPngEncoder(), thread, workers, photos, Metrics.on())
        engine = await asyncio.get_running_loop().run_in_executor(
            thread, warm_engine, settings, hands.metrics
        )
        yield await _put_together(settings, stores, engine, hands)


async def another_recognition(
    settings: Settings, stores: Stores, recognition: Recognition
) -> Recognition:
    """With the embedder that *settings* name; threads and metrics are those of *recognition*.

    Raises:
        DatabaseUnavailable: Postgres does not answer.
        See `open_recognition`.
    """
    engine = await asyncio.to_thread(warm_engine, settings, recognition.metrics)
    return await _put_together(settings, stores, engine, recognition.hands)


async def _put_together(
    settings: Settings, stores: Stores, engine: FaceEngine, hands: Hands
) -> Recognition:
    """*engine* with the gallery of today."""
    gallery = LiveGallery(engine.dimensions, engine.model, _folder(settings))
    thresholds: dict[OrgId, float] = {}
    galleries = Galleries(
        *(gallery, thresholds, stores.people, stores.orgs, engine.model),
        kept=kept_galleries(settings),
    )
    await galleries.catch_up()
    return Recognition(
        engine=engine,
        gallery=gallery,
        galleries=galleries,
        decider=Decider(
            gallery,
            engine.calibration,
            engine.model_digest,
            rule_of(settings),
            thresholds,
            grey_calibration=calibration.in_force(settings, registry.card(engine.model), grey=True),
        ),
        looker=Looker(
            *(engine, hands.encoder, header, decode, hands.thread, hands.photos),
            batch=frames_at_once(settings, engine),
        ),
        likeness=Likeness(
            *(gallery, engine.calibration, stores.people),
            *(settings.recognition.threshold, thresholds),
        ),
        hands=hands,
    )


def warm_engine(settings: Settings, metrics: Metrics | None = None) -> FaceEngine:
    """The models that *settings* name, run once. Blocks for a second or two.

    *metrics* count batches that the memory did not suffice for.

    Raises:
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
        InvalidSettings: the calibration that was measured here cannot be used.
    """
    models, rule = settings.models, settings.recognition
    engine = open_engine(
        settings.model_directory,
        models.detector,
        models.embedder,
        runtime=runtime(settings, metrics),
        detector_precision=Precision(models.detector_precision),
        embedder_precision=Precision(models.embedder_precision),
        long_side=rule.long_side_px,
        score_threshold=rule.detector_score,
        calibration=calibration.in_force(settings, registry.card(models.embedder)),
    )
    engine.warm_up()
    return engine


def runtime(settings: Settings, metrics: Metrics | None = None) -> Runtime:
    """What runs the models; what is measured and compiled is kept in the home."""
    halved = metrics.batches_halved.labels if metrics else None
    return Runtime(
        providers(settings),
        model_threads(settings),
        settings.home_path / "engine",
        halved=lambda model: halved(model).inc() if halved else None,
    )


def frames_at_once(settings: Settings, engine: FaceEngine) -> int:
    """Frames of different cameras in one call: as the settings say, else what was measured to pay.

    Twice the detector's largest batch: while one runs the next is made ready. At least four:
    their faces are embedded together.
    """
    return settings.models.batch or max(4, 2 * engine.sessions[0].buckets.most)


def kept_galleries(settings: Settings) -> HomeGalleries:
    """Templates of the enrolled, as this home keeps them."""
    return HomeGalleries(_folder(settings))


def _folder(settings: Settings) -> Path:
    return settings.home_path / "gallery"


def model_threads(settings: Settings) -> int:
    """Threads of one model run: as the settings say, else half the cores.

    The other half decodes. On two cores a second thread made YuNet and SFace together a quarter
    faster and a quarter dearer.
    """
    return settings.models.threads or max(1, (os.cpu_count() or 1) // 2)


def providers(settings: Settings) -> tuple[str, ...]:
    """What runs the models: as the settings say, else the best that is installed and starts."""
    return settings.models.providers or (best_provider(),)


def rule_of(settings: Settings) -> Rule:
    """What it takes to be named, as the settings say."""
    rule = settings.recognition
    return Rule(rule.threshold, rule.margin, rule.least_quality, grey_threshold=rule.grey_threshold)


def visiting_of(settings: Settings) -> Visiting:
    """What makes a visit, as the settings say."""
    rule = settings.recognition
    return Visiting(gap_s=rule.visit_gap_s, face=rule.least_face)


def standstill_of(settings: Settings) -> Standstill:
    """What stands so still that it is no person, as the settings say."""
    return Standstill(after_s=settings.recognition.still_after_s)


def enroller_of(stores: Stores, recognition: Recognition) -> Enroller:
    """What turns photos into matchmakers."""
    return Enroller(recognition.looker, recognition.likeness, stores.people, stores.blobs)

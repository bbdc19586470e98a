"""Pictures and clips that were brought go through the cameras' stages while the service runs."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from facewatch.app.recognition import Recognition, standstill_of, visiting_of
from facewatch.app.recording import VISITS_BOUND, recorder_for
from facewatch.app.stores import Stores
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord, TimeSource
from facewatch.domain.ids import CameraId, EventId, derived_id
from facewatch.domain.library import Asset, AssetKind, IntakeState
from facewatch.errors import NotFound, RecordRefused, StoreTrouble, UnreadableStream, UnusablePhoto
from facewatch.flow.channel import Channel
from facewatch.people.intake import Intake
from facewatch.people.on_disk import on_disk
from facewatch.pipeline.deliver import content_type
from facewatch.pipeline.ingest import ingest
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.record import Reel, record
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.events import FaceEvents
from facewatch.ports.keeping import Blobs
from facewatch.ports.library import Taken
from facewatch.ports.streams import Frame, Picture, Source
from facewatch.settings import Settings
from facewatch.store.intake import INTAKE
from facewatch.stream.files import FileSource, clip, duration_s
from facewatch.vision.pictures import JpegPngEncoder, decode, header, is_picture

log = logging.getLogger(__name__)

_LANES = 2
"""A picture need not wait for the end of a long clip."""
_AT_ONCE = 2
"""Frames that the engine looks at in one go: the cameras have every other turn."""
_MOST_TRIES = 3
_LEASE = timedelta(seconds=60)
_TELL_S = 1.0
_LEFT_S = 7200.0
"""Nobody sends one file for so long."""
_AGAIN_S = 10.0
_TROUBLE_S = 2.0
_LATE_S = 1.5
"""A clip that ends so long before its container says was cut off."""


def intake_of(settings: Settings, stores: Stores) -> Intake:
    """Where callers bring pictures and clips."""
    return Intake(
        *(stores.brought, stores.cameras, stores.locations, stores.blobs),
        is_picture=is_picture,
        header=header,
        decode=decode,
        clip=clip,
        encoder=JpegPngEncoder(),
        folder=settings.home_path / "intake" / "sent",
    )


def _folder(settings: Settings) -> Path:
    return settings.home_path / "intake" / "clips"


async def look_at_brought(settings: Settings, stores: Stores, recognition: Recognition) -> None:
    """Look at what waits, and at what comes, until cancelled.

    What a service of this home had in hand when it died begins again at once, what another had
    within a minute; the same ids come of it.
    """
    await asyncio.to_thread(_clean, settings.home_path / "intake")
    bell = asyncio.Event()
    name = f"{socket.gethostname()}:{settings.home_path}"
    async with asyncio.TaskGroup() as group:
        group.create_task(_ring(stores, bell))
        for lane in range(_LANES):
            looker = _Lane(settings, stores, recognition, f"{name}#{lane}")
            group.create_task(looker.work(bell))


def _clean(folder: Path) -> None:
    """What a service that died had on the disk; what is being sent is younger."""
    (folder / "clips").mkdir(0o700, parents=True, exist_ok=True)
    for file in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _LEFT_S:
                file.unlink()


async def _ring(stores: Stores, bell: asyncio.Event) -> None:
    async for _ in stores.database.listen(INTAKE):
        bell.set()


@dataclass(slots=True)
class _Looked:
    """How far something was looked at."""

    last_s: float = 0.0
    whole_s: float | None = None

    @property
    def percent(self) -> float:
        return min(99.0, 100 * self.last_s / self.whole_s) if self.whole_s else 0.0

    def seen(self, frame: Frame) -> None:
        self.last_s = frame.t_s


class _Gone(Exception):
    """It was deleted or erased, or another worker has it."""


@dataclass(frozen=True, slots=True)
class Straight:
    """Takes events into the stores at once: what was brought is the spool, and begins again."""

    blobs: Blobs
    events: FaceEvents
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def add(self, event: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Cancelled, it is finished first: nobody would find pixels that no row names."""
        async with self.turn:  # one connection is enough
            adding = asyncio.create_task(self._add(event, pictures))
            try:
                await asyncio.shield(adding)
            except asyncio.CancelledError:
                await adding
                raise

    async def _add(self, event: EventRecord, pictures: Mapping[str, bytes]) -> None:
        await self.blobs.put_all([(key, body, content_type(key)) for key, body in pictures.items()])
        try:
            await self.events.add([event])
        except RecordRefused as refusal:
            log.error("event %s is left out: %s", event.id, refusal)


@dataclass(frozen=True, slots=True)
class _Still:
    """A picture as a source of one frame."""

    camera: CameraId
    at: datetime
    picture: Picture
    received: int = 1
    changes: int = 0
    late: int = 0
    handicap: str = ""

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        yield Frame(self.camera, 1, self.at, 0.0, TimeSource.GIVEN, self.picture)


@dataclass(frozen=True, slots=True)
class _Lane:
    """Looks at one thing after the other; *worker* is its name, the same after a restart."""

    settings: Settings
    stores: Stores
    recognition: Recognition
    worker: str

    async def work(self, bell: asyncio.Event) -> None:
        await self._let_go()
        said = False
        while True:
            bell.clear()
            try:
                taken = await self.stores.brought.take(self.worker, _LEASE)
                if taken is not None:
                    await self._settle(taken)
            except (StoreTrouble, asyncio.CancelledError) as trouble:
                await self._give_back()
                if isinstance(trouble, asyncio.CancelledError):
                    raise
                if not said:
                    log.warning("pictures and clips that were brought wait: %s", trouble)
                said = True
                await asyncio.sleep(_TROUBLE_S)
                continue
            said = False
            if taken is None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_S):
                        await bell.wait()

    async def _let_go(self) -> None:
        """What was in hand here when the service died."""
        while True:
            try:
                return await self.stores.brought.let_go(self.worker, tried=True)
            except StoreTrouble:
                await asyncio.sleep(_TROUBLE_S)

    async def _give_back(self) -> None:
        """Nothing was wrong with it; where the database is down it is free within a minute."""
        with contextlib.suppress(StoreTrouble):
            await self.stores.brought.let_go(self.worker, tried=False)

    async def _settle(self, taken: Taken) -> None:
        state, said = IntakeState.SUCCESS, ""
        try:
            said = await self._look(taken)
        except (UnreadableStream, UnusablePhoto, NotFound) as error:
            state, said = IntakeState.FAILURE, str(error)
        except _Gone:
            return
        await self.stores.brought.settle(taken.asset, self.worker, state, said)

    async def _look(self, taken: Taken) -> str:
        """What of it could not be read."""
        if taken.tries > _MOST_TRIES:
            raise UnreadableStream(f"it could not be looked at in {_MOST_TRIES} tries")
        asset = await self.stores.assets.get(taken.org, taken.asset)
        if not asset.key or asset.camera is None:
            raise NotFound("its pixels were erased")
        camera = await self.stores.cameras.get(taken.org, asset.camera)
        if asset.kind is AssetKind.PHOTO:
            body = await self.stores.blobs.get(asset.key)
            loop = asyncio.get_running_loop()
            picture = await loop.run_in_executor(
                self.recognition.looker.workers, decode, body, asset.file_name
            )
            still = _Still(camera.id, asset.captured_at, picture)
            await self._run(asset, camera, still, Reel(asset.id, None, asset.key), _Looked())
            return ""
        async with on_disk(self.stores.blobs, asset.key, _folder(self.settings)) as file:
            return await self._clip(asset, camera, file)

    async def _clip(self, asset: Asset, camera: Camera, file: Path) -> str:
        looks_per_s = self.settings.recognition.looks_per_s
        source = FileSource(camera.id, file, looks_per_s=looks_per_s, start=asset.captured_at)
        looked = _Looked(whole_s=await asyncio.to_thread(duration_s, file))
        await self._run(asset, camera, source, Reel(asset.id, asset.captured_at), looked)
        said = []
        if source.broke_off:
            said.append(f"it cannot be read to its end: {source.broke_off}")
        elif looked.whole_s and looked.last_s < looked.whole_s - max(_LATE_S, 2 / looks_per_s):
            said.append(
                f"it ends at {looked.last_s:.1f} of {looked.whole_s:.1f} s: it was cut off; "
                "what could be read was looked at"
            )
        if source.damaged:
            said.append(f"{source.damaged} damaged packets were skipped")
        return "; ".join(said)

    async def _run(
        self, asset: Asset, camera: Camera, source: Source, reel: Reel, looked: _Looked
    ) -> None:
        """
        Raises:
            UnreadableStream: it cannot be read.
            _Gone: there is no use going on.
        """
        visits: Channel[Visit] = Channel(VISITS_BOUND)
        sink = Straight(self.stores.blobs, self.stores.events)
        recorder = recorder_for(
            lambda _: camera, self.recognition, sink, lambda _visit, _event: None, reel
        )
        try:
            async with asyncio.TaskGroup() as group:
                recording = group.create_task(record(visits, lambda: recorder))
                telling = group.create_task(self._tell(asset, looked))
                recogniser = self._recogniser(asset, camera)
                thread = self.recognition.thread
                try:
                    await ingest(source, recogniser, thread, visits, looked.seen, _AT_ONCE)
                finally:
                    await visits.close()
                await recording
                telling.cancel()
        except ExceptionGroup as several:
            for error in several.exceptions:
                if isinstance(error, (UnreadableStream, _Gone)):
                    raise error from None
            raise

    def _recogniser(self, asset: Asset, camera: Camera) -> Recogniser:
        visiting = visiting_of(self.settings)
        if asset.kind is AssetKind.PHOTO:
            visiting = replace(visiting, looks=1, good_looks=1)
        return Recogniser(
            self.recognition.engine,
            lambda _: Visitors(
                camera.id,
                lambda at, number: EventId(derived_id(at, asset.id, number)),
                visiting=visiting,
                standstill=standstill_of(self.settings),
            ),
            self.recognition.metrics,
        )

    async def _tell(self, asset: Asset, looked: _Looked) -> None:
        """Until cancelled. With the database down nobody else takes it either."""
        while True:
            await asyncio.sleep(_TELL_S)
            with contextlib.suppress(StoreTrouble):
                if not await self.stores.brought.goes_on(
                    asset.id, self.worker, looked.percent, _LEASE
                ):
                    raise _Gone

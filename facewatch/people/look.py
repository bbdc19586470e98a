"""A photo is looked at: whose face is in it, and is it fit to be compared?"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from facewatch.domain.faces import Detection, Pixels, Quality, Template
from facewatch.domain.ids import FaceId
from facewatch.errors import NoFace, PoorFace, SeveralFaces, UnusablePhoto
from facewatch.ports.people import Enrolment
from facewatch.ports.streams import Picture
from facewatch.ports.vision import Encoder, Engine, PhotoHeader

_MOST_PIXELS_AT_ONCE = 50_000_000


@dataclass(frozen=True, slots=True)
class Gate:
    """The least that an enrolment photo must be; quality parts are 0..1.

    Attributes:
        width_px: Face width.
        ghost: A second face smaller than this share of the largest one's width is background.
    """

    width_px: float = 40.0
    sharpness: float = 0.2
    pose: float = 0.25
    ghost: float = 0.3

    def refuse_poor(self, name: str, width_px: float, quality: Quality) -> None:
        """
        Raises:
            PoorFace: a face of this width and quality would name strangers; *name* is whose.
        """
        if width_px < self.width_px:
            raise PoorFace(
                f"{name}: the face is {width_px:.0f} px wide, less than {self.width_px:.0f}",
                "use one with more of the face",
            )
        if quality.sharpness < self.sharpness:
            raise PoorFace(
                f"{name}: the face is blurred (sharpness {quality.sharpness:.2f}, at least "
                f"{self.sharpness:.2f})",
                "use a sharper one",
            )
        if quality.pose < self.pose:
            raise PoorFace(
                f"{name}: the face is turned away (pose {quality.pose:.2f}, at least "
                f"{self.pose:.2f})",
                "use one that looks at the camera",
            )


def fit_face(
    engine: Engine, gate: Gate, picture: Picture, name: str
) -> tuple[Detection, Pixels, Quality]:
    """The one face of the photo called *name*, aligned and judged. Blocks; engine's thread.

    Raises:
        NoFace, SeveralFaces, PoorFace: why the photo cannot be used.
    """
    return _only_fit(engine, gate, picture, name, engine.detect([picture])[0])


def _only_fit(
    engine: Engine, gate: Gate, picture: Picture, name: str, detections: Sequence[Detection]
) -> tuple[Detection, Pixels, Quality]:
    found = sorted(detections, key=lambda it: it.box.width, reverse=True)
    if not found:
        raise NoFace(f"{name}: no face found", "use a photo that shows the face from the front")
    rivals = [it for it in found[1:] if it.box.width > gate.ghost * found[0].box.width]
    if rivals:
        raise SeveralFaces(
            f"{name}: {len(rivals) + 1} faces found", "cut the photo down to one person"
        )
    crop = engine.align(picture, found[0].landmarks)
    quality = engine.quality(found[0], crop)
    gate.refuse_poor(name, found[0].box.width, quality)
    return found[0], crop, quality


@dataclass(frozen=True, slots=True)
class Photo:
    """A file's bytes and name, and the id that its face will have."""

    face: FaceId
    name: str
    body: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face in a photo; *thumbnail* is cut out of it."""

    detection: Detection
    quality: Quality
    crop: Pixels
    thumbnail: Pixels
    template: Template


@dataclass(frozen=True, slots=True)
class Looker:
    """Everything that looking at photos takes.

    Attributes:
        header, decode: Take a file's bytes and name, and raise `NotAPicture`.
        engine_thread: The engine's one thread. It is asked for a few photos at a time, so that
            the cameras have every other turn.
        workers: Decode and encode.
        batch: How many photos the engine is given at once.
        turns: For callers who hold a photo in memory while they wait for an answer.
    """

    engine: Engine
    encoder: Encoder
    header: Callable[[bytes, str], PhotoHeader]
    decode: Callable[[bytes, str], Picture]
    engine_thread: Executor
    workers: Executor
    gate: Gate = Gate()
    batch: int = 4
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))

    async def look_at(self, photos: Sequence[Photo]) -> list[Enrolment | UnusablePhoto]:
        """What each of *photos* would be enrolled as, or why it cannot be."""
        answers: list[Enrolment | UnusablePhoto] = []
        for some in self._portions(photos):
            answers += await self._look_at(some)
        return answers

    async def face_in(self, name: str, body: bytes) -> tuple[Found, bytes] | None:
        """The largest face of a photo, however poor, with its thumbnail as JPEG.

        Raises:
            NotAPicture: it cannot be decoded.
        """
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(self.workers, self.decode, body, name)
        found = await loop.run_in_executor(self.engine_thread, self._largest, picture)
        if found is None:
            return None
        return found, await loop.run_in_executor(
            self.workers, self.encoder.jpeg, found.thumbnail, 90
        )

    def _portions(self, photos: Sequence[Photo]) -> list[list[Photo]]:
        """At most a batch each, and few pixels in memory: one photo may decode to 150 MB."""
        portions: list[list[Photo]] = []
        pixels = 0
        for photo in photos:
            try:
                size = self.header(photo.body, photo.name).pixels
            except UnusablePhoto:
                size = 0  # told when it is decoded
            full = not portions or len(portions[-1]) == self.batch
            if full or pixels + size > _MOST_PIXELS_AT_ONCE:
                portions.append([])
                pixels = 0
            portions[-1].append(photo)
            pixels += size
        return portions

    async def _look_at(self, photos: Sequence[Photo]) -> list[Enrolment | UnusablePhoto]:
        loop = asyncio.get_running_loop()
        pictures = await asyncio.gather(
            *(loop.run_in_executor(self.workers, self._decoded, it) for it in photos)
        )
        found = await loop.run_in_executor(self.engine_thread, self._faces, photos, pictures)
        return await asyncio.gather(
            *(
                loop.run_in_executor(self.workers, self._enrolment, *each)
                for each in zip(photos, pictures, found, strict=True)
            )
        )

    def _decoded(self, photo: Photo) -> Picture | UnusablePhoto:
        try:
            return self.decode(photo.body, photo.name)
        except UnusablePhoto as error:
            return error

    def _faces(
        self, photos: Sequence[Photo], pictures: Sequence[Picture | UnusablePhoto]
    ) -> list[Found | UnusablePhoto]:
        """Detections and templates are batched. The engine's thread."""
        seen = [it for it in pictures if not isinstance(it, UnusablePhoto)]
        detections = iter(self.engine.detect(seen))
        looked: list[tuple[Picture, Detection, Quality, Pixels] | UnusablePhoto] = []
        for photo, picture in zip(photos, pictures, strict=True):
            if isinstance(picture, UnusablePhoto):
                looked.append(picture)
            else:
                looked.append(self._fit(photo, picture, next(detections)))
        crops = [it[3] for it in looked if not isinstance(it, UnusablePhoto)]
        templates = iter(self.engine.embed(crops))
        return [
            it if isinstance(it, UnusablePhoto) else _found(*it, next(templates)) for it in looked
        ]

    def _fit(
        self, photo: Photo, picture: Picture, detections: Sequence[Detection]
    ) -> tuple[Picture, Detection, Quality, Pixels] | UnusablePhoto:
        try:
            fit = _only_fit(self.engine, self.gate, picture, photo.name, detections)
        except UnusablePhoto as error:
            return error
        detection, crop, quality = fit
        return picture, detection, quality, crop

    def _largest(self, picture: Picture) -> Found | None:
        (detections,) = self.engine.detect([picture])
        if not detections:
            return None
        detection = max(detections, key=lambda it: it.box.width)
        crop = self.engine.align(picture, detection.landmarks)
        quality = self.engine.quality(detection, crop)
        return _found(picture, detection, quality, crop, self.engine.embed([crop])[0])

    def _enrolment(
        self, photo: Photo, picture: Picture | UnusablePhoto, found: Found | UnusablePhoto
    ) -> Enrolment | UnusablePhoto:
        if isinstance(found, UnusablePhoto):
            return found
        assert not isinstance(picture, UnusablePhoto), "then nothing is found in it"
        return Enrolment(
            face=photo.face,
            photo=photo.body,
            content_type=self.header(photo.body, photo.name).mime,
            file_name=photo.name.encode(errors="replace").decode(),
            width=picture.width,
            height=picture.height,
            digest=hashlib.sha256(photo.body).digest(),
            detection=found.detection,
            quality=found.quality,
            thumbnail=self.encoder.jpeg(found.thumbnail, 90),
            crop=self.encoder.png(found.crop),
            template=found.template,
            model=self.engine.model,
        )


def _found(
    picture: Picture, detection: Detection, quality: Quality, crop: Pixels, template: Template
) -> Found:
    thumbnail, _ = picture.cut(detection.box.grown(0.3))
    return Found(detection, quality, crop, thumbnail, template)

"""Values for tests; spell out only what the test is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from facewatch.api.audit import Journal
from facewatch.api.deps import Deps
from facewatch.app.looking import looking
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord, Snapshot, SnapshotFace, TimeSource
from facewatch.domain.faces import Detection, Quality, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    AssetId,
    CameraId,
    EventId,
    FaceId,
    LocationId,
    OrgId,
    PersonId,
    new_id,
)
from facewatch.domain.people import Candidate, Decision
from facewatch.flow.metrics import Metrics
from facewatch.gallery.exact import ExactGallery
from facewatch.gallery.live import HomeGalleries
from facewatch.people.crops import Crops
from facewatch.people.cut import Cutter
from facewatch.people.decide import Decider, Rule
from facewatch.people.gallery import Remains
from facewatch.people.inbox import Inbox
from facewatch.people.intake import Intake
from facewatch.people.lookalikes import Lookalikes
from facewatch.people.sighting import Copier
from facewatch.people.suggest import Suggester
from facewatch.people.whatif import Reconsiderer
from facewatch.ports.people import Enrolment, PhotoKeys
from facewatch.settings import Settings
from facewatch.store.assets import PostgresAssets
from facewatch.store.audit import PostgresAuditLog
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras, PostgresCameraStatuses
from facewatch.store.database import Database
from facewatch.store.decisions import PostgresDecisions
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.faces import PostgresFaces
from facewatch.store.intake import PostgresIntake
from facewatch.store.keys import PostgresKeys
from facewatch.store.locations import PostgresLocations
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.past import PostgresPast
from facewatch.store.people import PostgresPeople
from facewatch.store.portraits import PostgresPortraits
from facewatch.store.regions import PostgresRegions
from facewatch.store.register import PostgresRegister
from facewatch.store.secrets import Vault
from facewatch.store.similar import PostgresSimilarEvents
from facewatch.store.uploads import PostgresUploads
from facewatch.stream.files import clip
from facewatch.vision.pictures import JpegPngEncoder, decode, header, is_picture
from facewatch.vision.registry import card

ORG = OrgId(UUID("01900000-0000-7000-8000-000000000001"))
LOCATION = LocationId(UUID("01900000-0000-7000-8000-000000000002"))
UNASKED: Any = None
"""A part that no answer of a test needs."""

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUALITY = Quality(size=0.9, sharpness=0.8, pose=0.7, exposure=0.6, score=0.95)


def a_camera(**given: Any) -> Camera:
    camera = Camera(CameraId(new_id()), ORG, LOCATION, "door", "rtsp://10.0.0.7/main")
    return replace(camera, **given)


def a_template(seed: int = 0, dimensions: int = 128) -> Template:
    drawn = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return drawn / np.float32(np.linalg.norm(drawn))


def turned(template: Template, cosine: float, seed: int = 99) -> Template:
    """A template whose cosine with *template* is *cosine*."""
    other = a_template(1_000 + seed, len(template)).astype(np.float64)
    other -= template * (other @ template)
    other /= np.linalg.norm(other)
    return (cosine * template + np.sqrt(1 - cosine**2) * other).astype(np.float32)


def a_decision(person: PersonId | None = None, **given: Any) -> Decision:
    """Of *person*, or of nobody."""
    best = Candidate(person, FaceId(new_id()), 0.62, 0.93) if person else None
    decision = Decision(
        person=person,
        candidates=(best,) if best else (),
        confidence=best.confidence if best else None,
        margin=0.2,
        threshold=0.7,
        threshold_similarity=0.45,
        model="ab" * 32,
        calibration="sface-1",
        gallery_revision=1,
        gallery_people=3,
        reason="" if best else "nobody is alike enough",
    )
    return replace(decision, **given)


def a_face(event: EventId | None, **given: Any) -> SnapshotFace:
    landmarks = np.array([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]], np.float32)
    face = SnapshotFace(FaceId(new_id()), Box(100.0, 80.0, 164.0, 160.0), landmarks, QUALITY, event)
    return replace(face, **given)


def a_record(camera: CameraId, at: datetime = NOON, **given: Any) -> EventRecord:
    """The first version of a visit that begins at *at*: one face in its own snapshot."""
    event = given.pop("id", None) or EventId(new_id(at))
    version = given.get("version", 1)
    face = a_face(event)
    record = EventRecord(
        id=event,
        version=version,
        closed=False,
        org=ORG,
        location=LOCATION,
        camera=camera,
        first_seen=at,
        last_seen=at + timedelta(seconds=2),
        best_at=at + timedelta(seconds=1),
        time_source=TimeSource.RTCP,
        looks=10,
        tracks=1,
        face=face.id,
        snapshot=Snapshot(AssetId(new_id(at)), at, 1280, 720, 60_000, b"\x01" * 32, (face,)),
        template=a_template(),
        model="sface",
        decision=a_decision(),
        frame_key=f"{ORG}/2026-11/{event}/{version}-frame.jpg",
        thumbnail_key=f"{ORG}/2026-11/{event}/{version}-face.jpg",
        look_keys=(f"{ORG}/2026-11/{event}/{version}-look-0.png",),
    )
    return replace(record, **given)


def an_enrolment(seed: int = 0, **given: Any) -> Enrolment:
    box, landmarks = Box(20, 20, 120, 140), np.zeros((5, 2), np.float32)
    enrolment = Enrolment(
        face=FaceId(new_id()),
        photo=b"jpeg",
        content_type="image/jpeg",
        file_name="ann.jpg",
        width=200,
        height=200,
        digest=bytes([seed]) * 32,
        detection=Detection(box, landmarks, 0.9, np.zeros(196, np.float32)),
        quality=QUALITY,
        thumbnail=b"face",
        crop=b"crop",
        template=a_template(seed),
        model="sface",
    )
    return replace(enrolment, **given)


def photo_keys(name: str) -> PhotoKeys:
    return PhotoKeys(*(f"{ORG}/people/{name}/{part}" for part in ("photo", "face", "crop")))


def a_decider() -> Decider:
    """At a gallery of nobody."""
    calibration = card("sface").calibration
    assert calibration is not None
    return Decider(ExactGallery(128), calibration, "ab" * 32, Rule())


def some_remains(people: PostgresPeople, home: Path) -> Remains:
    return Remains(people, HomeGalleries(home / "gallery"))


def some_deps(database: Database, place: Path, **given: Any) -> Deps:
    """What the API stands on: *database*, and pictures in *place*."""
    people, blobs = PostgresPeople(database), LocalBlobs(place / "blobs")
    deps = Deps(
        events=(events := PostgresFaceEvents(database)),
        decisions=PostgresDecisions(database, events),
        faces=PostgresFaces(database, events),
        assets=PostgresAssets(database, events),
        portraits=PostgresPortraits(database, events),
        cutter=Cutter(blobs, decode, JpegPngEncoder()),
        model="sface",
        people=people,
        orgs=PostgresOrgs(database),
        register=(register := PostgresRegister(database)),
        cameras=PostgresCameras(database, Vault(place)),
        statuses=PostgresCameraStatuses(database),
        regions=PostgresRegions(database),
        locations=PostgresLocations(database),
        look=looking(Settings()),
        settings=Settings().shown(),
        copier=Copier(people, blobs, "sface", decode),
        lookalikes=Lookalikes(
            PostgresSimilarEvents(database, events), "sface", 128, card("sface").calibration
        ),
        suggester=Suggester(
            *(people, register, "sface", card("sface").calibration), Crops(blobs, decode)
        ),
        reconsiderer=Reconsiderer(PostgresPast(database, events), people, a_decider(), "sface"),
        threshold=0.7,
        blobs=blobs,
        remains=some_remains(people, place),
        keys=PostgresKeys(database),
        readiness={},
        metrics=(metrics := Metrics.on()),
        clock=lambda: NOON,
        audit=Journal(PostgresAuditLog(database), metrics),
        inbox=Inbox(PostgresUploads(database), people, blobs, header),
        looker=UNASKED,
        intake=Intake(
            *(PostgresIntake(database), PostgresCameras(database, Vault(place))),
            *(PostgresLocations(database), blobs, is_picture, header, decode, clip),
            *(JpegPngEncoder(), place / "intake"),
        ),
    )
    return replace(deps, **given)

"""What the handlers stand on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from aiohttp import web

from facewatch.api.audit import Journal
from facewatch.api.limit import Limits
from facewatch.domain.cameras import Camera
from facewatch.domain.settings import Setting
from facewatch.flow.metrics import Metrics
from facewatch.people.cut import Cutter
from facewatch.people.gallery import Remains
from facewatch.people.inbox import Inbox
from facewatch.people.intake import Intake
from facewatch.people.look import Looker
from facewatch.people.lookalikes import Lookalikes
from facewatch.people.search import OFF, NoWordSearch, WordSearch
from facewatch.people.sighting import Copier
from facewatch.people.suggest import Suggester
from facewatch.people.whatif import Reconsiderer
from facewatch.ports.access import Keys, Orgs
from facewatch.ports.cameras import Cameras, CameraStatuses, Locations, Regions
from facewatch.ports.events import Decisions, FaceEvents
from facewatch.ports.keeping import Blobs
from facewatch.ports.library import Assets, Faces, Portraits, Register
from facewatch.ports.people import People
from facewatch.stream.sources import Probe as Look

Probe: TypeAlias = Callable[[], Awaitable[str]]
"""Asks one part of the service whether it can work: a few words on how it is.

Raises:
    FacewatchError: it cannot; the text is shown to whoever asks, so it holds no secret.
"""


@dataclass(frozen=True, slots=True)
class Deps:
    """Every part that an answer may need.

    Attributes:
        look: Watches a camera for a moment; raises CameraTrouble, or Busy while others look.
        settings: Those in force, for an admin to see.
        cutter: Gives faces their own pictures.
        model: Name of the embedder in force.
        copier: Makes matchmakers of sightings.
        lookalikes: Compares what was seen with one face.
        suggester: Compares the enrolled with each other.
        reconsiderer: Decides past visits again, with the gallery in force.
        threshold: The confidence that an org has which has not settled its own.
        remains: What galleries keep on disk of faces that were removed.
        readiness: By the part's name, as `/readyz` shows it.
        clock: The time now, UTC.
        inbox: Where photos wait to be enrolled.
        looker: Finds faces in photos.
        intake: Where pictures and clips wait to be looked at.
        audit: Where answers leave their entries, and where these are read.
        limits: How much is let in.
        words: Finds pictures by words.
    """

    events: FaceEvents
    decisions: Decisions
    faces: Faces
    assets: Assets
    portraits: Portraits
    cutter: Cutter
    model: str
    people: People
    register: Register
    orgs: Orgs
    cameras: Cameras
    statuses: CameraStatuses
    regions: Regions
    locations: Locations
    look: Callable[[Camera], Awaitable[Look]]
    settings: Sequence[Setting]
    copier: Copier
    lookalikes: Lookalikes
    suggester: Suggester
    reconsiderer: Reconsiderer
    threshold: float
    blobs: Blobs
    remains: Remains
    keys: Keys
    readiness: Mapping[str, Probe]
    metrics: Metrics
    clock: Callable[[], datetime]
    audit: Journal
    inbox: Inbox
    looker: Looker
    intake: Intake
    limits: Limits = field(default_factory=Limits)
    words: WordSearch | NoWordSearch = OFF


@dataclass(slots=True)
class Current:
    """The parts of this moment; a request takes them once, when it begins, and keeps them."""

    now: Deps


DEPS = web.AppKey("deps", Current)

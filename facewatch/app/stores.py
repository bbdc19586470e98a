"""What facewatch keeps, opened."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from facewatch.domain.cameras import Camera
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.errors import NotFound
from facewatch.ports.access import AuditLog, Orgs
from facewatch.ports.cameras import Cameras, CameraStatuses, Locations, Regions
from facewatch.ports.events import Decisions, Past, SimilarEvents
from facewatch.ports.keeping import Blobs
from facewatch.ports.library import (
    Assets,
    BroughtAssets,
    Centroids,
    Faces,
    PictureVectors,
    Portraits,
    Register,
)
from facewatch.ports.people import People, Uploads
from facewatch.settings import Settings
from facewatch.store.assets import PostgresAssets
from facewatch.store.audit import PostgresAuditLog
from facewatch.store.blobs import open_blobs
from facewatch.store.cameras import PostgresCameras, PostgresCameraStatuses
from facewatch.store.centroids import PostgresCentroids
from facewatch.store.database import Database, open_database
from facewatch.store.decisions import PostgresDecisions
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.faces import PostgresFaces
from facewatch.store.intake import PostgresIntake
from facewatch.store.locations import PostgresLocations
from facewatch.store.migrate import migrate
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.past import PostgresPast
from facewatch.store.people import PostgresPeople
from facewatch.store.portraits import PostgresPortraits
from facewatch.store.regions import PostgresRegions
from facewatch.store.register import PostgresRegister
from facewatch.store.remembered import RememberedKeys
from facewatch.store.secrets import Vault
from facewatch.store.similar import PostgresSimilarEvents
from facewatch.store.uploads import PostgresUploads
from facewatch.store.vectors import PostgresPictureVectors


@dataclass(frozen=True, slots=True)
class Stores:
    """What facewatch keeps, and whose it is here."""

    database: Database
    blobs: Blobs
    events: PostgresFaceEvents
    decisions: Decisions
    faces: Faces
    assets: Assets
    vectors: PictureVectors
    portraits: Portraits
    centroids: Centroids
    similar: SimilarEvents
    past: Past
    cameras: Cameras
    statuses: CameraStatuses
    regions: Regions
    locations: Locations
    people: People
    register: Register
    uploads: Uploads
    brought: BroughtAssets
    orgs: Orgs
    keys: RememberedKeys
    audit: AuditLog
    org: OrgId
    location: LocationId


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """The database (embedded unless settings name one), migrated, and the object store.

    Raises:
        HomeUnusable: the home directory cannot be used.
        DatabaseUnavailable: Postgres does not answer.
    """
    home = settings.home_path
    async with AsyncExitStack() as stack:
        dsn = settings.database_url.get_secret_value()
        if not dsn:
            dsn = await stack.enter_async_context(embedded_postgres(home))
        await migrate(dsn)
        database = await stack.enter_async_context(open_database(dsn))
        objects = settings.objects
        yield Stores(
            database=database,
            blobs=open_blobs(
                objects.url or str(home / "objects"), objects.endpoint, objects.region
            ),
            events=(events := PostgresFaceEvents(database)),
            decisions=PostgresDecisions(database, events),
            faces=PostgresFaces(database, events),
            assets=(assets := PostgresAssets(database, events)),
            vectors=PostgresPictureVectors(database, assets),
            portraits=PostgresPortraits(database, events),
            centroids=PostgresCentroids(database),
            similar=PostgresSimilarEvents(database, events),
            past=PostgresPast(database, events),
            cameras=PostgresCameras(database, Vault(home)),
            statuses=PostgresCameraStatuses(database),
            regions=PostgresRegions(database),
            locations=PostgresLocations(database),
            people=PostgresPeople(database),
            register=PostgresRegister(database),
            uploads=PostgresUploads(database),
            brought=PostgresIntake(database),
            orgs=PostgresOrgs(database),
            keys=RememberedKeys(database),
            audit=PostgresAuditLog(database),
            org=await database.default_org(),
            location=await database.default_location(),
        )


async def camera_named(stores: Stores, name: str) -> Camera:
    """The camera of this name in the default org, made where there is none, for replays."""
    with contextlib.suppress(NotFound):
        return await stores.cameras.by_name(stores.org, name)
    made = Camera(CameraId(new_id()), stores.org, stores.location, name, url="")
    await stores.cameras.add(made)
    return made

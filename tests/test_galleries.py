"""Every org's gallery in force in every worker, whatever a worker missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import numpy as np
from factories import ORG, a_template, an_enrolment, photo_keys

from facewatch.domain.ids import OrgId
from facewatch.gallery.live import LiveGallery
from facewatch.people.gallery import Galleries, org_of_ring
from facewatch.store.database import Database, open_database
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.people import GALLERY, PostgresPeople


@dataclass
class Worker:
    """What a serving process holds of the galleries, and its own connections."""

    gallery: LiveGallery
    thresholds: dict[OrgId, float]
    loaded: asyncio.Event

    async def until(self, true: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                self.loaded.clear()
                await self.loaded.wait()

    async def knows(self, org: OrgId, people: int, within_s: float) -> None:
        await self.until(lambda: self.gallery.people(org) == people, within_s)


@asynccontextmanager
async def a_worker(dsn: str, name: str) -> AsyncIterator[Worker]:
    async with open_database(f"{dsn}&application_name={name}") as database:
        worker = Worker(LiveGallery(128, "sface"), {}, asyncio.Event())
        galleries = Galleries(
            worker.gallery,
            worker.thresholds,
            PostgresPeople(database),
            PostgresOrgs(database),
            "sface",
        )

        async def follow() -> None:
            async for ring in database.listen(GALLERY):
                await galleries.catch_up(org_of_ring(ring))
                worker.loaded.set()

        following = asyncio.create_task(follow())
        try:
            async with asyncio.timeout(10):
                await worker.loaded.wait()
            yield worker
        finally:
            following.cancel()
            await asyncio.wait([following])


async def enrolled(database: Database, org: OrgId, name: str, seed: int) -> None:
    people = PostgresPeople(database)
    person = await people.create(org, name)
    await people.enrol(org, person.id, an_enrolment(seed), photo_keys(name))


async def test_a_change_is_in_force_in_every_worker_within_a_second(
    dsn: str, database: Database
) -> None:
    async with a_worker(dsn, "a") as a, a_worker(dsn, "b") as b:
        await enrolled(database, ORG, "Ann", 1)
        await asyncio.gather(a.knows(ORG, 1, 1.0), b.knows(ORG, 1, 1.0))


async def test_an_org_that_is_made_while_they_run_is_matched_with_its_own_people_only(
    dsn: str, database: Database
) -> None:
    await enrolled(database, ORG, "Ann", 1)
    orgs = PostgresOrgs(database)
    async with a_worker(dsn, "a") as worker:
        shop, _, _ = await orgs.create("shop")
        await enrolled(database, shop.id, "Bob", 2)
        await worker.knows(shop.id, 1, 1.0)
        await orgs.set_match_threshold(shop.id, 0.99)
        await worker.until(lambda: worker.thresholds == {shop.id: 0.99}, 1.0)

    (hit,) = worker.gallery.search(shop.id, a_template(2), 5)
    assert np.isclose(hit.similarity, 1)
    assert worker.gallery.search(shop.id, a_template(1), 5)[0].person == hit.person
    assert worker.gallery.people(ORG) == 1


async def test_a_worker_that_lost_its_connection_catches_up_with_every_org(
    postgres: str, dsn: str, database: Database
) -> None:
    orgs = PostgresOrgs(database)
    shop, _, _ = await orgs.create("shop")
    await enrolled(database, shop.id, "Bob", 2)
    async with a_worker(dsn, "hears") as hears, a_worker(dsn, "deaf") as deaf:
        await asyncio.gather(hears.knows(shop.id, 1, 1.0), deaf.knows(shop.id, 1, 1.0))
        server = await asyncpg.connect(postgres)
        name = dsn.rpartition("?")[0].rpartition("/")[2]
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        lost = await server.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = $1 AND application_name = 'deaf'",
            name,
        )
        assert lost
        await enrolled(database, shop.id, "Cleo", 3)
        await enrolled(database, ORG, "Ann", 1)
        await orgs.set_match_threshold(ORG, 0.9)
        await asyncio.gather(hears.knows(shop.id, 2, 1.0), hears.knows(ORG, 1, 1.0))
        assert deaf.gallery.people(shop.id) == 1
        await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await server.close()
        await asyncio.gather(deaf.knows(shop.id, 2, 10), deaf.knows(ORG, 1, 10))

    assert deaf.gallery.revision(ORG) == hears.gallery.revision(ORG)
    assert deaf.thresholds == hears.thresholds == {ORG: 0.9}

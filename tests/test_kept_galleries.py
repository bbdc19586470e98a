"""What a home keeps of the galleries agrees with the table, whoever changed it meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from factories import ORG, a_template, an_enrolment, photo_keys, turned
from house_api import House, open_house

from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, to_prefixed, to_ruuid
from facewatch.gallery.live import HomeGalleries, LiveGallery, Sizes, place
from facewatch.people.gallery import Galleries
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.past import PostgresPast


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the API's `remains` look as well."""
    return tmp_path / "gallery"


def started(house: House, folder: Path) -> Galleries:
    """As a service is; two faces are worth a file here."""
    return Galleries(
        LiveGallery(128, "sface", folder, Sizes(kept=2)),
        {},
        house.people,
        PostgresOrgs(house.database),
        "sface",
        kept=HomeGalleries(folder),
    )


async def a_kept_gallery(house: House, folder: Path) -> tuple[Galleries, dict[str, FaceId]]:
    """Ann with two faces, Bob and Cleo with one."""
    faces = {}
    for name, seed in (("Ann", 1), ("Bob", 2), ("Cleo", 3)):
        faces[name] = await house.enrolled(await house.person(name), seed)
    ann = (await house.people.named(ORG, "Ann")).id
    twin = an_enrolment(9, template=turned(a_template(1), 0.7))
    await house.people.enrol(ORG, ann, twin, photo_keys("twin"))
    galleries = started(house, folder)
    await galleries.catch_up()
    await galleries.keep_outgrown()
    return galleries, faces | {"Ann too": twin.face}


async def id_of(house: House, name: str) -> str:
    return to_ruuid((await house.people.named(ORG, name)).id)


def is_kept(template: Template, folder: Path) -> bool:
    held = b"".join(it.read_bytes() for it in folder.glob("*") if it.name != "lock")
    return template.astype("<f4").tobytes() in held


async def same_as_the_table(house: House, galleries: Galleries) -> None:
    revision, enrolled = await house.people.gallery(ORG, "sface")
    gallery = galleries.gallery
    assert gallery.revision(ORG) == revision
    assert gallery.matchmakers(ORG) == len(enrolled)
    assert gallery.people(ORG) == len({it.person for it in enrolled})
    for it in enrolled:
        hit = gallery.search(ORG, it.template, 1)[0]
        assert (hit.face, hit.person) == (it.face, it.person)
        (best,) = gallery.resembling(ORG, it.template.reshape(1, -1), 1)[0]
        assert best.person == it.person
        assert best.matchmakers == sum(it.person == other.person for other in enrolled)


async def test_a_start_reads_the_file_and_what_changed_since(
    house: House, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, faces = await a_kept_gallery(house, folder)
    ann, bob = [await id_of(house, it) for it in ("Ann", "Bob")]
    await house.enrolled(await house.person("Dora"), 4)
    await house.people.remove_matchmaker(ORG, faces["Cleo"])
    await house.done("POST", f"people/{ann}/merge", json={"others": [bob]})
    galleries = started(house, folder)

    assert await galleries.catch_up() == [ORG]

    await same_as_the_table(house, galleries)
    assert caplog.messages == []
    assert HomeGalleries(folder).revisions(ORG) == {"sface": 4}


async def test_a_split_and_a_face_that_rests_and_comes_back(house: House, folder: Path) -> None:
    running, faces = await a_kept_gallery(house, folder)
    ann = await id_of(house, "Ann")
    moved = {"faces": [to_prefixed("face", faces["Ann too"])]}
    await house.done("POST", f"people/{ann}/split", json=moved)
    for galleries in (running, started(house, folder)):
        await galleries.catch_up()
        await same_as_the_table(house, galleries)


@pytest.mark.parametrize("is_running", [False, True])
async def test_whoever_is_forgotten_is_in_no_file_when_that_is_answered(
    house: House, folder: Path, is_running: bool
) -> None:
    running, _ = await a_kept_gallery(house, folder)
    ann = await id_of(house, "Ann")
    assert is_kept(a_template(1), folder)

    await house.done("DELETE", f"people/{ann}")

    assert not is_kept(a_template(1), folder)
    assert is_kept(a_template(2), folder)
    galleries = running if is_running else started(house, folder)
    await galleries.catch_up()
    await same_as_the_table(house, galleries)
    assert galleries.gallery.people(ORG) == 2


async def test_a_removed_matchmaker_is_in_no_file_and_the_person_known_by_the_rest(
    house: House, folder: Path
) -> None:
    _, faces = await a_kept_gallery(house, folder)
    twin = turned(a_template(1), 0.7)
    assert is_kept(twin, folder)

    face = to_prefixed("face", faces["Ann too"])
    await house.rhombus("matchmaker/deleteFaceMatchmaker", faceId=face)

    assert not is_kept(twin, folder)
    galleries = started(house, folder)
    await galleries.catch_up()
    await same_as_the_table(house, galleries)


async def test_who_was_forgotten_elsewhere_is_erased_here_when_it_is_heard(
    house: House, folder: Path
) -> None:
    running, _ = await a_kept_gallery(house, folder)
    await house.people.forget(ORG, (await house.people.named(ORG, "Ann")).id)
    assert is_kept(a_template(1), folder)

    await running.catch_up(ORG)

    assert not is_kept(a_template(1), folder)


async def test_nobody_is_written_who_is_forgotten_before_it_is_heard(
    house: House, folder: Path
) -> None:
    running, _ = await a_kept_gallery(house, folder)
    for seed in (4, 5):
        await house.enrolled(await house.person(f"number {seed}"), seed)
    await running.catch_up()
    await house.done("DELETE", f"people/{await id_of(house, 'number 4')}")

    await running.keep_outgrown()

    assert is_kept(a_template(5), folder)
    assert not is_kept(a_template(4), folder)
    await running.catch_up()
    await same_as_the_table(house, running)


async def test_a_file_that_disagrees_with_the_table_is_said_and_read_anew(
    house: House, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, faces = await a_kept_gallery(house, folder)
    await house.sql.execute(
        "UPDATE matchmaker SET revision_removed = 1 WHERE face = $1", faces["Bob"]
    )
    galleries = started(house, folder)

    await galleries.catch_up()

    (said,) = caplog.messages
    assert "has 4 faces, the table 3: it is read anew" in said
    await same_as_the_table(house, galleries)


async def test_a_file_of_another_database_is_left_out(
    house: House, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await a_kept_gallery(house, folder)
    await house.sql.execute("UPDATE gallery_revision SET lineage = gen_random_uuid()")
    galleries = started(house, folder)

    await galleries.catch_up()

    (said,) = caplog.messages
    assert "another database" in said
    assert str(place(folder, ORG, "sface")) in said
    await same_as_the_table(house, galleries)


async def test_templates_that_another_process_made_anew_are_loaded(
    house: House, folder: Path
) -> None:
    running, faces = await a_kept_gallery(house, folder)
    past = PostgresPast(house.database, PostgresFaceEvents(house.database))

    await past.put_enrolled(ORG, "sface", [(faces["Bob"], a_template(77))])

    await running.catch_up()
    assert running.gallery.search(ORG, a_template(77), 1)[0].face == faces["Bob"]
    await same_as_the_table(house, running)


async def test_many_who_come_while_galleries_are_written_are_all_there(
    house: House, folder: Path
) -> None:
    running, _ = await a_kept_gallery(house, folder)

    async def come(seed: int) -> None:
        await house.enrolled(await house.person(f"number {seed}"), seed)

    async def follow() -> None:
        while running.gallery.people(ORG) < 23:
            await running.catch_up()
            await running.keep_outgrown()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for seed in range(100, 120):
            group.create_task(come(seed))

    await running.catch_up()
    await same_as_the_table(house, running)
    again = started(house, folder)
    await again.catch_up()
    await same_as_the_table(house, again)

"""People, their matchmakers and the gallery's revisions."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from factories import ORG, a_template, an_enrolment, photo_keys

from facewatch.domain.ids import OrgId, PersonId, new_id
from facewatch.errors import InvalidRequest, NotFound
from facewatch.store.database import Database
from facewatch.store.people import PostgresPeople


@pytest.fixture
def people(database: Database) -> PostgresPeople:
    return PostgresPeople(database)


async def test_people_come_by_name_with_the_count_of_their_matchmakers(
    people: PostgresPeople,
) -> None:
    await people.create(ORG, "Zoe")
    ann = await people.create(ORG, "  Ann ")
    await people.enrol(ORG, ann.id, an_enrolment(), photo_keys("ann"))

    assert [(p.name, p.matchmakers) for p in await people.all(ORG)] == [("Ann", 1), ("Zoe", 0)]
    assert await people.named(ORG, "Ann") == replace(ann, matchmakers=1)
    assert await people.all(OrgId(new_id())) == []


async def test_nobody_has_a_blank_name(people: PostgresPeople) -> None:
    for name in ("", "  ", "a\0b"):
        with pytest.raises(InvalidRequest):
            await people.create(ORG, name)


async def test_somebody_unknown(people: PostgresPeople) -> None:
    with pytest.raises(NotFound, match="'Nobody'"):
        await people.named(ORG, "Nobody")
    with pytest.raises(NotFound):
        await people.enrol(ORG, PersonId(new_id()), an_enrolment(), photo_keys("x"))
    with pytest.raises(NotFound):
        await people.forget(ORG, PersonId(new_id()))


async def test_the_gallery_holds_each_template_to_the_last_bit(people: PostgresPeople) -> None:
    ann = await people.create(ORG, "Ann")
    assert await people.gallery(ORG, "sface") == (0, [])
    enrolments = [an_enrolment(seed) for seed in range(3)]
    for n, enrolment in enumerate(enrolments):
        await people.enrol(ORG, ann.id, enrolment, photo_keys(f"ann-{n}"))

    revision, matchmakers = await people.gallery(ORG, "sface")

    assert revision == 3
    assert {m.face for m in matchmakers} == {e.face for e in enrolments}
    for enrolment in enrolments:
        (found,) = [m for m in matchmakers if m.face == enrolment.face]
        assert found.person == ann.id
        assert found.template.dtype == np.float32
        assert np.array_equal(found.template, enrolment.template)


async def test_templates_of_another_model_are_no_part_of_it(people: PostgresPeople) -> None:
    ann = await people.create(ORG, "Ann")
    large = an_enrolment(template=a_template(1, 512), model="arcface")
    await people.enrol(ORG, ann.id, large, photo_keys("ann"))

    assert (await people.gallery(ORG, "sface"))[1] == []
    assert len((await people.gallery(ORG, "arcface"))[1]) == 1


async def test_the_same_photo_again_is_noticed(people: PostgresPeople) -> None:
    ann, bob = await people.create(ORG, "Ann"), await people.create(ORG, "Bob")
    enrolment = an_enrolment(7)
    await people.enrol(ORG, ann.id, enrolment, photo_keys("ann"))

    assert await people.has_photo(ORG, ann.id, enrolment.digest)
    assert not await people.has_photo(ORG, ann.id, b"\xff" * 32)
    assert not await people.has_photo(ORG, bob.id, enrolment.digest)


async def test_revisions_of_many_enrolments_at_once_are_all_different(
    people: PostgresPeople, database: Database
) -> None:
    ann = await people.create(ORG, "Ann")
    await asyncio.gather(
        *(people.enrol(ORG, ann.id, an_enrolment(n), photo_keys(str(n))) for n in range(12))
    )
    rows = await database._pool.fetch("SELECT revision_added AS r FROM matchmaker ORDER BY 1")
    assert [row["r"] for row in rows] == list(range(1, 13))


async def test_a_changed_gallery_rings(people: PostgresPeople, database: Database) -> None:
    ann = await people.create(ORG, "Ann")
    async with asyncio.timeout(10):
        rung = database.listen("gallery")
        assert await anext(rung) == ""
        await people.enrol(ORG, ann.id, an_enrolment(), photo_keys("ann"))
        assert await anext(rung) == str(ORG)
        await people.forget(ORG, ann.id)
        assert await anext(rung) == str(ORG)
        await rung.aclose()


async def test_the_forgotten_leave_a_tombstone_in_the_gallery(
    people: PostgresPeople, database: Database
) -> None:
    ann = await people.create(ORG, "Ann")
    enrolment = an_enrolment()
    await people.enrol(ORG, ann.id, enrolment, photo_keys("ann"))
    await people.forget(ORG, ann.id)

    row = await database._pool.fetchrow("SELECT * FROM matchmaker")
    assert (row["face"], row["person"]) == (enrolment.face, ann.id)
    assert (row["revision_added"], row["revision_removed"]) == (1, 2)
    for table in ("face", "asset", "template", "person_label"):
        assert await database._pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_enrolling_somebody_who_is_being_forgotten(people: PostgresPeople) -> None:
    """Whichever comes first, nothing of them is left."""
    ann = await people.create(ORG, "Ann")
    await asyncio.gather(
        people.forget(ORG, ann.id),
        *(people.enrol(ORG, ann.id, an_enrolment(n), photo_keys(str(n))) for n in range(6)),
        return_exceptions=True,
    )
    _, left = await people.gallery(ORG, "sface")
    assert left == []


async def test_what_is_asked_of_one_person_is_found_by_an_index(
    people: PostgresPeople, database: Database
) -> None:
    pool = database._pool
    await pool.execute(
        "INSERT INTO person (id, org, name)"
        " SELECT gen_random_uuid(), $1, 'person ' || n FROM generate_series(1, 5000) AS n",
        ORG,
    )
    await pool.execute(
        "INSERT INTO matchmaker (face, org, person, uploaded, revision_added)"
        " SELECT gen_random_uuid(), org, id, true, 1 FROM person"
    )
    await pool.execute("ANALYZE person, matchmaker")
    for statement, index, values in (
        ("person_name_owners", "person_name", {"org": ORG, "name": "person 7"}),
        ("person_get", "person_pkey", {"org": ORG, "person": new_id()}),
        ("matchmakers_of_person", "matchmaker_person", {"org": ORG, "person": new_id()}),
        ("matchmaker_get", "matchmaker_live", {"org": ORG, "face": new_id()}),
    ):
        known = database._statements[statement]
        rows = await pool.fetch(f"EXPLAIN {known.sql}", *known.arguments(values))
        plan = "\n".join(row[0] for row in rows)
        assert index in plan
        assert "Seq Scan" not in plan

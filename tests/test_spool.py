"""What was acknowledged is there: after a crash, at the bound, from many at once."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import a_decision, a_record

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId, EventId, PersonId, new_id
from facewatch.errors import HomeUnusable, SpoolFull, StoreTrouble
from facewatch.ports.keeping import SpooledEvent
from facewatch.store.records import packed, unpacked
from facewatch.store.spool import open_spool

MIB = 1 << 20
CAMERA = CameraId(new_id())
PICTURES = {"a/frame.jpg": b"\xff" * 50_000, "a/face.png": b"\x00" * 8_000}


def same(left: Any, right: Any) -> bool:
    if is_dataclass(left):
        return type(left) is type(right) and all(
            same(getattr(left, f.name), getattr(right, f.name)) for f in fields(left)
        )
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def known(**given: Any) -> EventRecord:
    return a_record(CAMERA, decision=a_decision(PersonId(new_id())), **given)


@pytest.mark.parametrize(
    "record",
    [
        known(),
        a_record(CAMERA),
        a_record(CAMERA, template=None, decision=None, look_keys=()),
        a_record(CAMERA, decision=a_decision(margin=None, confidence=1 / 3, reason="zu dunkel ☂")),
    ],
)
def test_a_record_comes_back_to_the_last_bit(record: EventRecord) -> None:
    assert same(unpacked(packed(record)), record)


def test_a_record_is_text_that_a_person_can_read() -> None:
    record = known()
    plain = json.loads(packed(record))

    assert plain["id"] == str(record.id)
    assert plain["first_seen"] == "2026-11-21T12:00:00+00:00"
    assert plain["decision"]["candidates"][0]["similarity"] == 0.62


def test_a_record_of_a_later_version_with_more_in_it_is_read() -> None:
    record = a_record(CAMERA)
    plain = json.loads(packed(record))
    plain["mood"] = "sunny"

    assert same(unpacked(json.dumps(plain)), record)


async def test_what_went_in_comes_out_in_order_until_it_was_delivered(tmp_path: Path) -> None:
    records = [a_record(CAMERA) for _ in range(5)]
    async with open_spool(tmp_path, 100 * MIB) as spool:
        for record in records:
            await spool.add(record, PICTURES)
        assert spool.backlog == 5
        assert spool.level.bytes > 5 * 58_000

        first = await spool.oldest(2)
        assert [it.record.id for it in first] == [it.id for it in records[:2]]
        assert first[0].pictures == PICTURES
        assert [it.place for it in await spool.oldest(2)] == [it.place for it in first]

        await spool.delivered([it.place for it in first])
        assert [it.record.id for it in await spool.oldest(9)] == [it.id for it in records[2:]]
        await spool.delivered([it.place for it in await spool.oldest(9)])
        assert (spool.backlog, spool.level.bytes, spool.level.oldest_at) == (0, 0, None)


async def test_oldest_waits_for_something_to_come(tmp_path: Path) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool, asyncio.timeout(10):
        waiting = asyncio.create_task(spool.oldest(1))
        record = a_record(CAMERA)
        await spool.add(record, {})
        assert (await waiting)[0].record.id == record.id


async def test_drained_waits_for_the_last_delivery(tmp_path: Path) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool, asyncio.timeout(10):
        await spool.drained()
        await spool.add(a_record(CAMERA), {})
        drained = asyncio.create_task(spool.drained())
        (found,) = await spool.oldest(1)
        assert not drained.done()
        await spool.delivered([found.place])
        await drained


async def test_many_that_add_at_once_share_their_fsyncs(tmp_path: Path) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool:
        await asyncio.gather(*(spool.add(a_record(CAMERA), PICTURES) for _ in range(200)))

        assert spool.backlog == 200
        assert spool.commits < 50


async def test_a_clean_stop_with_nothing_left_leaves_nothing(tmp_path: Path) -> None:
    async with open_spool(tmp_path / "spool", 100 * MIB) as spool:
        await spool.add(a_record(CAMERA), PICTURES)
        await spool.delivered([it.place for it in await spool.oldest(1)])
    assert os.listdir(tmp_path / "spool") == ["gate"]


async def test_the_next_start_delivers_what_the_last_one_could_not(tmp_path: Path) -> None:
    record = a_record(CAMERA)
    async with open_spool(tmp_path, 100 * MIB) as spool:
        await spool.add(record, PICTURES)
    async with open_spool(tmp_path, 100 * MIB) as spool:
        assert spool.backlog == 1
        (found,) = await spool.oldest(9)
    assert same(found.record, record)
    assert found.pictures == PICTURES


async def test_two_at_once_do_not_share_and_a_third_adopts_both(tmp_path: Path) -> None:
    one, two = a_record(CAMERA), a_record(CAMERA)
    async with open_spool(tmp_path, 100 * MIB) as left, open_spool(tmp_path, 100 * MIB) as right:
        await left.add(one, {"one.jpg": b"1"})
        await right.add(two, {"two.jpg": b"2"})
        assert (left.backlog, right.backlog) == (1, 1)
    async with open_spool(tmp_path, 100 * MIB) as spool:
        found = await spool.oldest(9)
        pictures = {it.record.id: it.pictures for it in found}
        assert pictures == {one.id: {"one.jpg": b"1"}, two.id: {"two.jpg": b"2"}}
        await spool.delivered([it.place for it in found])
    assert os.listdir(tmp_path) == ["gate"]


WRITER = """
import asyncio, sys
from pathlib import Path
from facewatch.store.spool import open_spool
from test_spool import CAMERA, PICTURES, a_record

async def write():
    async with open_spool(Path(sys.argv[1]), 1 << 30) as spool:
        async def one():
            while True:
                record = a_record(CAMERA)
                await spool.add(record, PICTURES)
                print(record.id, flush=True)
        await asyncio.gather(*(one() for _ in range(8)))

asyncio.run(write())
"""


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path),
        stdout=subprocess.PIPE, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert writer.stdout is not None
    async with asyncio.timeout(60):
        acknowledged = [(await writer.stdout.readline()).decode().strip() for _ in range(100)]
        os.kill(writer.pid, signal.SIGKILL)
        rest = (await writer.stdout.read()).decode().splitlines()
        await writer.wait()
    acknowledged += [line for line in rest if len(line) == 36]

    async with open_spool(tmp_path, 1 << 30) as spool:
        kept = {}
        while spool.backlog:
            found = await spool.oldest(1000)
            kept |= {str(it.record.id): it.pictures for it in found}
            await spool.delivered([it.place for it in found])
    assert set(acknowledged) <= kept.keys()
    assert all(pictures == PICTURES for pictures in kept.values())


async def test_at_the_bound_the_oldest_unknown_goes_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ann, old, older = known(), a_record(CAMERA), a_record(CAMERA)
    new = [a_record(CAMERA) for _ in range(3)]
    big = {"x.jpg": b"x" * (MIB // 5)}
    async with open_spool(tmp_path, MIB) as spool:
        for record in (ann, older, old, *new):
            await spool.add(record, big)

        left = {it.record.id for it in await spool.oldest(99)}
        assert ann.id in left
        assert left.isdisjoint({older.id, old.id})
        assert new[-1].id in left
        assert spool.level.bytes <= MIB
        assert spool.level.dropped == 6 - len(left)
    assert len([r for r in caplog.records if "spool is full" in r.message]) == 1


async def test_versions_of_an_event_go_together_and_stay_once_it_is_known(tmp_path: Path) -> None:
    first, other = a_record(CAMERA), a_record(CAMERA)
    named = replace(known(), id=EventId(first.id), version=2)
    big = {"x.jpg": b"x" * (MIB // 5)}
    async with open_spool(tmp_path, MIB) as spool:
        for record in (first, named, other, replace(other, version=2), known()):
            await spool.add(record, big)
        left = [(it.record.id, it.record.version) for it in await spool.oldest(99)]
    assert (first.id, 1) in left
    assert (first.id, 2) in left
    assert other.id not in {id for id, _ in left}


async def test_full_of_known_people_it_refuses(tmp_path: Path) -> None:
    async with open_spool(tmp_path, MIB) as spool:
        for _ in range(4):
            await spool.add(known(), {"x.jpg": b"x" * (MIB // 5)})
        with pytest.raises(SpoolFull, match="spool is full: 4 events"):
            await spool.add(known(), {"x.jpg": b"x" * (MIB // 5)})
        assert spool.backlog == 4
        await spool.delivered([it.place for it in await spool.oldest(1)])
        await spool.add(known(), {"x.jpg": b"x" * (MIB // 5)})


async def test_a_refusal_takes_nobody_down_with_it(tmp_path: Path) -> None:
    async with open_spool(tmp_path, MIB) as spool:
        small = [spool.add(known(), {}) for _ in range(5)]
        results = await asyncio.gather(
            *small, spool.add(known(), {"x": bytes(2 * MIB)}), return_exceptions=True
        )
        assert [type(result) for result in results] == [type(None)] * 5 + [SpoolFull]
        assert spool.backlog == 5


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000] + b"garbage" * 3000)


def of_the_future(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "said"), [(truncated, "cannot be read"), (of_the_future, "another version")]
)
async def test_what_cannot_be_read_is_kept_aside_and_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    said: str,
) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool:
        await spool.add(a_record(CAMERA), PICTURES)
    (folder,) = set(os.listdir(tmp_path)) - {"gate"}
    damage(tmp_path / folder / "events.db")

    async with open_spool(tmp_path, 100 * MIB) as spool:
        assert spool.backlog == 0
        await spool.add(a_record(CAMERA), PICTURES)
        assert spool.backlog == 1
    assert said in caplog.text
    assert len(os.listdir(tmp_path)) == 3


async def test_nobody_is_handed_what_is_not_on_the_disk_yet(tmp_path: Path) -> None:
    records = [a_record(CAMERA) for _ in range(50)]
    async with open_spool(tmp_path, 100 * MIB) as spool, asyncio.timeout(20):
        adding = [asyncio.create_task(spool.add(record, PICTURES)) for record in records]
        found: list[SpooledEvent] = []
        while len(found) < len(records):
            found += await spool.oldest(7, found[-1].place if found else 0)
        await asyncio.gather(*adding)
    assert [it.record.id for it in found] == [it.id for it in records]
    assert all(it.pictures == PICTURES for it in found)


def pixels_on_disk(root: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in root.glob("*/*.pack"))


async def test_room_is_given_back_as_events_are_delivered(tmp_path: Path) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool:
        for _ in range(20):
            await spool.add(a_record(CAMERA), PICTURES)
        assert pixels_on_disk(tmp_path) > 20 * 58_000

        await spool.delivered([it.place for it in await spool.oldest(20)])

        assert pixels_on_disk(tmp_path) == 0
        await spool.add(a_record(CAMERA), PICTURES)
        assert 58_000 < pixels_on_disk(tmp_path) < 120_000


@pytest.mark.skipif(sys.platform != "linux", reason="other systems free a pack as a whole")
async def test_what_is_dropped_at_the_bound_leaves_the_disk_although_others_stay(
    tmp_path: Path,
) -> None:
    big = {"x.jpg": b"x" * (MIB // 20)}
    async with open_spool(tmp_path, 2 * MIB) as spool:
        for number in range(200):  # every tenth may not go
            await spool.add(known() if number % 10 == 0 else a_record(CAMERA), big)
        assert spool.level.dropped > 100
        assert pixels_on_disk(tmp_path) <= 2 * MIB
        assert all(it.pictures == big for it in await spool.oldest(99))


async def test_a_disk_that_takes_no_more_refuses_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with open_spool(tmp_path, 100 * MIB) as spool:
        for _ in range(4):
            await spool.add(a_record(CAMERA), PICTURES)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))  # as a disk that is full
        try:
            for _ in range(2):
                with pytest.raises(StoreTrouble, match=r"spool cannot be written|disk .* is full"):
                    await spool.add(a_record(CAMERA), PICTURES)
            assert spool.backlog == 4
            refused = asyncio.create_task(spool.add(a_record(CAMERA), PICTURES))
            found = await spool.oldest(9)  # in one commit with an event that is refused
            with pytest.raises(StoreTrouble):
                await refused
            assert len(found) == 4
            await spool.delivered([it.place for it in found])
            await spool.add(a_record(CAMERA), PICTURES)  # there is room again
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        (left,) = await spool.oldest(9)
        assert left.pictures == PICTURES


async def test_what_the_version_before_left_is_delivered(tmp_path: Path) -> None:
    record = known()
    folder = tmp_path / "left"
    folder.mkdir()
    old = sqlite3.connect(folder / "events.db")
    old.executescript("""
        CREATE TABLE event (place INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL,
            known INTEGER NOT NULL, bytes INTEGER NOT NULL, added_at REAL NOT NULL,
            record TEXT NOT NULL);
        CREATE INDEX event_known ON event (known, place);
        CREATE INDEX event_id ON event (id, known);
        CREATE TABLE picture (place INTEGER NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL);
        CREATE INDEX picture_place ON picture (place);
        PRAGMA user_version = 1;
    """)
    old.execute(
        "INSERT INTO event VALUES (7, ?, 1, 60000, 1.0, ?)", (record.id.bytes, packed(record))
    )
    pictures = [(7, key, body) for key, body in PICTURES.items()]
    old.executemany("INSERT INTO picture VALUES (?, ?, ?)", pictures)
    old.commit()
    old.close()

    async with open_spool(tmp_path, 100 * MIB) as spool:
        await spool.add(a_record(CAMERA), {})
        found, _ = await spool.oldest(9)
        assert same(found.record, record)
        assert found.pictures == PICTURES


async def test_a_spool_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="file/spool cannot be used"):
        async with open_spool(tmp_path / "file" / "spool", MIB):
            pass

"""The event log in Postgres."""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from facewatch.domain.events import AssignedBy, EventFilter, EventRecord, FaceEvent, NamedCandidate
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import CameraId, EventId, FaceId, LocationId, OrgId, PersonId, first_id
from facewatch.domain.people import Candidate, Decision
from facewatch.errors import DatabaseUnavailable, NotFound, RecordRefused, WriterInTheWay
from facewatch.store import corrections
from facewatch.store.database import Database, Row, Work
from facewatch.store.records import plain

log = logging.getLogger(__name__)

CHANGES = "change"
"""NOTIFY channel that rings with an org's id when its change log grew."""

_TRIES = 3
_PAIRS = 250
"""So many pairs of person and camera are looked up one by one, in each month."""
_WHERE = {"cameras": "at_cameras", "locations": "in_locations"}
LAST = UUID(int=2**128 - 1)
_FAR = first_id(datetime(9999, 12, 1, tzinfo=UTC))
"""The calendar ends with this month."""


class PostgresFaceEvents:
    """`ports.events.FaceEvents` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, records: Sequence[EventRecord]) -> None:
        """Record; of one id the highest version stands, and repeating it changes nothing.

        Of two equal versions the one decided at the later gallery stands. What cannot be kept
        (its camera is gone, its event was deleted, its person was forgotten) is left out or
        emptied of its pixels, never refused: it must not hold up those behind it.

        Raises:
            RecordRefused: one of *records* can never be taken; none was.
            DatabaseUnavailable: Postgres does not answer.
        """
        newest: dict[EventId, EventRecord] = {}
        for record in records:
            newest[record.id] = max(newest.get(record.id, record), record, key=_rank)
        models = await self._prepared(newest.values())
        try:
            orgs = {record.org for record in newest.values()}
            await self.write(orgs, lambda work: _Batch(work, records, newest, models).write())
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            raise RecordRefused(f"Postgres refuses it: {error}") from error

    async def _prepared(self, records: Collection[EventRecord]) -> dict[str, int]:
        """The ids of the models of the records' templates; behind it, there are months for all."""
        sizes = {r.model: len(r.template) for r in records if r.template is not None}
        rows = await self._database.fetch(
            "events_prepare",
            moments=list({_month(record.id) for record in records}),
            names=list(sizes),
            dimensions=list(sizes.values()),
        )
        return {row["name"]: row["model"] for row in rows if row["name"] is not None}

    async def get(self, org: OrgId, event: EventId) -> FaceEvent:
        """One event.

        Raises:
            NotFound: *org* has none with this id.
        """
        row = await self._database.row("face_event", org=org, id=event)
        if row is None:
            raise NotFound(f"there is no face event {event}")
        return _event(row)

    async def page(
        self,
        org: OrgId,
        limit: int,
        before: EventId | None = None,
        camera: CameraId | None = None,
        person: PersonId | None = None,
    ) -> list[FaceEvent]:
        """Newest visit first, from just after *before*; of one camera or of one person."""
        if camera is not None:
            ids = await self._database.fetch(
                "face_event_page_of_camera", org=org, camera=camera, before=before, limit=limit
            )
        elif person is not None:
            ids = await self._database.fetch(
                "face_event_page_of_person", org=org, person=person, before=before, limit=limit
            )
        else:
            ids = await self._database.fetch("face_event_page", org=org, before=before, limit=limit)
        return await self.read(org, ids)

    async def find(
        self, org: OrgId, wanted: EventFilter, limit: int, before: EventId | None = None
    ) -> list[FaceEvent]:
        """Newest visit first, from just after *before*; fewer than *limit* only at the end."""
        statement, values = await self._search(org, wanted, before or LAST)
        found: list[FaceEvent] = []
        while missing := limit - len(found):
            ids = await self._database.fetch(statement, **values, limit=missing)
            # One that is deleted between the two statements leaves a gap, which is filled.
            found += await self.read(org, ids)
            if len(ids) < missing:
                break
            values["before"] = ids[-1]["id"]
        return found

    async def assign(
        self, org: OrgId, event: EventId, person: PersonId | None, name: str = ""
    ) -> None:
        """An operator says whose visit it is; no machine overwrites that.

        *name* decides where *person* is none of the event's candidates; whoever it names is
        made if nobody is called so. Without both, the visit is nobody's.

        Raises:
            NotFound: *org* has no such event, or no named person of this id.
            InvalidRequest: *name* cannot be a name.
        """
        await self._say(org, lambda work: corrections.assign(work, org, event, person, name))

    async def deny(self, org: OrgId, event: EventId, person: PersonId | None) -> None:
        """As `ports.events.FaceEvents.deny` says."""
        await self._say(org, lambda work: corrections.deny(work, org, event, person))

    async def no_face(self, org: OrgId, event: EventId) -> None:
        """As `ports.events.FaceEvents.no_face` says."""
        await self._say(org, lambda work: corrections.no_face(work, org, event))

    async def face_after_all(self, org: OrgId, event: EventId) -> None:
        """As `ports.events.FaceEvents.face_after_all` says."""
        await self._say(org, lambda work: corrections.face_after_all(work, org, event))

    async def remove(self, org: OrgId, event: EventId) -> None:
        """Gone, with its pixels and templates; a late version does not bring it back.

        docs/deletion.md says what goes and what stays.

        Raises:
            NotFound: *org* has none with this id.
        """
        await self._say(org, lambda work: corrections.remove(work, org, event))

    async def _say(self, org: OrgId, say: Callable[[Work], Awaitable[None]]) -> None:
        """What an operator says; whoever follows the change log is told."""

        async def write(work: Work) -> None:
            await say(work)
            await work.fetch("ring", channel=CHANGES, payload=str(org))

        await self.write({org}, write)

    async def write(self, orgs: Set[OrgId], write: Callable[[Work], Awaitable[None]]) -> None:
        """In one transaction, and not while people of *orgs* are merged, split or forgotten.

        Again where another writer was in the way.

        Two that lock rows in different orders end one of them, and a snapshot can go with one
        visit while another that shows it is written.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._database.transaction() as work:
                    for org in sorted(orgs):
                        await work.fetch("people_gate_shared", org=org)
                    await write(work)
                return
            except (WriterInTheWay, asyncpg.ForeignKeyViolationError) as error:
                if not tries_left:
                    raise DatabaseUnavailable(
                        f"events cannot be written: {error}", "they are tried again"
                    ) from error

    async def read(self, org: OrgId, ids: Sequence[Row]) -> list[FaceEvent]:
        """Those of the rows' ids that are still there, newest visit first."""
        rows = await self._database.fetch("face_events", org=org, ids=[row["id"] for row in ids])
        return [_event(row) for row in rows]

    async def _search(
        self, org: OrgId, wanted: EventFilter, before: UUID = LAST
    ) -> tuple[str, dict[str, Any]]:
        """The statement whose index leads to what is *wanted*, and its values but the limit."""
        values = await self.conditions(org, wanted, before)
        return _leading(values), values

    async def conditions(
        self, org: OrgId, wanted: EventFilter, before: UUID = LAST
    ) -> dict[str, Any]:
        """*wanted* as the statements that list events take it, names and labels resolved."""
        people = await self._people(org, wanted)
        since = first_id(wanted.since) if wanted.since else UUID(int=0)
        before = min(_after(wanted.until), before) if wanted.until else before
        return {
            "org": org,
            "since": since,
            "before": before,
            "months_from": first_id(_month(since)),
            "months_to": first_id(_month_after(before)) if before < _FAR else LAST,
            "cameras": _listed(wanted.cameras),
            "locations": _listed(wanted.locations),
            "people": people,
            "has_template": wanted.has_template,
            "has_name": wanted.has_name,
        }

    async def _people(self, org: OrgId, wanted: EventFilter) -> list[UUID] | None:
        """Whom the names, labels and ids mean today; None where anybody will do."""
        names = wanted.names if wanted.name_part is None else None
        if all(v is None for v in (wanted.people, names, wanted.name_part, wanted.labels)):
            return None
        if "\0" in (wanted.name_part or ""):
            return []
        rows = await self._database.fetch(
            "people_wanted",
            org=org,
            people=_listed(wanted.people),
            names=_texts(names),
            part=wanted.name_part,
            labels=_texts(wanted.labels),
        )
        return [row["id"] for row in rows]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record as it will stand in the table."""

    record: EventRecord
    place: list[UUID]
    time_zone: str
    person: UUID | None
    erased: bool


class _Batch:
    """The writing of some records in one transaction."""

    def __init__(
        self,
        work: Work,
        records: Sequence[EventRecord],
        newest: dict[EventId, EventRecord],
        models: dict[str, int],
    ) -> None:
        self._work = work
        self._records = records
        self._newest = newest
        self._models = models
        self._brought: list[Row] = []

    async def write(self) -> None:
        kept = await self._keepable()
        old = await self._work.fetch("events_lock", ids=sorted(self._newest))
        # Asked behind the lock, which may have waited for somebody who was deleting.
        for row in await self._work.fetch("events_removed", ids=list(kept)):
            del kept[row["id"]]
        erased = {row["id"] for row in old if row["erased"]}
        put = await self._work.fetch(
            "events_put",
            events=json.dumps([_event_row(k, k.erased or id in erased) for id, k in kept.items()]),
        )
        winners = {row["id"]: kept[row["id"]] for row in put}
        shown = [k for id, k in winners.items() if not k.erased and id not in erased]
        await self._replace_snapshots([row for row in old if row["id"] in winners], winners)
        await self._put_snapshots(shown)
        await self._discard(old, winners, shown)
        if closed := sorted(id for id, k in winners.items() if k.record.closed):
            await self._work.fetch("unclustered_add", events=closed)
        for org in sorted({row["org"] for row in put}):
            subjects = sorted(row["id"] for row in put if row["org"] == org)
            await self._work.fetch("log_changes", org=org, kind="event", subjects=subjects)
            await self._work.fetch("ring", channel=CHANGES, payload=str(org))

    async def _keepable(self) -> dict[EventId, _Kept]:
        """The newest records whose camera is ours."""
        records = self._newest.values()
        rows = await self._work.fetch("event_cameras", cameras=list({r.camera for r in records}))
        cameras = {(row["id"], row["org"]): row for row in rows}
        named = {r.decision.person for r in records if r.decision and r.decision.person}
        rows = await self._work.fetch("event_people", people=sorted(named)) if named else []
        people = {(row["id"], row["org"]): row for row in rows}
        if asked := [r.snapshot.id for r in records if r.snapshot.brought]:
            self._brought = await self._work.fetch("brought_there", assets=asked)
        there = {(row["id"], row["org"]) for row in self._brought}
        kept = {}
        for record in records:
            camera = cameras.get((record.camera, record.org))
            if camera is None:
                log.warning("event %s is dropped: there is no camera %s", record.id, record.camera)
            elif record.snapshot.brought and (record.snapshot.id, record.org) not in there:
                log.info("event %s is dropped: what it was found in was deleted", record.id)
            else:
                person = people.get((record.decision and record.decision.person, record.org))
                kept[record.id] = _Kept(
                    record,
                    camera["place"],
                    camera["time_zone"],
                    person["stands_for"] if person and not person["erased"] else None,
                    bool(person and person["erased"]),
                )
        return kept

    async def _replace_snapshots(self, old: list[Row], winners: dict[UUID, _Kept]) -> None:
        """Take away what the versions before showed and these do not."""
        left = [
            row["asset"] for row in old if row["asset"] != winners[row["id"]].record.snapshot.id
        ]
        if left:
            await self._work.fetch("superseded_assets_delete", assets=left)
        faces = [row["face"] for row in old if row["face"] != winners[row["id"]].record.face]
        if faces:
            await self._work.fetch("templates_delete", faces=faces)
        if faces and self._brought:
            brought = [row["id"] for row in self._brought]
            await self._work.fetch("brought_faces_superseded", faces=faces, assets=brought)

    async def _put_snapshots(self, kept: list[_Kept]) -> None:
        snapshots = {k.record.snapshot.id: k for k in kept if not k.record.snapshot.brought}
        pairs = [(k.record, k.record.snapshot, k.time_zone) for k in snapshots.values()]
        await self._work.fetch(
            "snapshots_put",
            ids=list(snapshots),
            orgs=[record.org for record, _, _ in pairs],
            cameras=[record.camera for record, _, _ in pairs],
            captured=[snapshot.captured_at for _, snapshot, _ in pairs],
            time_zones=[time_zone for _, _, time_zone in pairs],
            widths=[snapshot.width for _, snapshot, _ in pairs],
            heights=[snapshot.height for _, snapshot, _ in pairs],
            sizes=[snapshot.size_bytes for _, snapshot, _ in pairs],
            digests=[snapshot.sha256 for _, snapshot, _ in pairs],
            file_names=[record.frame_key.rpartition("/")[2] for record, _, _ in pairs],
            keys=[record.frame_key for record, _, _ in pairs],
        )
        faces: dict[str, dict[str, Any]] = {}
        for row in (row for k in kept for row in _face_rows(k.record)):
            known = faces.get(row["id"], {})
            faces[row["id"]] = known | {name: v for name, v in row.items() if v is not None}
        await self._work.fetch("faces_put", faces=json.dumps(list(faces.values())))
        await self._work.fetch(
            "faces_follow", events=[k.record.id for k in kept], assets=list(snapshots)
        )
        compared = [(k.record, t) for k in kept if (t := k.record.template) is not None]
        if not compared:
            return
        await self._work.fetch(
            "templates_put",
            faces=[record.face for record, _ in compared],
            models=[self._models[record.model] for record, _ in compared],
            orgs=[record.org for record, _ in compared],
            embeddings=[spelled(template) for _, template in compared],
        )

    async def _discard(
        self, old: list[Row], winners: dict[UUID, _Kept], shown: list[_Kept]
    ) -> None:
        """Mark the objects for deletion that no row refers to: of losers, and of the replaced."""
        owners = {key: record.org for record in self._records for key in _keys(record)}
        for row in old:
            if row["id"] in winners:
                owners |= dict.fromkeys(_row_keys(row), winners[row["id"]].record.org)
        used = {key for k in shown for key in _keys(k.record)}
        used |= {key for row in old if row["id"] not in winners for key in _row_keys(row)}
        if before := [row["asset"] for row in old]:
            used |= {row["key"] for row in await self._work.fetch("asset_keys", assets=before)}
        used |= {row["key"] for row in self._brought}
        if garbage := [key for key in owners if key not in used]:
            whose = [owners[key] for key in garbage]
            await self._work.fetch("garbage_add", keys=garbage, orgs=whose)
        await self._work.fetch("garbage_keep", keys=list(used))


def spelled(template: Template) -> str:
    """As pgvector reads it, every bit kept: nine digits tell any two float32 apart."""
    return f"[{','.join(['%.9g'] * len(template))}]" % tuple(template.tolist())


def _leading(values: dict[str, Any]) -> str:
    """The statement whose index leads to the fewest events that are not wanted.

    People and places lead together while their pairs are few: each pair is looked up. Of many
    of one kind most events of the other are wanted, so the shorter list leads.
    """
    people = values["people"]
    field = next((f for f in ("cameras", "locations") if values[f] is not None), None)
    if people is not None and field is not None:
        places = values[field]
        if len(people) * len(places) <= _PAIRS:
            return f"face_events_found_of_people_{_WHERE[field]}"
        return f"face_events_found_of_{'people' if len(people) <= len(places) else field}"
    if people is not None or field is not None:
        return f"face_events_found_of_{field or 'people'}"
    if values["has_template"] is False:
        return "face_events_found_unembedded"
    return "face_events_found_named" if values["has_name"] else "face_events_found"


def received(sent: bytes) -> Template:
    """From pgvector's binary form: two int16, then big-endian floats."""
    return np.frombuffer(sent, ">f4", offset=4).astype(np.float32)


def all_received(sent: Sequence[bytes]) -> NDArray[np.float32]:
    """`received` of many, of one model: (n, d)."""
    if not sent:
        return np.zeros((0, 0), np.float32)
    rows = np.frombuffer(b"".join(sent), np.uint8).reshape(len(sent), -1)
    return np.ascontiguousarray(rows[:, 4:]).view(">f4").astype(np.float32)


def _after(moment: datetime) -> UUID:
    """The first id that is younger than the millisecond of *moment*."""
    return UUID(int=first_id(moment).int + (1 << 80))


def _listed(values: Iterable[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(values)


def _texts(values: frozenset[str] | None) -> list[str] | None:
    """Without those that hold a NUL: no text in Postgres does."""
    return None if values is None else sorted(value for value in values if "\0" not in value)


def _rank(record: EventRecord) -> tuple[int, int]:
    return record.version, record.decision.gallery_revision if record.decision else 0


def _month(event: UUID) -> datetime:
    """The beginning of the month that the id tells."""
    at = datetime.fromtimestamp((event.int >> 80) / 1000, UTC)
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_after(event: UUID) -> datetime:
    return (_month(event) + timedelta(days=31)).replace(day=1)


def _keys(record: EventRecord) -> list[str]:
    return [record.frame_key, record.thumbnail_key, *record.look_keys]


def _row_keys(row: Row) -> list[str]:
    return [row["frame_key"], row["thumbnail_key"], *row["look_keys"]]


def _event_row(kept: _Kept, erased: bool) -> dict[str, Any]:
    record, decision = kept.record, kept.record.decision
    chosen = _chosen(decision) if kept.person else None
    best = next(face for face in record.snapshot.faces if face.id == record.face)
    return {
        "id": str(record.id),
        "version": record.version,
        "closed": record.closed,
        "org": str(record.org),
        "location": str(record.location),
        "place": [str(location) for location in kept.place],
        "camera": str(record.camera),
        "first_seen": record.first_seen.isoformat(),
        "last_seen": record.last_seen.isoformat(),
        "best_at": record.best_at.isoformat(),
        "time_source": record.time_source,
        "looks": record.looks,
        "tracks": record.tracks,
        "face": str(record.face),
        "asset": str(record.snapshot.id),
        "has_template": record.template is not None and not erased,
        "quality": quality_parts(best.quality),
        "frame_key": "" if erased else record.frame_key,
        "thumbnail_key": "" if erased else record.thumbnail_key,
        "look_keys": [] if erased else record.look_keys,
        "person": kept.person and str(kept.person),
        "matched_face": chosen and str(chosen.face),
        "similarity": chosen and float(chosen.similarity),
        "confidence": chosen and float(chosen.confidence),
        "decision": decision and plain(decision),
        "gallery_revision": decision.gallery_revision if decision else 0,
        "erased": erased,
    }


def _chosen(decision: Decision | None) -> Candidate | None:
    if decision is None:
        return None
    return next((c for c in decision.candidates if c.person == decision.person), None)


def _face_rows(record: EventRecord) -> list[dict[str, Any]]:
    return [
        {
            "id": str(face.id),
            "org": str(record.org),
            "asset": str(record.snapshot.id),
            **dict(zip(_BOX, face.box.rounded(), strict=True)),
            "landmarks": np.asarray(face.landmarks, np.float64).ravel().tolist(),
            "quality": quality_parts(face.quality),
            "event": str(face.event) if face.event else None,
            "timestamp_ms": record.snapshot.timestamp_ms,
            "thumbnail_key": record.thumbnail_key if face.id == record.face else None,
        }
        for face in record.snapshot.faces
    ]


_BOX = ("box_left", "box_top", "box_right", "box_bottom")


def quality_parts(quality: Quality) -> list[float]:
    """As the columns named quality hold them."""
    parts = (
        *(quality.size, quality.sharpness, quality.pose, quality.exposure),
        *(quality.score, quality.telling),
    )
    return [float(part) for part in parts]


def _event(row: Row) -> FaceEvent:
    return FaceEvent(
        id=EventId(row["id"]),
        version=row["version"],
        closed=row["closed"],
        org=OrgId(row["org"]),
        location=LocationId(row["location"]),
        camera=CameraId(row["camera"]),
        place=tuple(row["place"]),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        best_at=row["best_at"],
        has_template=row["has_template"],
        quality=Quality(*row["quality"]),
        frame_key=row["frame_key"],
        thumbnail_key=row["thumbnail_key"],
        person=row["person"] and PersonId(row["person"]),
        person_name=row["person_name"],
        assigned_by=row["assigned_by"] and AssignedBy(row["assigned_by"]),
        selected=_selected(row),
        candidates=_candidates(row) if row["candidates"] else (),
    )


def _candidates(row: Row) -> tuple[NamedCandidate, ...]:
    """Best first; of those who were merged, the best one."""
    names = json.loads(row["candidate_names"] or "{}")
    candidates: dict[str, NamedCandidate] = {}
    for c in json.loads(row["candidates"]):
        person, name = names.get(c["person"], (c["person"], None))
        candidates.setdefault(
            person,
            NamedCandidate(
                Candidate(
                    PersonId(UUID(person)),
                    FaceId(UUID(c["face"])),
                    c["similarity"],
                    c["confidence"],
                ),
                name,
            ),
        )
    return tuple(candidates.values())


def _selected(row: Row) -> NamedCandidate | None:
    if row["matched_face"] is None:
        return None
    candidate = Candidate(
        PersonId(row["person"]),
        FaceId(row["matched_face"]),
        row["similarity"],
        row["confidence"],
    )
    return NamedCandidate(candidate, row["person_name"])

"""Photos that were sent to become matchmakers, in Postgres."""

from collections.abc import Sequence
from datetime import timedelta

from facewatch.domain.ids import FaceId, OrgId, PersonId
from facewatch.domain.people import Matchmaker
from facewatch.domain.uploads import TWICE, Upload, UploadState
from facewatch.ports.people import Accepted, Refused
from facewatch.store.database import Database, Row, Work
from facewatch.store.enrolments import model_id, put_matchmakers

UPLOADS = "uploads"
"""NOTIFY channel that rings when photos wait."""


class PostgresUploads:
    """`ports.people.Uploads` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, uploads: Sequence[Upload]) -> None:
        """They wait from now on; the workers are told."""
        async with self._database.transaction() as work:
            await work.fetch(
                "uploads_add",
                faces=[it.face for it in uploads],
                orgs=[it.org for it in uploads],
                transactions=[it.transaction for it in uploads],
                file_names=[it.file_name for it in uploads],
                person_names=[it.person_name for it in uploads],
                persons=[it.person for it in uploads],
                create_persons=[it.create_person for it in uploads],
                keys=[it.key for it in uploads],
                mimes=[it.mime for it in uploads],
                sizes=[it.size_bytes for it in uploads],
                pixels=[it.pixels for it in uploads],
                created_at=[it.created_at for it in uploads],
            )
            await work.fetch("ring", channel=UPLOADS, payload="")

    async def waiting(self, org: OrgId) -> tuple[int, int]:
        """How many photos of *org* wait, and how many bytes these are."""
        row = await self._database.row("uploads_waiting", org=org)
        assert row is not None
        return row["files"], int(row["bytes"])

    async def count(self, org: OrgId, transaction: str) -> int:
        """How many photos *transaction* holds."""
        row = await self._database.row("uploads_count", org=org, transaction=transaction)
        assert row is not None
        files: int = row["files"]
        return files

    async def of_transaction(self, org: OrgId, transaction: str) -> list[Upload]:
        """In the order in which they came, each with its person of today who has a name."""
        rows = await self._database.fetch(
            "uploads_of_transaction", org=org, transaction=transaction
        )
        return [_upload(row) for row in rows]

    async def take(self, worker: str, limit: int, lease: timedelta) -> list[Upload]:
        """The oldest that wait, for *worker* alone until *lease* is over."""
        rows = await self._database.fetch("uploads_take", worker=worker, limit=limit, lease=lease)
        return [_upload(row) for row in sorted(rows, key=lambda row: row["place"])]

    async def let_go(self, worker: str, faces: Sequence[FaceId] | None = None) -> None:
        """What *worker* has taken waits again: *faces* as if untouched, or all that it has."""
        await self._database.fetch("uploads_let_go", worker=worker, faces=faces)

    async def settle(
        self, accepted: Sequence[Accepted], refused: Sequence[Refused]
    ) -> tuple[list[Matchmaker], list[str]]:
        """What became of photos: at once for all of them, and once for each.

        What was settled or erased meanwhile stays so, and whoever was forgotten meanwhile is not
        enrolled.

        Returns:
            The matchmakers that were added, and object keys whose pixels must go; they are
            garbage already.
        """
        if not accepted and not refused:
            return [], []
        model = await self._model(accepted)
        async with self._database.transaction() as work:
            standing = await _standing(work, accepted)
            states = await _states(work, [*accepted, *refused])
            mine = [it for it in accepted if states.get(it.upload.face) == UploadState.WAITING]
            added, late = await _first_of_each(work, mine, standing)
            if added:
                await put_matchmakers(
                    work, model, [(it.upload.org, it.person, it.enrolment, it.keys) for it in added]
                )
            said = [it for it in refused if states.get(it.upload.face) == UploadState.WAITING]
            await _write(work, added, [*said, *late.values()])
            gone = [(it.upload.org, it.upload.key) for it in said]
            for it in accepted:
                if it.upload.face in late or it.upload.face not in states:
                    gone += [(it.upload.org, key) for key in it.keys.all]
            await work.fetch(
                "garbage_add", keys=[key for _, key in gone], orgs=[org for org, _ in gone]
            )
        return [it.matchmaker for it in added], [key for _, key in gone if key]

    async def _model(self, accepted: Sequence[Accepted]) -> int:
        """Of the templates of one worker, all of which one model made; -1 where there are none."""
        if not accepted:
            return -1
        first = accepted[0].enrolment
        return await model_id(self._database, first.model, len(first.template))

    async def expire(self, age: timedelta) -> None:
        """Forget what was settled longer ago than *age*; matchmakers stay."""
        await self._database.fetch("uploads_expire", age=age)


async def _standing(work: Work, accepted: Sequence[Accepted]) -> set[PersonId]:
    """Those of their persons who are still there; locked, and before any upload: as in forget."""
    rows = await work.fetch("persons_lock", persons=[it.person for it in accepted])
    return {PersonId(row["id"]) for row in rows}


async def _states(work: Work, settled: Sequence[Accepted | Refused]) -> dict[FaceId, str]:
    """Of those that are still there; locked."""
    rows = await work.fetch("uploads_lock", faces=[it.upload.face for it in settled])
    return {FaceId(row["face"]): row["state"] for row in rows}


async def _first_of_each(
    work: Work, accepted: Sequence[Accepted], standing: set[PersonId]
) -> tuple[list[Accepted], dict[FaceId, Refused]]:
    """One of each photo and person; the others are refused by their uploads."""
    kept = await _photos_kept(work, accepted)
    added: list[Accepted] = []
    late: dict[FaceId, Refused] = {}
    for it in accepted:
        photo = (it.person, it.enrolment.digest)
        if it.person not in standing:
            continue  # merged meanwhile: it is tried again; a forgotten person's uploads are gone
        if photo in kept:
            late[it.upload.face] = Refused(it.upload, TWICE, it.person)
        else:
            kept.add(photo)
            added.append(it)
    return added, late


async def _photos_kept(work: Work, accepted: Sequence[Accepted]) -> set[tuple[PersonId, bytes]]:
    kept: set[tuple[PersonId, bytes]] = set()
    for org in {it.upload.org for it in accepted}:
        digests = [it.enrolment.digest for it in accepted]
        rows = await work.fetch("photo_owners", org=org, digests=digests)
        kept |= {(PersonId(row["person"]), row["sha256"]) for row in rows}
    return kept


async def _write(work: Work, added: Sequence[Accepted], refused: Sequence[Refused]) -> None:
    rows: list[tuple[FaceId, UploadState, PersonId | None, str, str]] = [
        (it.upload.face, UploadState.ENROLLED, it.person, "", it.warning) for it in added
    ]
    rows += [(it.upload.face, UploadState.REFUSED, it.person, it.why, "") for it in refused]
    faces, states, persons, whys, warnings = zip(*rows, strict=True) if rows else [()] * 5
    await work.fetch(
        "uploads_settle",
        faces=faces,
        states=[state.value for state in states],
        persons=persons,
        whys=whys,
        warnings=warnings,
    )


def _upload(row: Row) -> Upload:
    return Upload(
        face=FaceId(row["face"]),
        org=OrgId(row["org"]),
        transaction=row["transaction"],
        file_name=row["file_name"],
        person_name=row["person_name"],
        person=row["person"] and PersonId(row["person"]),
        create_person=row["create_person"],
        key=row["key"],
        mime=row["mime"],
        size_bytes=row["size_bytes"],
        pixels=row["pixels"],
        created_at=row["created_at"],
        state=UploadState(row["state"]),
        why=row["why"],
        warning=row["warning"],
        tries=row["tries"],
    )

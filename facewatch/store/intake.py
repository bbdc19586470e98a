"""Pictures and clips that somebody brings, in Postgres."""

from datetime import timedelta

from facewatch.domain.ids import AssetId, OrgId
from facewatch.domain.library import IntakeState, NewAsset
from facewatch.ports.library import Taken
from facewatch.store.database import Database

INTAKE = "intake"
"""NOTIFY channel that rings when something waits."""


class PostgresIntake:
    """`ports.library.BroughtAssets` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, org: OrgId, sha256: bytes) -> AssetId | None:
        """What was brought before with these very bytes, and still has them."""
        row = await self._database.row("intake_known", org=org, sha256=sha256)
        return row and AssetId(row["asset"])

    async def waiting(self, org: OrgId) -> tuple[int, int]:
        """How many files of *org* wait to be looked at, and how many bytes these are."""
        row = await self._database.row("intake_room", org=org)
        assert row is not None
        return row["files"], row["bytes"]

    async def add(self, new: NewAsset) -> AssetId:
        """As `ports.library.BroughtAssets.add` says."""
        told = new.brought
        async with self._database.transaction() as work:
            await work.fetch("intake_lock", org=new.org)
            known = await work.row("intake_known", org=new.org, sha256=new.sha256)
            if known is not None:
                return AssetId(known["asset"])
            await work.fetch(
                "intake_asset_add",
                id=new.id,
                org=new.org,
                kind=new.kind,
                camera=new.camera,
                captured_at=new.captured_at,
                time_zone=new.time_zone,
                width=new.width,
                height=new.height,
                duration_ms=new.duration_ms,
                size_bytes=new.size_bytes,
                sha256=new.sha256,
                mime=new.mime,
                file_name=new.file_name,
                key=new.key,
            )
            await work.fetch(
                "intake_add",
                id=new.id,
                org=new.org,
                sha256=new.sha256,
                sha1=told.sha1,
                size_bytes=new.size_bytes,
                device=told.device,
                device_asset=told.device_asset,
                created_at=told.created_at,
                modified_at=told.modified_at,
                still_key=new.still_key,
            )
            await work.fetch("ring", channel=INTAKE, payload="")
        return new.id

    async def take(self, worker: str, lease: timedelta) -> Taken | None:
        """The oldest that waits, for *worker* alone until *lease* is over."""
        row = await self._database.row("intake_take", worker=worker, lease=lease)
        return row and Taken(AssetId(row["asset"]), OrgId(row["org"]), row["tries"])

    async def goes_on(self, asset: AssetId, worker: str, percent: float, lease: timedelta) -> bool:
        """How far *worker* is; False where it was deleted, or somebody else has it."""
        row = await self._database.row(
            "intake_goes_on", asset=asset, worker=worker, percent=percent, lease=lease
        )
        return row is not None

    async def settle(self, asset: AssetId, worker: str, state: IntakeState, said: str) -> None:
        """What became of it, if *worker* still has it."""
        await self._database.fetch(
            "intake_settle", asset=asset, worker=worker, state=state, said=said
        )

    async def let_go(self, worker: str, *, tried: bool) -> None:
        """What *worker* has waits again; *tried*, it may be why the worker died."""
        await self._database.fetch("intake_let_go", worker=worker, tried=tried)

"""facewatch camera add | list | set | remove | watch-again | probe"""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import click

from facewatch.app.stores import open_stores
from facewatch.cli.named import location_of, of_org, org_of
from facewatch.cli.options import as_json, command
from facewatch.cli.output import counted, note, say, table
from facewatch.domain.cameras import Camera, Transport
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id, to_ruuid
from facewatch.domain.urls import redact, split_credentials
from facewatch.settings import Settings
from facewatch.stream.sources import open_source
from facewatch.stream.sources import probe as probe_camera


@click.group()
def camera() -> None:
    """Cameras: added, listed with their state, removed, probed."""


@camera.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--sub", help="Address of its smaller stream: faces are found there and cut from URL's."
)
@click.option("--udp", is_flag=True, help="RTP over UDP, for cameras that cannot do TCP.")
@click.option("--location", help="Name or id of a location or sub-location.")
@of_org
@as_json
@command
async def add(
    settings: Settings,
    name: str,
    url: str,
    sub: str | None,
    udp: bool,
    location: str | None,
    org: str | None,
    as_json: bool,
) -> None:
    """Watch URL (rtsp://user:password@host/path) as NAME; a running serve begins at once."""
    async with open_stores(settings) as stores:
        address, credentials = split_credentials(url)
        whose = await org_of(stores, org)
        where = (
            await location_of(stores, whose, location)
            if location
            else await stores.locations.get(whose, await stores.locations.first(whose))
        )
        made = Camera(
            CameraId(new_id()),
            whose,
            where.outermost,
            name,
            address,
            credentials,
            Transport.UDP if udp else Transport.TCP,
            (where.id,) if where.parent else (),
        )
        if sub:
            made = _with_sub(made, sub)
        open_source(made, looks_per_s=1)
        await stores.cameras.add(made)
    if as_json:
        shown = {"url": redact(made.url), "sub_url": redact(made.sub_url) or None}
        say({"id": to_ruuid(made.id), "name": name, **shown})
    else:
        note(f"added {made!r}")


def _with_sub(camera: Camera, url: str) -> Camera:
    address, credentials = split_credentials(url)
    return replace(camera, sub_url=address, sub_credentials=credentials)


@camera.command("list")
@of_org
@as_json
@command
async def list_(settings: Settings, org: str | None, as_json: bool) -> None:
    """Show the cameras and how they are."""
    async with open_stores(settings) as stores:
        whose = await org_of(stores, org)
        cameras = await stores.cameras.all(whose)
        statuses = {it.camera: it for it in await stores.statuses.all(whose)}
    rows: list[dict[str, Any]] = []
    for it in cameras:
        status = statuses.get(it.id)
        last = status.last_frame_at if status else None
        rows.append(
            {
                "id": to_ruuid(it.id),
                "name": it.name,
                "url": redact(it.url),
                "sub_url": redact(it.sub_url) or None,
                "match_threshold": it.match_threshold,
                "state": status.state if status else "not watched",
                "fps": round(status.fps, 1) if status else None,
                "last_frame": last.isoformat(timespec="seconds") if last else None,
                "reason": status.reason if status else "",
                "suppressed": [
                    {
                        "id": to_ruuid(region.id),
                        "box": region.box.rounded(),
                        "since": region.since.isoformat(),
                    }
                    for region in (status.suppressed if status else ())
                ],
            }
        )
    if as_json:
        for row in rows:
            say(row)
    else:
        table(
            ["name", "state", "fps", "last frame", "suppressed", "url", "reason"],
            [
                [
                    it["name"],
                    it["state"],
                    it["fps"],
                    _ago(it["last_frame"]),
                    len(it["suppressed"]) or "",
                    it["url"],
                    it["reason"],
                ]
                for it in rows
            ],
        )


def _ago(stamp: object) -> str:
    if not isinstance(stamp, str):
        return ""
    return f"{(datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds():.0f} s ago"


class _Threshold(click.ParamType[float | str]):
    """0 to 1, or "org": what the org has."""

    name = "confidence"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | str:
        if value == "org":
            return "org"
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            self.fail(f"{value!r} is neither a number from 0 to 1 nor 'org'", param, ctx)
        return number


@camera.command("set")
@click.argument("name")
@click.option(
    "--threshold",
    type=_Threshold(),
    help="Least confidence for a name at this camera, 0 to 1; 'org' for the org's.",
)
@click.option("--sub", help="Address of its smaller stream; 'none' takes it away.")
@of_org
@as_json
@command
async def set_(
    settings: Settings,
    name: str,
    threshold: float | str | None,
    sub: str | None,
    org: str | None,
    as_json: bool,
) -> None:
    """Change how sure one must be of a name at NAME, or its smaller stream.

    A running serve obeys within a second.
    """
    if threshold is None and sub is None:
        raise click.UsageError("say what to change: --threshold or --sub")
    async with open_stores(settings) as stores:
        camera = await stores.cameras.by_name(await org_of(stores, org), name)
        if threshold is not None:
            own = None if isinstance(threshold, str) else threshold
            camera = replace(camera, match_threshold=own)
        if sub is not None:
            camera = _with_sub(camera, "" if sub == "none" else sub)
            open_source(camera, looks_per_s=1)
        await stores.cameras.change(camera)
    own, address = camera.match_threshold, redact(camera.sub_url)
    if as_json:
        say({"name": name, "match_threshold": own, "sub_url": address or None})
    else:
        note(
            f"{name!r}: {'the threshold of the org' if own is None else own}, "
            f"{f'sub-stream {address}' if address else 'no sub-stream'}"
        )


@camera.command()
@click.argument("name")
@of_org
@as_json
@command
async def remove(settings: Settings, name: str, org: str | None, as_json: bool) -> None:
    """Stop watching NAME; its events stay."""
    async with open_stores(settings) as stores:
        found = await stores.cameras.by_name(await org_of(stores, org), name)
        await stores.cameras.remove(found.org, found.id)
    if as_json:
        say({"removed": name})
    else:
        note(f"removed {name!r}")


@camera.command("watch-again")
@click.argument("name")
@of_org
@as_json
@command
async def watch_again(settings: Settings, name: str, org: str | None, as_json: bool) -> None:
    """Follow again what was suppressed at NAME because it stands still; see `camera list`.

    What still stands there is an event, and is suppressed once more after a while.
    """
    async with open_stores(settings) as stores:
        found = await stores.cameras.by_name(await org_of(stores, org), name)
        regions = await stores.regions.remove(found.org, found.id)
    if as_json:
        say({"name": name, "regions": regions})
    else:
        note(f"{name!r}: {counted(regions, 'region')} watched again")


@camera.command()
@click.argument("url_or_name")
@click.option("--udp", is_flag=True, help="RTP over UDP.")
@as_json
@command
async def probe(settings: Settings, url_or_name: str, udp: bool, as_json: bool) -> None:
    """Open a camera by URL or name and say what it sends."""
    if "://" in url_or_name:
        address, credentials = split_credentials(url_or_name)
        nil = CameraId(new_id())
        transport = Transport.UDP if udp else Transport.TCP
        nobody = OrgId(nil)
        target = Camera(nil, nobody, LocationId(nil), "probe", address, credentials, transport)
    else:
        async with open_stores(settings) as stores:
            target = await stores.cameras.by_name(stores.org, url_or_name)
    timeouts = settings.cameras
    found = await asyncio.to_thread(
        probe_camera,
        target,
        open_timeout_s=timeouts.open_timeout_s,
        read_timeout_s=timeouts.read_timeout_s,
    )
    if as_json:
        say(asdict(found))
    else:
        note(
            f"{found.codec} {found.width} x {found.height}, {found.fps:.1f} fps, first picture "
            f"after {found.first_frame_s:.1f} s, "
            f"{'dated by its own clock' if found.has_clock else 'without a clock of its own'}"
        )

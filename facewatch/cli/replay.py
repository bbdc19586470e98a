"""facewatch replay"""

from datetime import datetime
from functools import partial
from pathlib import Path

import click

from facewatch.app.recognition import open_recognition
from facewatch.app.replay import replay_video
from facewatch.app.stores import camera_named, open_stores
from facewatch.cli.events import FinishedEvents, show
from facewatch.cli.options import Instant, as_json, command
from facewatch.cli.output import Bar, counted, note, progress, say
from facewatch.ports.streams import Frame
from facewatch.settings import Settings
from facewatch.stream.files import duration_s


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--camera", required=True, help="Whose video it is; made where there is none.")
@click.option(
    "--start",
    type=Instant(),
    help="When the video begins (ISO 8601, else UTC); default: as the file says.",
)
@as_json
@command
async def replay(
    settings: Settings, videos: tuple[Path, ...], camera: str, start: datetime | None, as_json: bool
) -> None:
    """Run video files through recognition.

    As if CAMERA had seen them, and as fast as it goes; every sampled frame counts. Run again, the
    same file, camera and start make the same events, and double nothing.
    """
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
    ):
        people = {it.id: it.name for it in await stores.people.all(stores.org)}
        target = await camera_named(stores, camera)
        events = FinishedEvents(people, {target.id: camera}, say if as_json else lambda _: None)
        waiting = 0
        for video in videos:
            with progress(duration_s(video)) as bar:
                waiting = await replay_video(
                    settings,
                    stores,
                    recognition,
                    video,
                    target,
                    start=start,
                    seen=partial(_draw, bar, video.name),
                    written=events.written,
                )
            events.end()
    _sum_up(events, len(videos), waiting, as_json)


def _draw(bar: Bar, name: str, frame: Frame) -> None:
    bar.at(frame.t_s, name)


def _sum_up(events: FinishedEvents, videos: int, waiting: int, as_json: bool) -> None:
    if not as_json:
        show(events.lines)
    named = sum(line["person"] is not None for line in events.lines)
    said = counted(len(events.lines), "event")
    note(f"{said}, {named} named, from {counted(videos, 'video')}")
    if waiting:
        note(
            f"{waiting} event versions wait in the spool for a store; the next start delivers them"
        )

"""What commands over labelled photos share."""

from collections.abc import Sequence
from pathlib import Path

import click

from facewatch.app.evaluate import Album, open_album
from facewatch.cli.output import progress
from facewatch.evaluate.photos import Whose
from facewatch.settings import Settings

face_option = click.option(
    "--face",
    type=click.Choice([it.value for it in Whose]),
    help="Whose face counts where a photo shows several: the largest, unless it is LFW's.",
)


async def album_of(
    settings: Settings, photos: Sequence[Path], whose: Whose, *, turn_grey: bool = False
) -> Album:
    """The face of each photo, with a bar on stderr."""
    with progress(len(set(photos))) as bar:
        return await open_album(settings, photos, whose, bar.at, turn_grey=turn_grey)

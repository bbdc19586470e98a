"""facewatch gallery doctor"""

import click

from facewatch.app.calibration import in_force
from facewatch.app.stores import open_stores
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.ids import to_prefixed, to_ruuid
from facewatch.people.crops import Crops
from facewatch.people.suggest import Suggester
from facewatch.settings import Settings
from facewatch.vision import registry
from facewatch.vision.pictures import decode


@click.group()
def gallery() -> None:
    """The enrolled faces."""


@gallery.command()
@as_json
@command
async def doctor(settings: Settings, as_json: bool) -> None:
    """Find enrolled faces that attract others, were corrected, are poor, twice there, or alone."""
    card = registry.card(settings.models.embedder)
    async with open_stores(settings) as stores:
        calibration = in_force(settings, card) or card.calibration
        assert calibration is not None, "every embedder's card has one"
        suggester = Suggester(
            *(stores.people, stores.register, card.name, calibration), Crops(stores.blobs, decode)
        )
        found, examined = await suggester.findings(stores.org)
        names = await stores.register.names(stores.org, {it.person for it in found})
    if as_json:
        for it in found:
            face = to_prefixed("face", it.face)
            who = {"person": to_ruuid(it.person), "face": face}
            say({"kind": it.kind, **who, "reason": it.reason, "remedy": it.remedy})
    else:
        rows = [[it.kind, names.get(it.person) or "-", it.reason, it.remedy] for it in found]
        table(["what", "who", "why", "what to do"], rows)
    note(f"{len(found)} findings in {examined} enrolled faces")

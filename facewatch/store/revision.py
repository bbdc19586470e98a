"""Which state of an org's gallery is in force, and the bell that tells of it."""

from facewatch.domain.ids import OrgId
from facewatch.store.database import Work

GALLERY = "gallery"
"""NOTIFY channel that rings with an org's id when its gallery changed."""


async def next_revision(work: Work, org: OrgId) -> int:
    """A new state of *org*'s gallery; its other writers wait until *work* is done."""
    row = await work.row("gallery_revision_next", org=org)
    assert row is not None
    await work.fetch("ring", channel=GALLERY, payload=str(org))
    revision: int = row["revision"]
    return revision

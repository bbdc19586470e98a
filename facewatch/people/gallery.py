"""Puts the enrolled people in force where faces are matched."""

from facewatch.domain.ids import OrgId
from facewatch.ports import Gallery, People


async def refresh(gallery: Gallery, people: People, org: OrgId, model: str) -> int:
    """Load *org*'s gallery from the table if it is newer than the one in force.

    Returns:
        How many matchmakers are in force.
    """
    revision, matchmakers = await people.gallery(org, model)
    if revision > gallery.revision(org) or not gallery.people(org):
        gallery.replace(org, revision, matchmakers)
    return len(matchmakers)

"""Puts the enrolled people, and how sure one must be, in force where faces are matched."""

from collections.abc import MutableMapping

from facewatch.domain.ids import OrgId
from facewatch.ports import Gallery, Orgs, People


async def refresh(gallery: Gallery, people: People, org: OrgId, model: str) -> int:
    """Load *org*'s gallery from the table if it is newer than the one in force.

    Returns:
        How many matchmakers are in force.
    """
    revision, matchmakers = await people.gallery(org, model)
    if revision > gallery.revision(org) or not gallery.people(org):
        gallery.replace(org, revision, matchmakers)
    return len(matchmakers)


async def refresh_threshold(
    thresholds: MutableMapping[OrgId, float], orgs: Orgs, org: OrgId
) -> None:
    """Put what *org* has settled in force; what it has not, the rule decides."""
    threshold = await orgs.match_threshold(org)
    if threshold is None:
        thresholds.pop(org, None)
    else:
        thresholds[org] = threshold

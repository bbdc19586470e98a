"""Orgs and locations by what a person types: an id, or a name that only one has."""

from collections.abc import Sequence
from typing import TypeVar

import click

from facewatch.app.stores import Stores
from facewatch.domain.cameras import Location
from facewatch.domain.ids import OrgId, to_ruuid
from facewatch.errors import InvalidRequest, NotFound
from facewatch.ports.access import Org

Named = TypeVar("Named", Org, Location)

MOST = 10_000
"""Of a list that is shown on a terminal."""

of_org = click.option("--org", help="Whose: an org's id or name; the first one's by default.")


async def org_of(stores: Stores, word: str | None) -> OrgId:
    """
    Raises:
        NotFound: there is no such org.
        InvalidRequest: several have this name.
    """
    if word is None:
        return stores.org
    return _only(await stores.orgs.page(MOST), word, "org").id


async def location_of(stores: Stores, org: OrgId, word: str) -> Location:
    """
    Raises:
        NotFound: there is no such location or sub-location.
        InvalidRequest: several have this name.
    """
    return _only(await stores.locations.page(org, MOST), word, "location")


def _only(found: Sequence[Named], word: str, what: str) -> Named:
    """The one of this id, or of this name."""
    for it in found:
        if to_ruuid(it.id) == word:
            return it
    named = [it for it in found if it.name == word]
    if not named:
        raise NotFound(f"there is no {what} {word!r}", f"facewatch {what} list shows them")
    if len(named) > 1:
        raise InvalidRequest(f"there are {len(named)} called {word!r}", "give the id instead")
    return named[0]

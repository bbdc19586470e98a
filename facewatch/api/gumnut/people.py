"""/api/people: persons with and without a name."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StrictBool

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.gumnut.links import Links, links_for
from facewatch.api.gumnut.resource import Call, Unprocessable, resource, wrong
from facewatch.api.gumnut.wire import (
    MOST_IDS,
    AlbumRef,
    AssetRef,
    AssetUrls,
    Done,
    FaceRef,
    InLibrary,
    PageIn,
    PersonRef,
    Shape,
    cut_off,
)
from facewatch.domain.audit import Action
from facewatch.domain.ids import PersonId
from facewatch.domain.library import Cohesion, Portrait, PortraitFilter, Sorting
from facewatch.errors import AlreadyExists, NotFound, UnusableValue
from facewatch.people.forget import drop
from facewatch.people.words import as_kept
from facewatch.ports.library import PortraitChanges

Include = list[Literal["cluster_metrics"]]
Sort: TypeAlias = Literal[
    "created_at_desc",
    "created_at_asc",
    "name_asc",
    "name_desc",
    "asset_count_desc",
    "asset_count_asc",
]
_SORTINGS: dict[Sort, Sorting] = {
    "created_at_desc": Sorting.NEWEST,
    "created_at_asc": Sorting.OLDEST,
    "name_asc": Sorting.NAME,
    "name_desc": Sorting.NAME_BACKWARDS,
    "asset_count_desc": Sorting.MOST_ASSETS,
    "asset_count_asc": Sorting.FEWEST_ASSETS,
}

_MOST_MERGED = 100
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _name(text: str) -> str:
    try:
        return as_kept(text, "a name")
    except UnusableValue as error:
        raise ValueError(str(error)) from None


def _findable(text: str) -> str:
    if "\0" in text:
        raise ValueError("no name holds a NUL")
    return text


def _day(value: object) -> object:
    """A number could be any count of seconds or days."""
    if not isinstance(value, date | str) or (isinstance(value, str) and not _DAY.fullmatch(value)):
        raise ValueError("must be a date: YYYY-MM-DD")
    return value


Birthday = Annotated[date, BeforeValidator(_day)]
Name = Annotated[str, AfterValidator(_name)]
"""What somebody is called: kept without space around it."""


class PersonIn(InLibrary):
    """Which one; an id that was merged means the person that it was merged into."""

    person_id: PersonRef


class PersonShownIn(PersonIn):
    """Which one, and what beside the rest: *cluster_metrics*."""

    include: Include = Field(default_factory=list)


class PeopleIn(PageIn):
    """Who: those whom all of this lets through.

    Attributes:
        ids: Named or not and hidden or not, unless something else says otherwise.
        album_id: There are no albums.
        name: In the name, whatever its case.
        name_filter: Those with a name, those without, or both; else *named*.
        include_hidden: Else whoever is hidden is not shown.
        sort: By name those without one come last; not together with *name_filter* unnamed.
    """

    ids: Annotated[list[PersonRef], Field(max_length=MOST_IDS)] | None = None
    asset_id: AssetRef | None = None
    album_id: AlbumRef | None = None
    name: Annotated[str, AfterValidator(_findable)] | None = None
    name_filter: Literal["named", "unnamed", "all"] | None = None
    include_hidden: bool | None = None
    sort: Sort = "created_at_desc"
    include: Include = Field(default_factory=list)
    starting_after_id: PersonRef | None = None


class NewPersonIn(InLibrary):
    """Somebody, called something or nothing."""

    name: Name | None = None
    birth_date: Birthday | None = None
    is_hidden: StrictBool | None = None
    is_favorite: StrictBool | None = None
    thumbnail_face_id: FaceRef | None = None


class PersonChangesIn(PersonIn):
    """What changes: a field that is not there is left alone, null clears."""

    name: Name | None = None
    birth_date: Birthday | None = None
    is_hidden: StrictBool | None = None
    is_favorite: StrictBool | None = None
    thumbnail_face_id: FaceRef | None = None


class MergeIn(PersonIn):
    """Who else *person_id* is."""

    source_person_ids: Annotated[list[PersonRef], Field(min_length=1, max_length=_MOST_MERGED)]


class ClusterMetricsResponse(Shape):
    """How tight somebody's faces lie together: 1 - cosine between two of the newest 256."""

    pairwise_p90: float
    pairwise_mean: float
    face_count: int

    @classmethod
    def of(cls, cohesion: Cohesion) -> "ClusterMetricsResponse":
        return cls(
            pairwise_p90=cohesion.pairwise_p90,
            pairwise_mean=cohesion.pairwise_mean,
            face_count=cohesion.faces,
        )


class PersonResponse(Shape):
    """Somebody.

    Attributes:
        name: Null for an unknown visitor who came back.
        asset_count: In how many pictures; counted among ten thousand faces.
        thumbnail_face_id: The chosen face, else an enrolled one, else the newest.
        cluster_metrics: Null unless *include* asks for it and there is something to compare.
    """

    id: PersonRef
    is_hidden: bool
    is_favorite: bool
    created_at: AwareDatetime
    updated_at: AwareDatetime
    name: str | None
    birth_date: date | None
    asset_count: int
    thumbnail_face_id: FaceRef | None
    asset_urls: AssetUrls | None
    cluster_metrics: ClusterMetricsResponse | None

    @classmethod
    def of(
        cls, portrait: Portrait, links: Links, cohesion: Cohesion | None = None
    ) -> "PersonResponse":
        return cls(
            id=portrait.id,
            is_hidden=portrait.hidden,
            is_favorite=portrait.favourite,
            created_at=portrait.created_at,
            updated_at=portrait.updated_at,
            name=portrait.name,
            birth_date=portrait.birth_date,
            asset_count=portrait.assets,
            thumbnail_face_id=portrait.face.id if portrait.face else None,
            asset_urls=links.of(portrait.face),
            cluster_metrics=ClusterMetricsResponse.of(cohesion) if cohesion else None,
        )


class PersonList(Shape):
    """A part of a list; *has_more* says whether it goes on behind the last of it."""

    data: list[PersonResponse]
    has_more: bool


async def list_people(deps: Deps, call: Call, asked: PeopleIn) -> PersonList:
    """Persons, newest first; those who have a name, unless asked otherwise."""
    if asked.album_id is not None:
        raise NotFound("there is no such album: this library has none", "leave album_id out")
    if asked.sort.startswith("name") and asked.name_filter == "unnamed":
        said = "those without a name are not sorted by it; leave one of the two out"
        raise Unprocessable([wrong(["query", "sort"], "value_error", said)])
    found = await deps.portraits.page(
        *(call.key.org, _wanted(asked), asked.limit + 1),
        *(asked.starting_after_id, _SORTINGS[asked.sort]),
    )
    portraits, more = cut_off(found, asked.limit)
    return PersonList(data=await _shown(deps, call, portraits, asked.include), has_more=more)


async def create_person(deps: Deps, call: Call, asked: NewPersonIn) -> PersonResponse:
    """Somebody new; saying the same again, as after an answer that was lost, makes nobody."""
    try:
        person = await deps.portraits.create(call.key.org, _told(asked))
    except AlreadyExists:
        assert asked.name is not None
        person = (await deps.people.of_names(call.key.org, [asked.name]))[asked.name]
        if not _says_so(asked, await deps.portraits.get(call.key.org, person)):
            raise
    return await _one(deps, call, person)


async def get_person(deps: Deps, call: Call, asked: PersonShownIn) -> PersonResponse:
    """One person."""
    return await _one(deps, call, asked.person_id, asked.include)


async def update_person(deps: Deps, call: Call, asked: PersonChangesIn) -> PersonResponse:
    """Change what is given. Without a name somebody is not shown to Rhombus' clients."""
    await deps.portraits.change(call.key.org, asked.person_id, _told(asked))
    return await _one(deps, call, asked.person_id)


async def delete_person(deps: Deps, call: Call, asked: PersonIn) -> Done:
    """Delete a person: faces and visits are nobody's then; what was enrolled goes.

    To erase somebody with all their pictures ask `DELETE /api/v1/people/{person}`.
    """
    keys = await deps.portraits.dissolve(call.key.org, asked.person_id)
    await drop(deps.blobs, deps.remains, call.key.org, keys)
    return Done()


async def merge_people(deps: Deps, call: Call, asked: MergeIn) -> PersonResponse:
    """Several records of one human become one; the others' ids mean this person from then on."""
    merged = await deps.register.merge(call.key.org, asked.person_id, asked.source_person_ids)
    return await _one(deps, call, merged)


def _wanted(asked: PeopleIn) -> PortraitFilter:
    by_id = asked.ids is not None
    which = asked.name_filter or ("all" if by_id else "named")
    hidden_too = by_id if asked.include_hidden is None else asked.include_hidden
    return PortraitFilter(
        ids=None if asked.ids is None else frozenset(asked.ids),
        named={"named": True, "unnamed": False, "all": None}[which],
        hidden=None if hidden_too else False,
        name_part=asked.name,
        asset=asked.asset_id,
    )


def _told(asked: NewPersonIn | PersonChangesIn) -> PortraitChanges:
    told = asked.model_fields_set
    changes: PortraitChanges = {}
    if "name" in told:
        changes["name"] = asked.name
    if "birth_date" in told:
        changes["birth_date"] = asked.birth_date
    if asked.is_hidden is not None:
        changes["hidden"] = asked.is_hidden
    if asked.is_favorite is not None:
        changes["favourite"] = asked.is_favorite
    if "thumbnail_face_id" in told:
        changes["face"] = asked.thumbnail_face_id
    return changes


def _says_so(asked: NewPersonIn, there: Portrait) -> bool:
    """Whether all that is told of somebody new is true of who is there."""
    face = there.face and there.face.id
    pairs = (
        (asked.birth_date, there.birth_date),
        (asked.is_hidden, there.hidden),
        (asked.is_favorite, there.favourite),
        (asked.thumbnail_face_id, face),
    )
    return all(said is None or said == known for said, known in pairs)


async def _one(
    deps: Deps, call: Call, person: PersonId, include: Sequence[str] = ()
) -> PersonResponse:
    portrait = await deps.portraits.get(call.key.org, person)
    (shown,) = await _shown(deps, call, [portrait], include)
    return shown


async def _shown(
    deps: Deps, call: Call, portraits: Sequence[Portrait], include: Sequence[str]
) -> list[PersonResponse]:
    links = await links_for(deps, call)
    cohesions: dict[PersonId, Cohesion] = {}
    if include and portraits:
        people = [it.id for it in portraits]
        cohesions = await deps.portraits.cohesions(call.key.org, people, deps.model)
    return [PersonResponse.of(it, links, cohesions.get(it.id)) for it in portraits]


_ONE = "/api/people/{person_id}"

ROUTES = [
    resource("GET", "/api/people", list_people, action=Action.FACE_PEOPLE_VIEWED),
    resource(
        *("POST", "/api/people", create_person, Role.OPERATOR, 201),
        action=Action.FACE_PERSON_CREATED,
    ),
    resource("GET", _ONE, get_person, action=Action.FACE_PERSON_VIEWED),
    resource("PATCH", _ONE, update_person, Role.OPERATOR, action=Action.FACE_PERSON_UPDATED),
    resource("DELETE", _ONE, delete_person, Role.OPERATOR, action=Action.FACE_PERSON_DELETED),
    resource(
        "POST", f"{_ONE}/merge", merge_people, Role.OPERATOR, action=Action.FACE_PERSON_MERGED
    ),
]

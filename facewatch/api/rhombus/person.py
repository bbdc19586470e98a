"""/api/faceRecognition/person: whoever has a name; the others are not shown in this contract."""

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.rhombus.ids import person_of
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire_people import (
    CreatePersonIn,
    DeletePersonIn,
    GetPersonIn,
    Nothing,
    PeopleAnswer,
    PersonAnswer,
    PersonLabelIn,
    PersonLabelsAnswer,
    PersonOut,
    PersonSelectiveUpdateIn,
    UpdatePersonIn,
)
from facewatch.domain.audit import Action
from facewatch.domain.ids import to_ruuid
from facewatch.people.forget import forget
from facewatch.people.words import as_kept
from facewatch.ports.access import ApiKey
from facewatch.ports.people import PersonChanges


async def create_person(deps: Deps, caller: ApiKey, message: CreatePersonIn) -> PersonAnswer:
    """Somebody new; a name that somebody has already is refused."""
    person = await deps.people.create(caller.org, _name(message.name or ""))
    return PersonAnswer(person=PersonOut.of(person))


async def get_person(deps: Deps, caller: ApiKey, message: GetPersonIn) -> PersonAnswer:
    """One person, by ``personUuid``."""
    with person_of(message.person_uuid) as person:
        return PersonAnswer(person=PersonOut.of(await deps.people.get(caller.org, person)))


async def update_person(deps: Deps, caller: ApiKey, message: UpdatePersonIn) -> PersonAnswer:
    """Change what ``updatedSetMethodMap`` names. Without a name somebody is shown no more."""
    update = message.person_selective_update
    with person_of(update.uuid, "uuid") as person:
        changed = await deps.people.change(caller.org, person, _changes(update))
        return PersonAnswer(person=PersonOut.of(changed))


async def delete_person(deps: Deps, caller: ApiKey, message: DeletePersonIn) -> Nothing:
    """Forget somebody; their past events stay, without a name (docs/deletion.md)."""
    with person_of(message.person_uuid) as person:
        await forget(deps.people, deps.blobs, deps.remains, caller.org, person)
    return Nothing()


async def find_people_by_org(deps: Deps, caller: ApiKey, _message: Nothing) -> PeopleAnswer:
    """Everybody, by name."""
    return PeopleAnswer(people=[PersonOut.of(it) for it in await deps.people.all(caller.org)])


async def add_person_label(deps: Deps, caller: ApiKey, message: PersonLabelIn) -> Nothing:
    """One label more; adding it again changes nothing."""
    with person_of(message.person_uuid) as person:
        await deps.people.add_label(caller.org, person, _label(message))
    return Nothing()


async def remove_person_label(deps: Deps, caller: ApiKey, message: PersonLabelIn) -> Nothing:
    """One label less; a label that the person has not is no error."""
    with person_of(message.person_uuid) as person:
        await deps.people.remove_label(caller.org, person, _label(message))
    return Nothing()


async def find_person_labels_by_org(
    deps: Deps, caller: ApiKey, _message: Nothing
) -> PersonLabelsAnswer:
    """The labels of everybody who has any."""
    labels = await deps.people.labels(caller.org)
    return PersonLabelsAnswer(labels_by_person={to_ruuid(it): labels[it] for it in labels})


def _changes(update: PersonSelectiveUpdateIn) -> PersonChanges:
    setters = update.updated_set_method_map or {}
    changes: PersonChanges = {}
    if setters.get("setName"):
        changes["name"] = None if update.name is None else _name(update.name)
    if setters.get("setEmail"):
        changes["email"] = None if update.email is None else as_kept(update.email, "an email")
    return changes


def _name(text: str) -> str:
    return as_kept(text, "a person's name")


def _label(message: PersonLabelIn) -> str:
    return as_kept(message.label or "", "a label")


_BASE = "/api/faceRecognition/person"

ROUTES = [
    operation(
        f"{_BASE}/createPerson",
        CreatePersonIn,
        create_person,
        Role.OPERATOR,
        action=Action.FACE_PERSON_CREATED,
    ),
    operation(f"{_BASE}/getPerson", GetPersonIn, get_person, action=Action.FACE_PERSON_VIEWED),
    operation(
        f"{_BASE}/updatePerson",
        UpdatePersonIn,
        update_person,
        Role.OPERATOR,
        action=Action.FACE_PERSON_UPDATED,
    ),
    operation(
        f"{_BASE}/deletePerson",
        DeletePersonIn,
        delete_person,
        Role.OPERATOR,
        action=Action.FACE_PERSON_DELETED,
    ),
    operation(
        f"{_BASE}/findPeopleByOrg", Nothing, find_people_by_org, action=Action.FACE_PEOPLE_VIEWED
    ),
    operation(
        f"{_BASE}/addPersonLabel",
        PersonLabelIn,
        add_person_label,
        Role.OPERATOR,
        action=Action.FACE_PERSON_LABEL_ADDED,
    ),
    operation(
        f"{_BASE}/removePersonLabel",
        PersonLabelIn,
        remove_person_label,
        Role.OPERATOR,
        action=Action.FACE_PERSON_LABEL_REMOVED,
    ),
    operation(
        f"{_BASE}/findPersonLabelsByOrg",
        Nothing,
        find_person_labels_by_org,
        action=Action.FACE_PEOPLE_VIEWED,
    ),
]

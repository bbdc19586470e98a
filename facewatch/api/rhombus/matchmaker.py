"""/api/faceRecognition/matchmaker: the enrolled faces, and how sure a match must be."""

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.rhombus.ids import event_of, face_of, person_of
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire_people import (
    CreateFaceMatchmakerFromSightingIn,
    FaceMatchingConfigAnswer,
    FaceMatchmakerAnswer,
    FaceMatchmakerIn,
    FaceMatchmakerOut,
    FaceMatchmakersAnswer,
    FindFaceMatchmakersByPersonIn,
    Nothing,
    UpdateFaceMatchingConfigIn,
)
from facewatch.domain.audit import Action
from facewatch.people.forget import unenrol
from facewatch.ports.access import ApiKey


async def create_face_matchmaker_from_sighting(
    deps: Deps, caller: ApiKey, message: CreateFaceMatchmakerFromSightingIn
) -> FaceMatchmakerAnswer:
    """A copy of a visit's face that outlives the visit."""
    with event_of(message.face_event_uuid, "faceEventUuid") as event:
        sighting = await deps.copier.sighting(caller.org, event)
    with person_of(message.person_uuid) as person:
        added = await deps.copier.enrol(caller.org, sighting, person)
        face = await deps.people.matchmaker(caller.org, added.face)
    return FaceMatchmakerAnswer(face_matchmaker=FaceMatchmakerOut.of(face))


async def get_face_matchmaker(
    deps: Deps, caller: ApiKey, message: FaceMatchmakerIn
) -> FaceMatchmakerAnswer:
    """One matchmaker, by ``faceId``."""
    with face_of(message.face_id) as face:
        found = await deps.people.matchmaker(caller.org, face)
    return FaceMatchmakerAnswer(face_matchmaker=FaceMatchmakerOut.of(found))


async def delete_face_matchmaker(deps: Deps, caller: ApiKey, message: FaceMatchmakerIn) -> Nothing:
    """Erase one; the person, their other faces and their past events stay."""
    with face_of(message.face_id) as face:
        await unenrol(deps.people, deps.blobs, deps.remains, caller.org, face)
    return Nothing()


async def find_face_matchmakers_by_org(
    deps: Deps, caller: ApiKey, _message: Nothing
) -> FaceMatchmakersAnswer:
    """Every matchmaker, newest first."""
    found = await deps.people.matchmakers(caller.org)
    return FaceMatchmakersAnswer(face_matchmakers=[FaceMatchmakerOut.of(it) for it in found])


async def find_face_matchmakers_by_person(
    deps: Deps, caller: ApiKey, message: FindFaceMatchmakersByPersonIn
) -> FaceMatchmakersAnswer:
    """Those of one person, newest first."""
    with person_of(message.person_uuid) as person:
        await deps.people.get(caller.org, person)
        found = await deps.people.matchmakers(caller.org, person)
    return FaceMatchmakersAnswer(face_matchmakers=[FaceMatchmakerOut.of(it) for it in found])


async def get_face_matching_config(
    deps: Deps, caller: ApiKey, _message: Nothing
) -> FaceMatchingConfigAnswer:
    """The threshold in force: the org's own, or the built-in default."""
    settled = await deps.orgs.match_threshold(caller.org)
    return FaceMatchingConfigAnswer(
        face_match_confidence_threshold=deps.threshold if settled is None else settled
    )


async def update_face_matching_config(
    deps: Deps, caller: ApiKey, message: UpdateFaceMatchingConfigIn
) -> FaceMatchingConfigAnswer:
    """Settle it; what was decided before stays decided."""
    await deps.orgs.set_match_threshold(caller.org, message.face_match_confidence_threshold)
    return await get_face_matching_config(deps, caller, Nothing())


_BASE = "/api/faceRecognition/matchmaker"

ROUTES = [
    operation(
        f"{_BASE}/createFaceMatchmakerFromSighting",
        CreateFaceMatchmakerFromSightingIn,
        create_face_matchmaker_from_sighting,
        Role.OPERATOR,
        action=Action.FACE_MATCHMAKER_CREATED,
    ),
    operation(
        f"{_BASE}/getFaceMatchmaker",
        FaceMatchmakerIn,
        get_face_matchmaker,
        action=Action.FACE_MATCHMAKER_VIEWED,
    ),
    operation(
        f"{_BASE}/deleteFaceMatchmaker",
        FaceMatchmakerIn,
        delete_face_matchmaker,
        Role.OPERATOR,
        action=Action.FACE_MATCHMAKER_DELETED,
    ),
    operation(
        f"{_BASE}/findFaceMatchmakersByOrg",
        Nothing,
        find_face_matchmakers_by_org,
        action=Action.FACE_MATCHMAKERS_VIEWED,
    ),
    operation(
        f"{_BASE}/findFaceMatchmakersByPerson",
        FindFaceMatchmakersByPersonIn,
        find_face_matchmakers_by_person,
        action=Action.FACE_MATCHMAKERS_VIEWED,
    ),
    operation(f"{_BASE}/getFaceMatchingConfig", Nothing, get_face_matching_config, action=None),
    operation(
        f"{_BASE}/updateFaceMatchingConfig",
        UpdateFaceMatchingConfigIn,
        update_face_matching_config,
        Role.OPERATOR,
        action=Action.FACE_MATCHING_CONFIG_UPDATED,
    ),
]

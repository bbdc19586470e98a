"""Photos that are sent: to be enrolled, to be tried, to be searched for."""

import base64
from inspect import getdoc

from aiohttp import web
from pydantic import ValidationError

from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Answer, Files, Role, Route, refused
from facewatch.api.multipart import files_together, first_file
from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire import Message
from facewatch.api.rhombus.wire_upload import (
    FaceUploadMetadata,
    FaceUploadMetadataAnswer,
    FileUploadResult,
    FindFaceUploadMetadataByTransactionIn,
    ProcessFaceEventSearchImageAnswer,
    UploadFaceMatchmakersAnswer,
    UploadQuery,
    ValidateFaceMatchmakerImageAnswer,
)
from facewatch.domain.audit import Action
from facewatch.domain.ids import FaceId, new_id, to_ruuid
from facewatch.domain.uploads import Upload
from facewatch.errors import NotAPicture, UnusablePhoto
from facewatch.people.inbox import Sent, too_large
from facewatch.people.look import Photo
from facewatch.people.words import as_kept
from facewatch.ports.access import ApiKey

_MOST_FILES = 100
_TOO_MANY = f"a call takes {_MOST_FILES} files; send this one in another"


async def upload_face_matchmakers(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
    """Photos, each named for the person that it is of, wait to be enrolled.

    At most 100 a call, of 5 MB each: JPEG, PNG, WebP, BMP or GIF. What is answered with *success*
    is kept; what became of it, findFaceUploadMetadataByTransaction tells. Somebody is made for a
    name that nobody has only where *createPersonIfNotFound* says so.
    """
    try:
        query = UploadQuery.model_validate(dict(request.query))
    except ValidationError as error:
        raise refused(error) from None
    transaction = as_kept(query.transaction or to_ruuid(new_id()), "transaction")
    results: list[FileUploadResult] = []
    create = bool(query.create_person_if_not_found)
    async with deps.inbox.turns:
        async for files in files_together(request):
            room = max(0, _MOST_FILES - len(results))
            answers = await deps.inbox.keep(caller.org, transaction, files[:room], create=create)
            concerns(*(it.face for it in answers if isinstance(it, Upload)))
            answers += [_TOO_MANY] * len(files[room:])
            results += [_result(*each) for each in zip(files, answers, strict=True)]
    return _answered(
        UploadFaceMatchmakersAnswer(file_upload_results=results, transaction_id=transaction)
    )


async def find_face_upload_metadata_by_transaction(
    deps: Deps, caller: ApiKey, message: FindFaceUploadMetadataByTransactionIn
) -> FaceUploadMetadataAnswer:
    """What became of the photos of a transaction, for a week; *success* is null while one waits."""
    transaction = as_kept(message.transaction_id or "", "transactionId")
    found = await deps.inbox.uploads.of_transaction(caller.org, transaction)
    return FaceUploadMetadataAnswer(
        face_upload_metadata=[FaceUploadMetadata.of(it) for it in found]
    )


async def validate_face_matchmaker_image(
    deps: Deps, _caller: ApiKey, request: web.Request
) -> web.Response:
    """Whether a photo could be enrolled, and if not, why; nothing is kept of it."""
    async with deps.looker.turns:
        sent = await first_file(request)
        why = None if sent.body is not None else too_large(sent.name)
        if sent.body is not None:
            (found,) = await deps.looker.look_at([Photo(FaceId(new_id()), sent.name, sent.body)])
            why = str(found) if isinstance(found, UnusablePhoto) else None
    return _answered(ValidateFaceMatchmakerImageAnswer(error_message=why, valid=why is None))


async def process_face_event_search_image(
    deps: Deps, _caller: ApiKey, request: web.Request
) -> web.Response:
    """The largest face of a photo as an embedding, to search by; nothing is kept of it."""
    async with deps.looker.turns:
        sent = await first_file(request)
        if sent.body is None:
            raise NotAPicture(too_large(sent.name))
        seen = await deps.looker.face_in(sent.name, sent.body)
    if seen is None:
        return _answered(ProcessFaceEventSearchImageAnswer(embedding=None, image_base64=None))
    found, thumbnail = seen
    return _answered(
        ProcessFaceEventSearchImageAnswer(
            embedding=Embedding.of(found.template, deps.looker.engine.model, found.quality.overall),
            image_base64=base64.b64encode(thumbnail).decode(),
        )
    )


def _result(file: Sent, answer: Upload | str) -> FileUploadResult:
    why = None if isinstance(answer, Upload) else answer
    return FileUploadResult(file_name=file.name, message=why, success=why is None)


def _answered(message: Message) -> web.Response:
    return web.Response(
        text=message.model_dump_json(by_alias=True), content_type="application/json"
    )


def _taking_files(
    service: str,
    name: str,
    answer: Answer,
    gives: type[Message],
    action: Action,
    query: type[UploadQuery] | None = None,
) -> Route:
    return Route(
        *("POST", f"/api/faceRecognition/{service}/{name}", answer, Role.OPERATOR, action),
        about=getdoc(answer) or "",
        takes=Files,
        query=query,
        gives=gives,
    )


ROUTES = [
    _taking_files(
        "matchmaker",
        "uploadFaceMatchmakers",
        upload_face_matchmakers,
        UploadFaceMatchmakersAnswer,
        Action.FACE_MATCHMAKER_UPLOADED,
        UploadQuery,
    ),
    operation(
        "/api/faceRecognition/matchmaker/findFaceUploadMetadataByTransaction",
        FindFaceUploadMetadataByTransactionIn,
        find_face_upload_metadata_by_transaction,
        action=Action.FACE_UPLOAD_VIEWED,
    ),
    _taking_files(
        "matchmaker",
        "validateFaceMatchmakerImage",
        validate_face_matchmaker_image,
        ValidateFaceMatchmakerImageAnswer,
        Action.FACE_IMAGE_PROCESSED,
    ),
    _taking_files(
        "faceEvent",
        "processFaceEventSearchImage",
        process_face_event_search_image,
        ProcessFaceEventSearchImageAnswer,
        Action.FACE_IMAGE_PROCESSED,
    ),
]

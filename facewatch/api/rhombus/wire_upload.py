"""The messages about photos that are sent."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.rhombus.wire import OMITTED, Message, Milliseconds, Ruuid, milliseconds
from facewatch.domain.ids import to_prefixed, to_ruuid
from facewatch.domain.uploads import Upload, UploadState

_SUCCESS = {UploadState.ENROLLED: True, UploadState.REFUSED: False, UploadState.WAITING: None}


def _given(value: object) -> object:
    """Clients spell a query's null in these ways."""
    return None if value in ("", "null") else value


class UploadQuery(BaseModel):
    """What the query of an upload says."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    transaction: str | None = None
    create_person_if_not_found: Annotated[bool | None, BeforeValidator(_given)] = None


class FileUploadResult(Message):
    """Whether one file is kept; *message* says why it is not."""

    model_config = ConfigDict(title="Facerecognition_matchmaker_FileUploadResult")

    file_name: str
    message: str | None
    success: bool


class UploadFaceMatchmakersAnswer(Message):
    file_upload_results: list[FileUploadResult]
    transaction_id: str


class FindFaceUploadMetadataByTransactionIn(Message):
    transaction_id: str | None = None


class FaceUploadMetadata(Message):
    """What became of one photo.

    Attributes:
        success: Null while it waits.
        warning_msg: What somebody should look at; left out where there is nothing.
    """

    created_at_millis: Milliseconds
    error_msg: str | None
    face_id: str | None
    org_uuid: Ruuid
    orig_s3_key: str | None
    person_uuid: Ruuid | None
    success: bool | None
    transaction_id: str
    warning_msg: Annotated[str | None, OMITTED] = None

    @classmethod
    def of(cls, upload: Upload) -> "FaceUploadMetadata":
        enrolled = upload.state is UploadState.ENROLLED
        return cls(
            created_at_millis=milliseconds(upload.created_at),
            error_msg=upload.why or None,
            face_id=to_prefixed("face", upload.face) if enrolled else None,
            org_uuid=to_ruuid(upload.org),
            orig_s3_key=upload.key or None,
            person_uuid=to_ruuid(upload.person) if upload.person else None,
            success=_SUCCESS[upload.state],
            transaction_id=upload.transaction,
            warning_msg=upload.warning or None,
        )


class FaceUploadMetadataAnswer(Message):
    face_upload_metadata: list[FaceUploadMetadata]


class ValidateFaceMatchmakerImageAnswer(Message):
    error_message: str | None
    valid: bool


class ProcessFaceEventSearchImageAnswer(Message):
    """The largest face of a photo; both null where there is none.

    Attributes:
        image_base64: JPEG, cut out of the photo.
    """

    embedding: Embedding | None
    image_base64: str | None

"""How the Rhombus family is described to programs: as Rhombus does, and with its errors."""

from typing import Literal

from pydantic import ConfigDict, Field

from facewatch.api.family import API_KEY, Refusal, Route, Side, Style
from facewatch.api.rhombus.wire import Message


class FailureOut(Message):
    """The request was understood, and cannot be done."""

    model_config = ConfigDict(title="BaseApiResponse")

    error: Literal[True]
    error_msg: str = Field(examples=["there is no face event with this eventUuid; check the id"])


class UnauthenticatedOut(Message):
    """No key was shown."""

    model_config = ConfigDict(title="AuthenticationFailed")

    authentication_failed: Literal[True]


class ForbiddenOut(Message):
    """The key may not do this."""

    model_config = ConfigDict(title="AccessDenied")

    status: Literal[403]
    error: Literal["Forbidden"]
    timestamp: int = Field(json_schema_extra={"format": "int64"})
    msg: Literal["Access Denied"]


class RefusedOut(Message):
    """Why a request was not even tried."""

    model_config = ConfigDict(title="Refused")

    error: str = Field(examples=["Bad Request"])
    msg: str = Field(examples=["eventUuid: Input should be a valid string"])


REFUSALS = (
    Refusal(400, "The request is not what this document says.", RefusedOut),
    Refusal(401, "No key, or no scheme.", UnauthenticatedOut),
    Refusal(403, "The key is unknown, expired, revoked, or its role too small.", ForbiddenOut),
    Refusal(413, "The body is too large.", RefusedOut),
    Refusal(429, "The org's requests come too fast.", "text/plain"),
    Refusal(503, "A store is down.", RefusedOut),
)
SCHEME = {
    "name": "x-auth-scheme",
    "in": "header",
    "required": True,
    "description": "How the key is meant; all four mean the same here.",
    "example": "api-token",
    "schema": {
        "type": "string",
        "default": "api-token",
        "enum": ["api-token", "api", "partner-api-token", "partner-api"],
    },
}


def _tag(route: Route) -> str:
    """``faceEvent`` -> ``Face Recognition Event Webservice``."""
    service = route.path.split("/")[3].removeprefix("face")
    return f"Face Recognition {service[:1].upper()}{service[1:]} Webservice"


def _title(route: Route, side: Side) -> str:
    """``Facerecognition_faceevent_GetFaceEventWSRequest``."""
    service, name = route.path.split("/")[3:5]
    return f"Facerecognition_{service.lower()}_{name[:1].upper()}{name[1:]}WS{side}"


STYLE = Style(
    _tag, _title, {"ApiKeyAuth": API_KEY}, REFUSALS, parameters=[SCHEME], failure=FailureOut
)

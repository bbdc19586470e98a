"""How the Gumnut family is described to programs."""

from facewatch.api.family import API_KEY, Refusal, Route, Side, Style
from facewatch.api.gumnut.wire import Shape


class FailureOut(Shape):
    """Why not, in words."""

    detail: str


class WrongOut(Shape):
    """What is wrong with a field: *loc* leads to it."""

    loc: list[str | int]
    msg: str
    type: str


class UnprocessableOut(Shape):
    """What is wrong with the request, and where."""

    detail: list[WrongOut]


_SAID = {
    400: "Nothing is looked for.",
    401: "No key was shown, or it is unknown, expired or revoked.",
    403: "The key's role is too small.",
    404: "There is no such thing, or it is another library's.",
    409: "There is one already.",
    413: "The body is too large.",
    429: "The org's requests come too fast.",
    503: "A store is down.",
}
_SECURITY = {
    "ApiKeyAuth": API_KEY,
    "BearerAuth": {"type": "http", "scheme": "bearer", "description": "The same key."},
}


def _tag(route: Route) -> str:
    """``/api/people/{person_id}`` -> ``Gumnut people``."""
    return f"Gumnut {route.path.split('/')[2]}"


def _title(route: Route, side: Side) -> None:
    return None


STYLE = Style(
    _tag,
    _title,
    _SECURITY,
    [
        *(Refusal(status, when, FailureOut) for status, when in _SAID.items()),
        Refusal(422, "The request is not what this document says.", UnprocessableOut),
    ],
)

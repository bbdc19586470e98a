"""How the house family is described to programs."""

from facewatch.api.family import API_KEY, Refusal, Route, Side, Style
from facewatch.api.house.wire import Shape


class Problem(Shape):
    """What went wrong, as RFC 9457 writes it."""

    title: str
    status: int
    detail: str


_SAID = {
    400: "The request is not what this document says.",
    401: "No key was shown.",
    403: "The key is unknown, expired, revoked, or its role too small.",
    404: "There is no such thing, or it is another org's.",
    409: "There is one already, or it changed meanwhile.",
    413: "The body is too large.",
    422: "It was understood, and cannot be done.",
    429: "The org's requests come too fast.",
    503: "A store is down.",
}
_SECURITY = {
    "ApiKeyAuth": API_KEY,
    "BearerAuth": {"type": "http", "scheme": "bearer", "description": "The same key."},
}


def _tag(route: Route) -> str:
    """``/api/v1/cameras/{camera}`` -> ``Cameras``."""
    return route.path.split("/")[3].capitalize()


def _title(route: Route, side: Side) -> None:
    return None


STYLE = Style(
    _tag,
    _title,
    _SECURITY,
    [Refusal(status, when, Problem, "application/problem+json") for status, when in _SAID.items()],
)

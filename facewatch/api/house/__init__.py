"""What neither contract has: /api/v1, in plain REST with snake_case and RFC 9457 problems."""

from facewatch.api.family import Family
from facewatch.api.house import (
    audit,
    cameras,
    corrections,
    events,
    keys,
    locations,
    org,
    people,
    settings,
    suggestions,
    whatif,
)
from facewatch.api.house.resource import credential, failure
from facewatch.api.house.style import STYLE

FAMILY = Family(
    name="house",
    prefix="/api/v1/",
    routes=[
        *org.ROUTES,
        *cameras.ROUTES,
        *locations.ROUTES,
        *keys.ROUTES,
        *settings.ROUTES,
        *people.ROUTES,
        *suggestions.ROUTES,
        *whatif.ROUTES,
        *events.ROUTES,
        *corrections.ROUTES,
        *audit.ROUTES,
    ],
    credential=credential,
    failure=failure,
    style=STYLE,
)

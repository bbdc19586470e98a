"""The API's description, and a page to try it: Swagger UI, whole from this service."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from swagger_ui_bundle import swagger_ui_path

from facewatch.api.family import Family, OpenRoute
from facewatch.api.openapi import document

DESCRIPTION = web.AppKey("description", bytes)

_UI = Path(swagger_ui_path)
_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>facewatch API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = """"use strict";
SwaggerUIBundle({
  url: "openapi/public.json",
  dom_id: "#page",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_NOTHING_FROM_ELSEWHERE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def description(families: Sequence[Family], open_routes: Sequence[OpenRoute]) -> bytes:
    """The document of *families* and *open_routes*, as it is answered."""
    return json.dumps(document(families, open_routes), separators=(",", ":")).encode()


async def get_description(request: web.Request) -> web.Response:
    """This document."""
    body = request.app[DESCRIPTION]
    tag = hashlib.sha256(body).hexdigest()[:32]
    response = web.Response(headers={"Cache-Control": "no-cache"})
    response.etag = tag
    if any(theirs.value in (tag, "*") for theirs in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type = "application/json"
    response.body = body
    return response


async def page(request: web.Request) -> web.Response:
    return web.Response(text=_HTML, content_type="text/html", headers=_NOTHING_FROM_ELSEWHERE)


async def start(request: web.Request) -> web.Response:
    return web.Response(
        text=_START, content_type="text/javascript", headers=_NOTHING_FROM_ELSEWHERE
    )


async def _file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(_UI / Path(request.path).name, headers=_NOTHING_FROM_ELSEWHERE)


ROUTES = [
    OpenRoute(
        *("/api/openapi/public.json", get_description, "get_description", "This document."),
        gives="application/json",
    )
]
PAGE = [
    web.get("/api/docs", page),
    web.get("/api/docs/start.js", start),
    *(
        web.get(f"/api/docs/{name}", _file)
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
    ),
]

"""What an OpenAPI document says of one answer."""

import json
from typing import Any

import aiohttp
from openapi_schema_validator import OAS31Validator


def follows(
    document: dict[str, Any], path: str, answer: aiohttp.ClientResponse, body: bytes
) -> str:
    """*answer* of *path* is one that *document* describes; tells the operation.

    Raises:
        AssertionError: status, headers or media type are not described.
        ValidationError: the body does not fit its schema.
    """
    operation = document["paths"][path][answer.method.lower()]
    name: str = operation["operationId"]
    described = operation["responses"].get(str(answer.status))
    assert described, f"{name}: {answer.status} is not described"
    for header, ref in described.get("headers", {}).items():
        told = document["components"]["headers"][ref["$ref"].rpartition("/")[2]]
        value: Any = answer.headers[header]
        if told["schema"]["type"] == "integer":
            value = int(value)
        OAS31Validator(told["schema"]).validate(value)
    if "content" not in described:
        assert body == b"", name
        return name
    content = described["content"].get(answer.content_type)
    content = content or described["content"].get(answer.content_type.split("/")[0] + "/*")
    assert content, f"{name}: {answer.content_type} is not described"
    if answer.content_type.endswith("json"):
        schema = {**content["schema"], "components": document["components"]}
        OAS31Validator(schema).validate(json.loads(body))
    return name

"""Searches by words through Gumnut's SDK; runs in a venv of that SDK.

Takes one line of JSON: `url`, `key`, and one list of `calls`. Prints what each of them found: ids
and distances, or the name of the refusal and its body.
"""

import json
import sys
from typing import Any

from gumnut import APIStatusError, Gumnut

there: dict[str, Any] = json.loads(sys.stdin.readline())
client = Gumnut(
    base_url=there["url"],
    api_key=there["key"],
    max_retries=0,
    _strict_response_validation=True,
)


def found(call: dict[str, Any]) -> Any:
    try:
        page = client.search.search(**call)
    except APIStatusError as refusal:
        return [type(refusal).__name__, refusal.body]
    return [[it.asset.id, it.distance] for it in page.data]


print(json.dumps([found(call) for call in there["calls"]]))

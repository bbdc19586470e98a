"""Event records as text that any later version of facewatch can read.

JSON by field names: a field that is added with a default keeps old records readable, one that is
removed is passed over. Anything else raises the spool's format.
"""

import base64
import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import numpy as np

from facewatch.domain.events import EventRecord


def packed(record: EventRecord) -> str:
    """*record*, to the last bit."""
    return json.dumps(plain(record), ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str) -> EventRecord:
    """The reverse of `packed`."""
    record = _reader(EventRecord)(json.loads(text))
    assert isinstance(record, EventRecord)
    return record


def plain(value: Any) -> Any:
    """*value* in words of JSON."""
    kind: type = type(value)
    return _writer(kind)(value)


@cache
def _writer(kind: type) -> Callable[[Any], Any]:
    """What turns a *kind* into plain JSON."""
    if is_dataclass(kind):
        names = tuple(field.name for field in fields(kind))
        return lambda value: {name: plain(getattr(value, name)) for name in names}
    writers: dict[type, Callable[[Any], Any]] = {
        np.ndarray: _plain_array,
        np.generic: lambda value: value.item(),
        Enum: lambda value: value.value,
        UUID: str,
        datetime: datetime.isoformat,
        bytes: lambda value: base64.b64encode(value).decode(),
        tuple: lambda value: [plain(item) for item in value],
    }
    known = (writer for base, writer in writers.items() if issubclass(kind, base))
    return next(known, lambda value: value)


def _plain_array(value: Any) -> Any:
    array = np.ascontiguousarray(value)
    return [array.dtype.str, array.shape, base64.b64encode(array.tobytes()).decode()]


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What turns plain JSON into a *kind*."""
    kind = getattr(kind, "__supertype__", kind)  # of a NewType
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (some,) = [a for a in arguments if a is not type(None)]
        read = _reader(some)
        return lambda plain: None if plain is None else read(plain)
    if origin is tuple:
        item = _reader(arguments[0])
        if arguments[1] is not Ellipsis:
            raise TypeError(f"only tuples of any length are kept, not {kind}")
        return lambda plain: tuple(map(item, plain))
    if origin is np.ndarray:
        return _array
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    known: dict[Any, Callable[[Any], Any]] = {
        datetime: datetime.fromisoformat,
        bytes: base64.b64decode,
        UUID: UUID,
        float: float,
    }
    reader: Callable[[Any], Any] = known.get(kind, kind)
    return reader


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}

    def read(plain: dict[str, Any]) -> Any:
        return kind(
            **{n: read(plain[n]) for n, read in readers.items() if n in plain or n in needed}
        )

    return read


def _array(plain: tuple[str, list[int], str]) -> Any:
    dtype, shape, body = plain
    return np.frombuffer(base64.b64decode(body), np.dtype(dtype)).reshape(shape).copy()

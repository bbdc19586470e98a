"""What a setting is, to whoever only shows it."""

from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = bool | int | float | str | list[str] | None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting in force; a secret has no value here, only whether *is_set*."""

    key: str
    value: Value
    is_set: bool

"""Which embedder `facewatch models switch` put in force: `<home>/embedder.json`.

A setting goes before it: whoever writes `models.embedder` down has settled it there.
"""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from facewatch.errors import HomeUnusable, InvalidSettings
from facewatch.settings import Models, Settings


class Switched(BaseModel):
    """
    Attributes:
        since: Visits from then on may lack its templates; None where nobody has to look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedder: str
    since: datetime | None = None


def in_force(settings: Settings) -> Switched | None:
    """What was switched to in this home, if anything was.

    Raises:
        InvalidSettings: the file cannot be read.
    """
    file = _place(settings)
    try:
        return Switched.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # a home that cannot be entered is for those to say who need it
    except OSError as error:
        raise InvalidSettings(f"{file} cannot be read: {error.strerror}", "check it") from None
    except ValidationError as error:
        raise InvalidSettings(
            f"{file}: {error.errors()[0]['msg']}", "remove it, then: facewatch models switch NAME"
        ) from None


def put_in_force(settings: Settings, switched: Switched) -> None:
    """For whatever starts from now on.

    Raises:
        HomeUnusable: the home cannot be written.
    """
    file = _place(settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(switched.model_dump_json(indent=2) + "\n")
        fresh.replace(file)
    except OSError as error:
        raise HomeUnusable(
            f"{file} cannot be written: {error.strerror}", "choose another home, or its owner"
        ) from None


def is_settled(settings: Settings) -> bool:
    """Whether a settings file, a variable or an option names the embedder."""
    return "embedder" in settings.models.model_fields_set


def applied(settings: Settings) -> Settings:
    """*settings* with the embedder that was switched to, unless they name one."""
    switched = None if is_settled(settings) else in_force(settings)
    if switched is None:
        return settings
    models = Models.model_construct(
        settings.models.model_fields_set,
        **{**dict(settings.models), "embedder": switched.embedder},
    )
    return settings.model_copy(update={"models": models})


def _place(settings: Settings) -> Path:
    return settings.home_path / "embedder.json"

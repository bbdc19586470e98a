"""The mapping from cosine to confidence that this home has measured for itself, if it has.

One file a model, `<home>/calibration/<model>.json`, and `<model>.grey.json` for faces without
colour. Removing one puts the model's own in force; for faces without colour no model has one.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facewatch.domain.calibration import Calibration
from facewatch.errors import HomeUnusable, InvalidSettings
from facewatch.settings import Settings
from facewatch.vision.cards import ModelCard

_Cosine = Annotated[float, Field(ge=-1, le=1)]
_LogRate = Annotated[float, Field(ge=-20, le=0)]


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, Field(min_length=1, max_length=100)]
    model_sha256: str
    points: Annotated[tuple[tuple[_Cosine, _LogRate], ...], Field(min_length=2, max_length=100)]
    made_at: datetime
    made_from: str

    @model_validator(mode="after")
    def _falling(self) -> "_Measured":
        for (cosine, rate), (next_cosine, next_rate) in zip(
            self.points, self.points[1:], strict=False
        ):
            if cosine >= next_cosine or rate <= next_rate:
                raise ValueError("points: cosines must rise and rates fall from one to the next")
        return self


def place(settings: Settings, card: ModelCard, *, grey: bool = False) -> Path:
    """Where the mapping of this model lies, if there is one."""
    return settings.home_path / "calibration" / f"{card.name}{'.grey' if grey else ''}.json"


def in_force(settings: Settings, card: ModelCard, *, grey: bool = False) -> Calibration | None:
    """What was measured here for the model of *card*; None where nothing was.

    *grey*: for faces without colour.

    Raises:
        InvalidSettings: the file is of another format, or for another file of the model.
    """
    file = place(settings, card, grey=grey)
    remedy = f"calibrate again, or remove {file}"
    try:
        measured = _Measured.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidSettings(f"{file} cannot be read: {error.strerror}", remedy) from None
    except ValidationError as error:
        raise InvalidSettings(f"{file}: {error.errors()[0]['msg']}", remedy) from None
    if measured.model_sha256 != card.sha256:
        raise InvalidSettings(f"{file} was measured with another file of {card.name}", remedy)
    return Calibration(measured.version, measured.points)


def shown(settings: Settings, card: ModelCard) -> tuple[str, str | None]:
    """Versions of what is in force for the embedder of *card*: with colour, and without.

    Raises:
        InvalidSettings: a file is of another format, or for another file of the model.
    """
    colour = in_force(settings, card) or card.calibration
    grey = in_force(settings, card, grey=True)
    assert colour is not None, "every embedder's card has one"
    return colour.version, grey.version if grey else None


def put_in_force(
    settings: Settings,
    card: ModelCard,
    calibration: Calibration,
    made_from: str,
    *,
    grey: bool = False,
) -> Path:
    """Keep *calibration* for the next start; decisions that were made keep theirs.

    *grey*: for faces without colour.

    Raises:
        HomeUnusable: the home cannot be written.
    """
    measured = _Measured(
        version=calibration.version,
        model_sha256=card.sha256,
        points=calibration.points,
        made_at=datetime.now(UTC),
        made_from=made_from,
    )
    file = place(settings, card, grey=grey)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(measured.model_dump(mode="json"), indent=2) + "\n")
        fresh.replace(file)
    except OSError as error:
        raise HomeUnusable(
            f"{file} cannot be written: {error.strerror}", "choose another home, or its owner"
        ) from None
    return file

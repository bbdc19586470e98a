"""Settings: one TOML file, then `FACEWATCH_*`, into frozen models; anything unknown is an error.

`FACEWATCH_HTTP_PORT` is `port` in section `http`; `FACEWATCH_HOME` and `FACEWATCH_DATABASE_URL`
are keys outside any section. `config/facewatch.toml` spells out every key.
"""

import contextlib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from facewatch.domain.settings import Setting
from facewatch.domain.urls import redact
from facewatch.errors import InvalidSettings

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Http(_Section):
    """Where the API listens, and how much it lets in."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8280
    requests_per_s: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 200.0
    burst: Annotated[int, Field(ge=1, le=10_000_000)] = 2_000


class Objects(_Section):
    """Where pictures are kept."""

    url: str = ""
    endpoint: str = ""
    region: str = "us-east-1"


class Models(_Section):
    """Which models, where they lie and what runs them."""

    directory: str = ""
    detector: str = "yunet"
    embedder: str = "sface"
    search: str = ""
    providers: tuple[str, ...] = ()
    threads: Annotated[int, Field(ge=0, le=256)] = 0
    detector_precision: Literal["fp32", "fp16", "int8"] = "fp32"
    embedder_precision: Literal["fp32", "fp16", "int8"] = "fp32"
    batch: Annotated[int, Field(ge=0, le=256)] = 0


class Recognition(_Section):
    """How faces are found and named."""

    looks_per_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    long_side_px: Annotated[int, Field(ge=64, le=4096)] = 640
    detector_score: Share = 0.7
    threshold: Share = 0.7
    grey_threshold: Share = 0.8
    margin: Share = 0.05
    least_quality: Share = 0.3
    least_face: Share = 0.82
    visit_gap_s: Seconds = 3.0
    idle_look_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    still_after_s: Annotated[float, Field(ge=0, le=86_400)] = 180.0


class Cameras(_Section):
    """How long to wait for cameras, and what decodes what they send."""

    open_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 5.0
    silent_s: Seconds = 15.0
    retry_least_s: Seconds = 1.0
    retry_most_s: Seconds = 30.0
    refused_s: Seconds = 60.0
    decode_on: Literal["cpu", "cuda"] = "cpu"


class Spool(_Section):
    """What may wait on the local disk while the stores are down."""

    most_mib: Annotated[int, Field(ge=16)] = 4096


class Audit(_Section):
    """Who changed what, and who looked at whom."""

    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 365


class Log(_Section):
    """What is said on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Section):
    """Every setting, with its default."""

    home: str = "~/.facewatch"
    database_url: SecretStr = SecretStr("")
    http: Http = Http()
    objects: Objects = Objects()
    models: Models = Models()
    recognition: Recognition = Recognition()
    cameras: Cameras = Cameras()
    spool: Spool = Spool()
    audit: Audit = Audit()
    log: Log = Log()

    @property
    def home_path(self) -> Path:
        return _expanded(self.home).resolve()

    @property
    def model_directory(self) -> Path:
        given = self.models.directory
        return _expanded(given).resolve() if given else self.home_path / "models"

    def shown(self) -> list[Setting]:
        """Every setting in force, in the order of `config/facewatch.toml`, without secrets."""
        return list(_shown(self, ""))


def _shown(section: BaseModel, prefix: str) -> Iterator[Setting]:
    for name in type(section).model_fields:
        key, value = prefix + name, getattr(section, name)
        match value:
            case BaseModel():
                yield from _shown(value, f"{key}.")
            case SecretStr():
                yield Setting(key, None, bool(value.get_secret_value()))
            case tuple():
                yield Setting(key, list(value), bool(value))
            case str():
                yield Setting(key, redact(value), bool(value))
            case _:
                yield Setting(key, value, True)


def _expanded(path: str) -> Path:
    """*path* with its ~ written out."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InvalidSettings(f"{path}: {error}", "name the directory without ~") from None


def load(
    file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Settings:
    """Defaults, then *file*, then *environment*, then *overrides* (dotted keys).

    Raises:
        InvalidSettings: names the key, its value and what is allowed.
    """
    tree: dict[str, Any] = {}
    if file is not None:
        tree = _read(file)
    for name, value in environment.items():
        if name.startswith("FACEWATCH_") and (path := _path_of(name)):
            _put(tree, path, _listed(path, value))
    for dotted, value in overrides.items():
        _put(tree, dotted.split("."), value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _explained(error) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InvalidSettings(
            f"{file} cannot be read: {error.strerror}", "name another file with --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} is not TOML: {error}", "correct it there") from None


def _path_of(name: str) -> list[str]:
    """The key that an environment variable sets; [] for the test suite's own variables."""
    key = name.removeprefix("FACEWATCH_").lower()
    if key.startswith("test_"):
        return []
    if key in Settings.model_fields:
        return [key]
    section, _, rest = key.partition("_")
    if section not in Settings.model_fields:
        raise InvalidSettings(
            f"{name}: there is no such setting", "see config/facewatch.toml for every key"
        )
    return [section, rest]


def _listed(path: list[str], value: str) -> Any:
    """An environment variable holds a list as TOML does, or as words between commas."""
    if path == ["models", "providers"] and not value.startswith("["):
        return [word.strip() for word in value.split(",") if word.strip()]
    if path == ["models", "providers"]:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(f"list = {value}")["list"]
    return value


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value


def _explained(error: ValidationError) -> InvalidSettings:
    """One line a wrong key; secrets are not repeated."""
    lines = []
    for each in error.errors():
        key = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            lines.append(f"{key}: there is no such setting")
        else:
            value = "***" if "url" in key else redact(repr(each["input"]))
            lines.append(f"{key} = {value}: {each['msg'].lower()}")
    return InvalidSettings("; ".join(lines), "see config/facewatch.toml for what is allowed")


def load_for_process(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """`load` with this process' environment; the file is --config or <home>/facewatch.toml."""
    home = overrides.get("home") or os.environ.get("FACEWATCH_HOME") or Settings().home
    default = _expanded(str(home)) / "facewatch.toml"
    # not default.is_file(): a home that cannot be entered is for those to say who need it
    file = config or (default if os.path.isfile(default) else None)
    return load(file, os.environ, overrides)

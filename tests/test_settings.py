"""Settings: every key is known, every wrong one is named."""

import tomllib
from pathlib import Path

import pytest

from facewatch.errors import InvalidSettings
from facewatch.settings import Settings, load

_SPELLED_OUT = Path(__file__).parent.parent / "config" / "facewatch.toml"


def test_the_spelled_out_file_holds_every_key_with_its_default() -> None:
    written = tomllib.loads(_SPELLED_OUT.read_text())
    defaults = Settings().model_dump(mode="json")

    assert {**written, "database_url": ""} == {**defaults, "database_url": ""}


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "facewatch.toml"
    file.write_text("[http]\nport = 1\nhost = 'a'\n")

    for providers in ("openvino, cpu", '["openvino", "cpu"]'):
        environment = {"FACEWATCH_HTTP_PORT": "2", "FACEWATCH_MODELS_PROVIDERS": providers}
        settings = load(file, environment, {})

        assert (settings.http.host, settings.http.port) == ("a", 2)
        assert settings.models.providers == ("openvino", "cpu")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[http]\nport = 99999", ["http.port", "99999", "65535"]),
        ("[http]\nprot = 80", ["http.prot", "no such setting"]),
        ("[recognition]\nthreshold = 'high'", ["recognition.threshold", "high", "number"]),
        ("[log]\nlevel = 'loud'", ["log.level", "loud", "'debug'"]),
        ("what", ["not TOML"]),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, named: list[str]) -> None:
    file = tmp_path / "facewatch.toml"
    file.write_text(text)

    with pytest.raises(InvalidSettings) as caught:
        load(file, {}, {})

    assert all(word in str(caught.value) for word in named)


def test_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(InvalidSettings, match="FACEWATCH_HTP_PORT"):
        load(None, {"FACEWATCH_HTP_PORT": "1"}, {})


def test_a_database_password_is_not_repeated_in_an_error() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(None, {}, {"database_url": ["postgresql://a:s3cret@b/c"]})

    assert "s3cret" not in str(caught.value)

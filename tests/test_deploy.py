"""What stands in deploy/ names settings and commands that exist."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from facewatch.cli import facewatch
from facewatch.settings import Settings, load

DEPLOY = Path(__file__).parent.parent / "deploy"


@pytest.mark.parametrize("file", ["facewatch.env.example", "compose.yaml", "Dockerfile"])
def test_every_variable_is_a_setting(file: str) -> None:
    text = (DEPLOY / file).read_text()
    variables = dict(re.findall(r"\b(FACEWATCH_[A-Z_]+)(?:=|: )(\S+)", text))
    assert variables

    load(None, variables, {})


def test_the_documented_settings_are_the_defaults_so_that_the_unit_starts_with_them() -> None:
    assert load(DEPLOY.parent / "config" / "facewatch.toml", {}, {}) == Settings()


@pytest.mark.parametrize("file", ["facewatch.service", "compose.yaml"])
def test_every_command_exists(file: str) -> None:
    text = (DEPLOY / file).read_text()
    commands = re.findall(r"(?:bin/facewatch|--rm facewatch) ([a-z ]+)", text)
    assert commands

    for command in commands:
        words = command.split()
        asked = CliRunner().invoke(
            facewatch, [*words[: 1 + (words[0] in ("models", "key"))], "--help"]
        )
        assert asked.exit_code == 0, (command, asked.output)

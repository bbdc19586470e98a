"""The floors of the house, and who may read the environment."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READERS_OF_THE_ENVIRONMENT = ("facewatch/cli/", "facewatch/settings.py", "facewatch/__main__.py")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_module_imports_only_from_floors_below_its_own() -> None:
    linted = lint_imports(ROOT)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def readings_of_the_environment(source: str) -> Iterator[int]:
    """Lines that look a variable up by its name; handing a child the whole of it is no reading.

    >>> list(readings_of_the_environment("import os\\nos.environ['A']\\nos.getenv('A')"))
    [2, 3]
    >>> list(readings_of_the_environment("run(env={**os.environ, 'A': 'b'})"))
    []
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case (
                ast.Attribute(
                    value=ast.Attribute(attr="environ"), attr="get" | "pop" | "setdefault"
                )
                | ast.Subscript(value=ast.Attribute(attr="environ"))
                | ast.Attribute(attr="getenv")
                | ast.ImportFrom(module="os", names=[*_, ast.alias(name="environ" | "getenv")])
            ):
                yield node.lineno


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "facewatch").rglob("*.py"))],
)
def test_only_commands_and_settings_read_the_environment(path: str) -> None:
    if path.startswith(READERS_OF_THE_ENVIRONMENT):
        return
    assert not list(readings_of_the_environment((ROOT / path).read_text()))

"""One function a command; what they do lives below."""

import sys
from importlib import import_module
from typing import NoReturn

import click

from facewatch import __version__
from facewatch.errors import FacewatchError

_COMMANDS = (
    "demo",
    "serve",
    "replay",
    "bench",
    "eval",
    "calibrate",
    "whatif",
    "event",
    "explain",
    "person",
    "gallery",
    "camera",
    "location",
    "key",
    "org",
    "audit",
    "models",
    "migrate",
    "doctor",
)


class _Commands(click.Group):
    """Imports a command when it is asked for: `doctor` has to run where others cannot load."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"facewatch.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facewatch")
def facewatch() -> None:
    """Camera face events: RTSP in, one durable event per visit out."""


def main() -> None:
    """Run a command; an error raised on purpose is two lines on stderr and exit status 1."""
    try:
        facewatch.main(standalone_mode=False)
    except BaseExceptionGroup as group:
        _explain(_root(group))
    except FacewatchError as error:
        _explain(error)
    except ImportError as error:
        _explain(FacewatchError(f"a package does not load: {error}", "run: facewatch doctor"))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _explain(error: FacewatchError) -> NoReturn:
    click.secho(f"facewatch: {error.what}", err=True, fg="red")
    if error.remedy:
        click.echo(f"  what to do: {error.remedy}", err=True)
    sys.exit(1)


def _root(group: BaseExceptionGroup[BaseException]) -> FacewatchError:
    """The error that brought a group of tasks down; a bug is not one, and is raised."""
    ours, bugs = group.split(FacewatchError)
    if ours is None or bugs is not None:
        raise group
    found: BaseException = ours
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, FacewatchError)
    return found

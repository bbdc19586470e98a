"""One function a command; what they do lives below."""

import sys
from typing import NoReturn

import click

from facewatch import __version__
from facewatch.cli import camera, demo, doctor, key, migrate, models, person, replay, serve
from facewatch.errors import FacewatchError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facewatch")
def facewatch() -> None:
    """Camera face events: RTSP in, one durable event per visit out."""


for command in (
    demo.demo,
    serve.serve,
    replay.replay,
    person.person,
    camera.camera,
    key.key,
    models.models,
    migrate.migrate,
    doctor.doctor,
):
    facewatch.add_command(command)


def main() -> None:
    """Run a command; an error raised on purpose is two lines on stderr and exit status 1."""
    try:
        facewatch.main(standalone_mode=False)
    except BaseExceptionGroup as group:
        _explain(_root(group))
    except FacewatchError as error:
        _explain(error)
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

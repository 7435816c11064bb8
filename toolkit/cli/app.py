"""The application: its groups, the global options, and the one error boundary."""

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from toolkit import __version__
from toolkit.cli import admin, bot, deploy, fleet, sandbox, system, verify
from toolkit.cli.context import Invocation
from toolkit.cli.output import error, note
from toolkit.errors import AS_OWNER, ExitCode, NoRoomError, ToolkitError
from toolkit.files import FULL, in_the_way

# What a shell tells of a program that SIGINT ended: 128 + 2.
INTERRUPTED = 130
# So much is shown of a name that is too long to be one.
_SHOWN = 60

app = typer.Typer(
    name="toolkit",
    help="Run fleets of chat bots under supervisord or systemd.",
    no_args_is_help=True,
    # rich doubles the time of every start; tracebacks are the error boundary's business.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
fleet.register(app)
deploy.register(app)
verify.register(app)
app.add_typer(admin.app, name="admin")
app.add_typer(bot.app, name="bot")
app.add_typer(system.app, name="system")
app.add_typer(sandbox.app, name="sandbox")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"toolkit {__version__}\n")
        raise typer.Exit


def _folder(text: str | Path) -> Path:
    """A folder that is there or can be made; an empty name is none, and not the current folder."""
    folder = Path(text)
    if not str(text) or in_the_way(folder.absolute()):
        raise typer.BadParameter(f"{str(text)!r} is no folder")
    return folder


@app.callback()
def options(
    context: typer.Context,
    fleet_file: Annotated[
        Path, typer.Option("-f", "--fleet", envvar="TOOLKIT_FLEET", help="The fleet file.")
    ] = Path("fleet.yaml"),
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            envvar="TOOLKIT_ROOT",
            help="Keep everything here, not in ~/.local/state.",
            parser=_folder,
            metavar="DIRECTORY",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run fleets of chat bots under supervisord or systemd."""
    del version
    context.obj = Invocation(fleet_file, root, debug)


def main() -> None:
    """Run the command line; every error ends here, as an exit code and words."""
    _open_streams()
    sys.exit(run(sys.argv[1:]))


def _open_streams() -> None:
    """Have the standard streams that the caller closed lead nowhere: files would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, mode, encoding="utf-8"))  # noqa: SIM115  it stays open


def run(arguments: list[str]) -> int:
    """One call of the command line.

    Returns:
        The exit code.
    """
    try:
        code = app(arguments, prog_name="toolkit", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.DONE
    except (KeyboardInterrupt, typer.Abort):
        note("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left, as `head` does: nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as fault:  # the boundary: whatever went wrong is told in words, and whole with --debug
        if "--debug" in arguments:
            raise
        if isinstance(fault, typer.TyperException) and fault.format_message().startswith("Usage: "):
            # Nothing was asked for: typer raises the help then.
            note(fault.format_message())
            return ExitCode.USAGE
        message, hint, code = _verdict(fault)
        error(message, hint)
        return code


def _verdict(fault: Exception) -> tuple[str, str, int]:
    """What to say of an error: what happened, what to do, and the exit code."""
    match fault:
        case ToolkitError():
            verdict = fault.message, fault.hint, int(fault.exit_code)
        case typer.TyperException():
            verdict = fault.format_message(), "`--help` shows what there is", int(ExitCode.USAGE)
        case PermissionError():
            verdict = f"{fault.filename or 'the system'}: {fault.strerror}", AS_OWNER, int(ExitCode.REFUSED)
        case OSError() if fault.errno in FULL:
            return _verdict(NoRoomError(fault.filename or "the system"))
        case OSError(errno=errno.ENAMETOOLONG):
            named = str(fault.filename or "")
            verdict = f"{named[:_SHOWN]}…: {fault.strerror}", "name another", int(ExitCode.USAGE)
        case OSError(errno=errno.EROFS, filename=str()):
            folder = shlex.quote(os.path.dirname(os.path.abspath(fault.filename)))
            hint = (
                f"`findmnt -T {folder}` tells what is mounted there for reading alone: mount it for writing"
            )
            verdict = f"{fault.filename}: {fault.strerror}", hint, int(ExitCode.FAILED)
        case OSError():
            verdict = f"{fault.filename or 'the system'}: {fault.strerror or fault}", "", int(ExitCode.FAILED)
        case _:
            hint = "run it again with --debug and report what it shows"
            verdict = f"unforeseen: {type(fault).__name__}: {fault}", hint, int(ExitCode.FAILED)
    return verdict

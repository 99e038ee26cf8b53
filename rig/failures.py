"""How a command's failure reaches people and programs: one clear line, the right code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import click

from rig.exit_codes import DEVICE, DONE, ENDED, USAGE, ConfigError, DeviceError, DxrigError


class OutputError(DeviceError):
    """An answer that could not be written, and where its facts are instead."""


class ReaderGone(Exception):  # noqa: N818 - nobody's error
    """The reader of our answer left, as in `dxrig devices | head -1`."""


def exit_code_of(run: Callable[[], object], *, arguments: Sequence[str]) -> int:
    """Run a command; whatever it raises is told, and becomes an exit code.

    An error that nobody foresaw is 3, not 1: a crash is no verdict about what was tested.
    """
    if sys.stderr is None:  # closed: what would be said there is lost
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:  # before anything is started for an answer that nobody gets
        return _unwritable("the output can't be written (stdout is closed)")
    try:
        return _code_of(run, arguments)
    except BrokenPipeError:
        return _reader_gone()
    except OSError as error:  # an error told as JSON goes to stdout, too
        return _unwritable(_why_unwritten(error))


def _code_of(run: Callable[[], object], arguments: Sequence[str]) -> int:
    as_json = "--json" in arguments
    try:
        with _signals_end_the_run():
            code = run()  # an int only where a command called ctx.exit
            sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except OutputError as error:
        return _unwritable(str(error))
    except DxrigError as error:
        return _tell(error.code, str(error), as_json=as_json, details=_details(error))
    except click.ClickException as error:
        return _tell_usage(error, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return _tell(ENDED, "ended by the operator", as_json=as_json)
    except (BrokenPipeError, ReaderGone):
        return _reader_gone()
    except Exception as error:
        if isinstance(error, OSError) and _in_output(error):
            return _unwritable(_why_unwritten(error))
        return _tell(DEVICE, _crash(error, arguments), as_json=as_json)


def _in_output(error: BaseException) -> bool:
    """Raised by writing an answer itself, by click's echo or our last flush."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    writers = (click.echo.__code__, _code_of.__code__)
    return trace is not None and trace.tb_frame.f_code in writers


def _why_unwritten(error: OSError) -> str:
    return f"the output can't be written ({(error.strerror or str(error)).lower()})"


def _unwritable(text: str) -> int:
    with contextlib.suppress(OSError):
        click.echo(f"dxrig: {text}", err=True)
    if sys.stdout is not None:
        _reader_gone()
    return DEVICE


def _tell(code: int, message: str, *, as_json: bool, details: dict[str, Any] | None = None) -> int:
    if as_json:
        error = {"code": code, "message": message, **(details or {})}
        click.echo(json.dumps({"schema": 1, "error": error}))
    else:
        prefix = "" if details else "dxrig: "  # file:line: at the start, for editors
        for line in message.splitlines():
            click.echo(prefix + line, err=True)
    return code


def _details(error: DxrigError) -> dict[str, Any]:
    return {"messages": error.messages} if isinstance(error, ConfigError) else {}


def _tell_usage(error: click.ClickException, *, as_json: bool) -> int:
    if as_json:
        return _tell(USAGE, error.format_message(), as_json=True)
    error.show()
    return USAGE


def _reader_gone() -> int:
    """Be quiet, also at the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ENDED


def _crash(error: Exception, arguments: Sequence[str]) -> str:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        where = f"; the traceback is in {_save_traceback(error, arguments)}"
    except (OSError, DxrigError) as trouble:
        where = f"; its traceback could not be saved ({str(trouble).splitlines()[0]})"
    return f"this is a bug in dxrig: {what}{where}"


def _save_traceback(error: Exception, arguments: Sequence[str]) -> str:
    import traceback
    from datetime import UTC, datetime

    from rig.state_dir import state_home, write_private
    from rig.version import version_line

    now = datetime.now(UTC)
    file = state_home() / "crashes" / f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.txt"
    command = f"dxrig {' '.join(arguments)}"
    write_private(
        file, f"{version_line()}\n{command}\n\n{''.join(traceback.format_exception(error))}"
    )
    return str(file)


@contextlib.contextmanager
def _signals_end_the_run() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind like Ctrl-C, so that everything held is let go."""

    def end(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    try:
        before = [(number, signal.signal(number, end)) for number in numbers]
    except ValueError:  # not in the main thread: signals are somebody else's
        before = []
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)

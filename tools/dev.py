"""From a fresh clone to a running dxrig: python3 tools/dev.py [--wheels DIR] COMMAND

  demo [ARGS...]         one exposure on the simulated mobile unit (ARGS go to `dxrig demo`)
  test [PYTEST ARGS...]  the tests; without arguments all of them, with branch coverage
  check                  format, lint, types, import contracts, what decide may not do, the lock
  gates [--whole]        the tests of the tests, after `test`: coverage, mutation, perturbation
  setup                  only make the environment

  --wheels DIR           install from the wheels in DIR and ask no network; DIR is made with
                         `python3 -m pip download --only-binary :all: -r requirements.lock -d DIR`

Makes .venv beside the project from requirements.lock (hashes, no host), anew when the lock, the
folder or the Python changes. Needs Python 3.11 or newer and nothing else.

Exit codes: those of the command; 2 for usage or a Python that can't, 3 when pip failed.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

if sys.version_info < (3, 11):  # noqa: UP036  older ones get one line, not a traceback
    sys.stderr.write("dxrig needs Python 3.11 or newer; this is %d.%d\n" % sys.version_info[:2])  # noqa: UP031
    raise SystemExit(2)
if os.name != "posix":
    sys.stderr.write("dxrig needs Linux or macOS: pseudo-terminals and Unix sockets\n")
    raise SystemExit(2)

import fcntl

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "dxrig-stamp"  # written last: a half-made .venv has none
PROGRESS_S = 5.0

COMMANDS = ("demo", "test", "check", "gates", "setup")
COVERAGE = ("--cov", "--cov-branch", "--cov-report=term:skip-covered")
# How the workers share: tests/side_by_side.py
SIDE_BY_SIDE = ("--numprocesses=2", "--dist=loadscope", "--no-loadscope-reorder")
REQUIREMENTS = ("--requirements", "--requirements-json=build/requirements.json")  # dxrig trace
CHECKS = (
    ("format", ("ruff", "format", "--check")),
    ("lint", ("ruff", "check")),
    ("types", ("mypy",)),
    ("imports", ("lint-imports",)),
    ("decide", ("python", "-m", "tools.lint_decide")),
)


def main(arguments: Sequence[str]) -> int:
    wheels, rest = take_wheels(arguments)
    if not rest or rest[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if rest else 2
    command, *extra = rest
    if command not in COMMANDS:
        stop(2, f"dev.py: no command {command!r}; there are {', '.join(COMMANDS)}")
    if extra and command in ("check", "setup"):
        stop(2, f"dev.py: {command} takes no arguments, got {' '.join(extra)!r}")
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second terminal waits and finds it done
        set_up(wheels)
    if command == "demo":
        become(BIN / "dxrig", "demo", *extra)
    if command == "test":
        os.chdir(ROOT)
        become(BIN / "python", "-m", "pytest", *(extra or SIDE_BY_SIDE + COVERAGE + REQUIREMENTS))
    if command == "gates":
        os.chdir(ROOT)
        become(BIN / "python", "-m", "tools.gates", *extra)
    return check() if command == "check" else 0


def take_wheels(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """`--wheels DIR` may stand anywhere; everything else goes on unread."""
    rest = list(arguments)
    for i, argument in enumerate(rest):
        if argument.startswith("--wheels="):
            del rest[i]
            return wheel_folder(argument.partition("=")[2]), rest
        if argument == "--wheels":
            if i + 1 == len(rest):
                stop(2, "dev.py: --wheels needs a folder")
            folder = rest[i + 1]
            del rest[i : i + 2]
            return wheel_folder(folder), rest
    return None, rest


def wheel_folder(name: str) -> Path:
    folder = Path(name).resolve()
    if not any(folder.glob("*.whl")):
        stop(2, f"dev.py: --wheels {name}: no .whl file there")
    return folder


def become(program: Path, *arguments: str) -> NoReturn:
    """Exit codes and signals are then the program's own."""
    os.execv(program, [str(program), *arguments])


def stop(code: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(code)


# --- the environment -------------------------------------------------------------------------


def set_up(wheels: Path | None) -> None:
    if is_current():
        return
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            stop(2, f"dev.py: this Python has no {module}; on Debian: apt install python3-venv")
    started_s = time.monotonic()
    say("making .venv")
    make_venv()
    source = ("--no-index", "--find-links", str(wheels)) if wheels else ()
    total = sum("==" in line for line in LOCK.read_text().splitlines())
    say(f"installing {total} packages from requirements.lock")
    hashed = ("--require-hashes", "--only-binary", ":all:", "-r", str(LOCK))
    pip(*source, *hashed, total=total, offline=bool(wheels))
    say("installing dxrig itself")
    pip("--no-deps", "--no-build-isolation", "-e", str(ROOT), total=1, offline=True)
    STAMP.write_text(stamp())
    say(f"ready after {time.monotonic() - started_s:.0f} s")


def is_current() -> bool:
    programs = (BIN / "python", BIN / "dxrig")  # a Python since removed leaves a dangling link
    made = STAMP.is_file() and STAMP.read_text() == stamp()
    return made and all(program.exists() for program in programs)


def stamp() -> str:
    """What .venv was made from. The folder counts: scripts in .venv/bin hold its full path."""
    made_from = (LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), os.fsencode(ROOT))
    digest = hashlib.sha256(b"\0".join(made_from)).hexdigest()
    return f"{sys.version_info[0]}.{sys.version_info[1]} {digest}\n"


def make_venv() -> None:
    if VENV.is_symlink():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    # Called from inside a .venv, the interpreter beneath it must make the new one.
    python = getattr(sys, "_base_executable", None) or sys.executable
    made = subprocess.run(
        [python, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        reason = (made.stdout + made.stderr).strip().splitlines()[-1:]
        stop(2, f"dev.py: cannot make .venv (on Debian: apt install python3-venv): {reason}")


def pip(*arguments: str, total: int, offline: bool) -> None:
    command = [str(BIN / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    tail: deque[str] = deque(maxlen=200)
    collected_count, said_s = 0, time.monotonic()
    with subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail.append(line.rstrip())
            collected_count += line.startswith(("Collecting", "Processing", "Ignoring"))
            if time.monotonic() - said_s >= PROGRESS_S:
                said_s = time.monotonic()
                say(f"  {min(collected_count, total)} of {total}: {line.strip()[:70]}")
    if process.returncode:
        stop(3, "dev.py: " + pip_failure(list(tail), offline=offline))


def pip_failure(lines: Sequence[str], *, offline: bool) -> str:
    """What went wrong and what to do, out of pip's last words."""
    text = "\n".join(lines)
    said = next((line for line in reversed(lines) if line.startswith("ERROR:")), "no reason given")
    if "DO NOT MATCH THE HASHES" in text:
        return "a package's hash is not the one in requirements.lock: refused"
    if "No space left on device" in text:
        return "the disk is full"
    if "No matching distribution" in text and not offline:
        network = "no package index answered, or it lacks a package"
        return f"{network}. Without a network give --wheels DIR (see --help). pip: {said}"
    if "No matching distribution" in text:
        return f"--wheels: the folder lacks a package of requirements.lock. pip: {said}"
    return f"pip failed. pip: {said}"


def say(line: str) -> None:
    print(f"dev.py: {line}", file=sys.stderr, flush=True)


# --- check -----------------------------------------------------------------------------------


def check() -> int:
    """Every check runs, whatever the one before it said; 1 if one failed."""
    failed = [name for name, command in CHECKS if not checked(name, command)]
    if "://" in LOCK.read_text():
        say("requirements.lock names a host; make it with --no-emit-index-url")
        failed.append("lock")
    say(f"FAILED: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def checked(name: str, command: Sequence[str]) -> bool:
    say(f"{name}: {' '.join(command)}")
    program = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(program, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

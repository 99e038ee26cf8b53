"""`python -m firmware_py.recorder CONFIG.json`: runs until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from firmware_py.recorder.process import Process, read_config
from firmware_py.recorder.store.database import JournalError
from hal.ports import LinkError

USAGE, DEVICE = 2, 3  # exit codes, as everywhere in dxrig


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        return _end(USAGE, "usage: python -m firmware_py.recorder CONFIG.json")
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: signals.append(got))
    try:
        process = Process(read_config(Path(arguments[0])))
    except (JournalError, LinkError) as error:
        return _end(DEVICE, str(error))
    except (ValueError, OSError) as error:
        return _end(USAGE, str(error))
    try:
        process.run(lambda: not signals)
    finally:
        process.close()
    return 0


def _end(code: int, text: str) -> int:
    sys.stderr.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

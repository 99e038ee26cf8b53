"""`python -m firmware_py.recorder CONFIG.json`: runs until SIGTERM or SIGINT.

SIGHUP says that whoever started it is gone: the unit still ends its beam, so the recorder
stays until the unit has left it, too, and writes down what was irradiated.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from firmware_py.recorder.process import Process, read_config
from firmware_py.recorder.store.database import JournalError
from hal.ports import LinkError

LINGER_S = 8.0  # longer than a unit takes to end
USAGE, DEVICE = 2, 3  # exit codes, as everywhere in dxrig


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        return _end(USAGE, "usage: python -m firmware_py.recorder CONFIG.json")
    signals: dict[int, float] = {}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: signals.setdefault(got, time.monotonic()))
    try:
        process = Process(read_config(Path(arguments[0])))
    except (JournalError, LinkError) as error:
        return _end(DEVICE, str(error))
    except (ValueError, OSError) as error:
        return _end(USAGE, str(error))
    try:
        process.run(lambda: not signals or _still_needed(process, signals))
    finally:
        process.close()
    return 0


def _still_needed(process: Process, signals: dict[int, float]) -> bool:
    since_s = signals.get(signal.SIGHUP)
    if since_s is None or len(signals) != 1:
        return False
    return not process.alone and time.monotonic() - since_s < LINGER_S


def _end(code: int, text: str) -> int:
    sys.stderr.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

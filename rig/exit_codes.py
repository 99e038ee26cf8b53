"""What the exit codes mean, and the errors that carry them.

Commands raise these; the program prints `dxrig: message` and ends with the code.
"""

from __future__ import annotations

DONE = 0
CHECK_FAILED = 1
USAGE = 2
DEVICE = 3
REFUSED = 4
ENDED = 130

MEANINGS = (
    (DONE, "done"),
    (CHECK_FAILED, "a check failed, or a comparison found a difference"),
    (USAGE, "usage or configuration: option, file, or technique out of range"),
    (DEVICE, "device or link, a beam ended by them, bench in use; or a bug in dxrig"),
    (REFUSED, "refused for safety before any beam"),
    (ENDED, "ended by the operator or a signal"),
)


class DxrigError(Exception):
    """Says in its message what is wrong and what to do; one line, or one a mistake."""

    code = DEVICE


class CheckFailed(DxrigError):  # noqa: N818 - said as people say it
    code = CHECK_FAILED


class UsageError(DxrigError):
    code = USAGE


class DeviceError(DxrigError):
    code = DEVICE


class Refused(DxrigError):  # noqa: N818
    code = REFUSED


class Ended(DxrigError):  # noqa: N818
    code = ENDED


class ConfigError(UsageError):
    """All the mistakes of a file at once, each as `file:line: key: what is wrong`."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages

"""Getting to know an R2CP generator behind its hub: connection, version, identity, procedure.

The connection is the host's (protocol reference 4.2): EVENT 0xA0/4, 50 ms, then the hub is asked
for both nodes; from the start again after 500 ms until both are there. Unverified against a device.
Silent, chosen: serial number and description are texts; a generator that refuses them has none.
"""

from __future__ import annotations

from hal.generators.r2cp_exchange import Answer
from hal.generators.r2cp_layouts import PostExposure, read_post
from hal.generators.r2cp_ratings import DEFINE
from hal.generators.r2cp_results import accepted, result_fault, result_words
from hal.generators.r2cp_wire import (
    ASK_NODE,
    ASK_POST,
    ASK_STATUS,
    CONNECT,
    GET,
    USE_V6,
    Node,
    Question,
)
from hal.now import Now

CONNECT_PAUSE_US = 50_000
AGAIN_US = 500_000
UNNAMED = "R2CP v6"

_CONNECTION = (CONNECT, ASK_NODE[Node.APPLICATION], ASK_NODE[Node.GENERATOR])
_DESCRIPTION, _SERIAL = Question("description", GET), Question("serial", GET)
_REST = (USE_V6, ASK_STATUS, _DESCRIPTION, _SERIAL, ASK_POST, DEFINE)


class Hello:
    def __init__(self) -> None:
        self._left = [*_CONNECTION, *_REST]
        self._pause_until_us: int | None = None
        self._texts: dict[str, str] = {}
        self.identity: str | None = None
        self.last_post: PostExposure | None = None  # of an exposure before this connection
        self.failed: tuple[str, str] | None = None  # code of hal.faults, words

    @property
    def connected(self) -> bool:
        return len(self._left) <= len(_REST)

    @property
    def done(self) -> bool:
        return not self._left

    def next(self, now: Now) -> Question | None:
        if self._pause_until_us is not None:
            if not now.reached(self._pause_until_us):
                return None
            self._pause_until_us = None
        return self._left[0]

    def told(self, now: Now) -> None:
        """The connection request has left."""
        self._left.pop(0)
        self._pause_until_us = now.t_us + CONNECT_PAUSE_US

    def take(self, now: Now, answer: Answer) -> None:
        """The answer to what `next` gave. WireError when its data make no sense."""
        name, code = answer.question.name, answer.result_code
        if name == "node":
            self._take_node(now, answer)
            return
        if name in ("version", "procedure") and not accepted(name, code):
            self.failed = result_fault(name, code), result_words(name, code)
        if name in ("description", "serial"):
            self._take_text(name, answer.data)
        if name == "post_exposure" and answer.data:
            self.last_post = read_post(answer.data)
        self._left.pop(0)

    def _take_node(self, now: Now, answer: Answer) -> None:
        if answer.data == bytes((answer.question.data[0], 1)):
            self._left.pop(0)
            return
        self._left = [*_CONNECTION, *_REST]
        self._pause_until_us = now.t_us + AGAIN_US

    def _take_text(self, name: str, data: bytes) -> None:
        text = data.rstrip(b"\x00 ").decode("ascii", "replace")
        self._texts[name] = text if text.isprintable() else data.hex()
        if name == "serial":
            words = (self._texts.get("description", ""), self._texts["serial"])
            self.identity = " ".join(word for word in words if word) or UNNAMED

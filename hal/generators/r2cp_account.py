"""The generator's own account of its last beam: its post-exposure values (protocol reference 4.4).

In the beam nothing of it can be read. Asked for until the exposure's number is another than that of
the beam before, it is compared with what was loaded. Unverified against a device.
"""

from __future__ import annotations

from hal.generators.r2cp_exchange import Answer
from hal.generators.r2cp_layouts import Databank, PostExposure, read_post
from hal.generators.r2cp_ratings import POST_TRIES, account_differences


class Account:
    def __init__(self) -> None:
        self.tries_count = 0  # how often it may yet be asked for
        self.lit_us: int | None = None  # the newest status that said "exposing" was asked for
        self.otherwise: tuple[str, str] | None = None  # than loaded: code of hal.faults, words
        self._loaded: Databank | None = None  # what the last beam was made of
        self._owed = False  # START has left, and nothing has shown its end

    @property
    def untried(self) -> bool:
        return self.tries_count == POST_TRIES

    def begin(self, loaded: Databank | None) -> None:
        """START leaves."""
        self._loaded, self.otherwise, self._owed = loaded, None, True

    def end(self) -> None:
        """A status shows no beam any more."""
        if self._owed:
            self._owed = False
            self.tries_count = POST_TRIES

    def take(self, answer: Answer, last: PostExposure | None) -> PostExposure | None:
        """None: it is not there yet. `last`: of the exposure before. May raise WireError."""
        self.tries_count -= 1
        if not answer.data:
            return None
        post = read_post(answer.data)
        if last is not None and post.exposure_count == last.exposure_count:
            return None
        self.tries_count = 0
        wrong = account_differences(self._loaded, post) if self._loaded is not None else []
        if wrong:
            self.otherwise = "GENERATOR_FAULT", f"post-exposure: {'; '.join(wrong)}"
        return post

"""Multipart messages over ZeroMQ: frames by PUSH/PULL, panel control by DEALER/ROUTER.

Nothing blocks (`hal/sockets.py`). Who isn't there is a LinkError on each read until it is back,
never a wait.

Frames have one consumer. PUSH would share them out between two, so `PushLink` asks to
approve each connection (ZAP, ZeroMQ RFC 27) and lets one in at a time: a second never
completes its handshake, so no frame can reach it, and it is told that it was refused.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Sequence

import zmq

from hal.endpoints import check_bind
from hal.now import NEVER_US, Now
from hal.ports import LinkError
from hal.sockets import Monitor, bind, close_server, open_socket, receive
from hal.stream_v1 import MAX_PARTS_COUNT, MAX_PIXELS_BYTES
from hal.strict_json import MAX_BYTES

FRAME_QUEUE_COUNT = 2  # frames are up to 42 MB: what can't leave stays with the device
FRAME_PART_BYTES = MAX_PIXELS_BYTES + MAX_BYTES  # pixels alone, or all about them beside them
CONTROL_QUEUE_COUNT = 16
KEPT_COUNT = 12  # start, image and end of four exposures
RETRY_US = 500_000  # a refused consumer asks again
LEASE_US = 1_000_000  # a controller that is silent for so long has gone
HEARTBEAT_MS = 1000
VANISHED_MS = 3000
HANDSHAKE_MS = 2000  # a connection that says nothing must not hold the place of a consumer
ZAP_ENDPOINT = "inproc://zeromq.zap.01"


# --- frames --------------------------------------------------------------------------------------


class _Gate:
    """Approves one connection at a time.

    ZAP doesn't say which connection asks, so a grant ends when *no* connection is open.
    The one that holds it is among the open ones all the while, so there are never two;
    a refused one closes at once, so the grant doesn't outlive its holder for long.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes]) -> None:
        self._zap = open_socket(context, zmq.REP, part_bytes=MAX_BYTES, queue_count=16)
        self._zap.bind(ZAP_ENDPOINT)
        socket.setsockopt(zmq.ZAP_DOMAIN, b"one-consumer")
        self._monitor = Monitor(socket)
        self._open: set[int] = set()
        self._granted = False
        self.refused_count = 0

    @property
    def granted(self) -> bool:
        return self._granted

    def pump(self) -> None:
        self._follow()
        for request in receive(self._zap, 1):
            self._follow()  # an asker was accepted before it asked: it is in `_open` now
            self._answer(request[1], granted=bool(self._open) and not self._granted)

    def _follow(self) -> None:
        for event, value in self._monitor.events():
            if event == zmq.EVENT_ACCEPTED:
                self._open.add(value)
            elif event == zmq.EVENT_DISCONNECTED:
                self._open.discard(value)
                if not self._open:
                    self._granted = False

    def _answer(self, request_id: bytes, *, granted: bool) -> None:
        status = (b"200", b"OK") if granted else (b"400", b"another consumer is served")
        self._granted = self._granted or granted
        self.refused_count += not granted
        self._zap.send_multipart([b"1.0", request_id, *status, b"", b""], zmq.NOBLOCK)

    def close(self) -> None:
        self._monitor.close()
        self._zap.close()


class PushLink:
    """The device's end of the data: binds; keeps what has no consumer yet.

    Must be read or written often enough to let a consumer in; `read` gives nothing.
    """

    def __init__(self, endpoint: str) -> None:
        check_bind(endpoint)
        if endpoint.startswith("inproc:"):
            raise ValueError(
                f"{endpoint}: inproc can't refuse a second consumer; use ipc:// or tcp"
            )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()  # a ZAP handler of its own
        self._socket = open_socket(
            self._context, zmq.PUSH, part_bytes=MAX_BYTES, queue_count=FRAME_QUEUE_COUNT
        )
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, VANISHED_MS)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._gate = _Gate(self._context, self._socket)
        self._kept: deque[list[bytes]] = deque()
        self.endpoint = ""  # nothing to release while nothing is bound
        try:
            self.endpoint = bind(self._socket, endpoint)
        except LinkError:
            self.close()
            raise

    @property
    def has_peer(self) -> bool:
        return self._gate.granted

    @property
    def refused_count(self) -> int:
        return self._gate.refused_count

    @property
    def kept_count(self) -> int:
        return len(self._kept)

    def read(self, t_us: int) -> list[list[bytes]]:
        self._gate.pump()
        self._flush()
        return []

    def write(self, t_us: int, message: list[bytes]) -> None:
        if len(self._kept) >= KEPT_COUNT:
            raise LinkError(f"{self.endpoint}: nobody takes frames, {KEPT_COUNT} messages wait")
        self._kept.append(message)
        self.read(t_us)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        self._gate.close()
        close_server(self._context, self._socket, self.endpoint)

    def _flush(self) -> None:
        while self._kept and self.has_peer:
            try:
                # copy=False is safe: bytes don't change (performance.md, "Moving frames")
                self._socket.send_multipart(self._kept[0], zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            self._kept.popleft()


class _ConnectLink:
    """A socket that connects to its one peer, and comes back by itself."""

    def __init__(self, endpoint: str, kind: int, part_bytes: int, queue_count: int) -> None:
        self.endpoint = endpoint
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket = open_socket(context, kind, part_bytes=part_bytes, queue_count=queue_count)
        # The same name after a reconnect, another one after a restart.
        self._socket.setsockopt(zmq.ROUTING_ID, b"dxrig-" + os.urandom(8).hex().encode())
        self._monitor = Monitor(self._socket)
        self._trouble = "not connected yet"
        self._retry_us: int | None = None  # not None: refused, asks again then
        self.has_peer = False
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise LinkError(f"{endpoint}: is no endpoint ({error.strerror})") from error

    def read(self, t_us: int) -> list[list[bytes]]:
        messages = receive(self._socket, parts_count=MAX_PARTS_COUNT)
        self._follow(t_us)
        if not messages:
            self._check()
        return messages

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        self._monitor.close()
        self._socket.close()

    def _check(self) -> None:
        if not self.has_peer:
            raise LinkError(f"{self.endpoint}: {self._trouble}")

    def _follow(self, t_us: int) -> None:
        for event, _ in self._monitor.events():
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.has_peer, self._retry_us = True, None
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._trouble = "refused, another consumer is served"
                self._retry_us = t_us + RETRY_US
            elif event == zmq.EVENT_DISCONNECTED and self.has_peer:
                self.has_peer, self._trouble = False, "the other side is gone"
        if self._retry_us is not None and Now(t_us).reached(self._retry_us):
            self._retry_us = None
            self._reconnect()

    def _reconnect(self) -> None:
        """ZeroMQ itself gives up after a refusal."""
        with contextlib.suppress(zmq.ZMQError):
            self._socket.disconnect(self.endpoint)
        self._socket.connect(self.endpoint)


class PullLink(_ConnectLink):
    """The consumer's end of the data."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, zmq.PULL, FRAME_PART_BYTES, FRAME_QUEUE_COUNT)

    def write(self, t_us: int, message: list[bytes]) -> None:
        raise LinkError(f"{self.endpoint}: frames come from there, nothing goes back")


# --- control -------------------------------------------------------------------------------------


class DealerLink(_ConnectLink):
    """The controller's end: what can't leave now is a LinkError, never queued."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, zmq.DEALER, MAX_BYTES, CONTROL_QUEUE_COUNT)

    def write(self, t_us: int, message: list[bytes]) -> None:
        self._check()
        try:
            self._socket.send_multipart(message, zmq.NOBLOCK)
        except zmq.Again as error:
            raise LinkError(f"{self.endpoint}: the other side takes nothing") from error


class RouterLink:
    """The device's end of the control: binds; serves one client, and tells a second so.

    The one who speaks first is served until it has been silent for a second. `refusal` is
    what another one gets for each of its messages.
    """

    def __init__(self, endpoint: str, refusal: Sequence[bytes] = ()) -> None:
        check_bind(endpoint)
        self._refusal = list(refusal)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = open_socket(
            self._context, zmq.ROUTER, part_bytes=MAX_BYTES, queue_count=CONTROL_QUEUE_COUNT
        )
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say when a client is gone
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a reconnect takes its name over
        self._client: bytes | None = None
        self._heard_us = 0
        self.refused_count = 0
        self.endpoint = ""  # nothing to release while nothing is bound
        try:
            self.endpoint = bind(self._socket, endpoint)
        except LinkError:
            self.close()
            raise

    @property
    def has_peer(self) -> bool:
        return self._client is not None

    def read(self, t_us: int) -> list[list[bytes]]:
        messages: list[list[bytes]] = []
        for identity, *message in receive(self._socket):
            if self._serves(t_us, identity):
                messages.append(message)
            else:
                self.refused_count += 1
                self._send(identity, self._refusal)
        return messages

    def write(self, t_us: int, message: list[bytes]) -> None:
        if self._client is not None and not self._send(self._client, message):
            self._client = None

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        close_server(self._context, self._socket, self.endpoint)

    def _serves(self, t_us: int, identity: bytes) -> bool:
        silent = Now(t_us).reached(self._heard_us + LEASE_US)
        if self._client not in (None, identity) and not silent:
            return False
        self._client, self._heard_us = identity, t_us
        return True

    def _send(self, identity: bytes, message: list[bytes]) -> bool:
        """False: that client is gone. One that takes nothing loses the message."""
        if not message:
            return True
        try:
            self._socket.send_multipart([identity, *message], zmq.NOBLOCK)
        except zmq.Again:
            return True
        except zmq.ZMQError:
            return False
        return True

"""Messages between our processes: JSON objects over ZeroMQ, on this machine only.

A message is `{"schema":1,"kind":...}` with whatever its kind says. The server knows
every client that is connected and can tell all of them something; `ask` is a client's
one blocking call, for commands that people type. Any client may send any kind: that
"stop" is open to all, and that nothing on the bus can start a beam, is the receiver's
rule; here a stop is only handed out before all else that came with it.

Nothing that a peer sends raises in `poll`: what is not right is counted and dropped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import zmq

from hal.endpoints import check_bind
from hal.ports import LinkError, WireError
from hal.sockets import bind, close_server, open_socket, receive
from hal.strict_json import MAX_INTEGER, dumps, integer, loads, text

SCHEMA = 1
MESSAGE_BYTES = 262_144
QUEUE_COUNT = 256
POLL_COUNT = 64  # messages per poll
CLIENTS_COUNT = 64  # known at once; the longest silent one is forgotten first
ASK = "ask"  # numbers a question; its answer carries the same

Message = dict[str, Any]


class Client(NamedTuple):
    """Whom to reply to, and to which of its questions. Equal `identity` = the same client."""

    identity: bytes
    ask: int | None = None


class BusServer:
    """The end that is there first; LinkError when a living process serves `endpoint`."""

    def __init__(self, endpoint: str) -> None:
        check_bind(endpoint)
        self._own_context = not endpoint.startswith("inproc:")  # inproc must share one
        self._context = _context(new=self._own_context)
        self._socket = open_socket(
            self._context, zmq.ROUTER, part_bytes=MESSAGE_BYTES, queue_count=QUEUE_COUNT
        )
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say when a client is gone
        self._clients: dict[bytes, None] = {}  # in the order in which they were last heard
        self.garbage_count = 0
        self.lost_count = 0  # messages for clients that take nothing
        self.endpoint = ""
        try:
            self.endpoint = bind(self._socket, endpoint)
        except LinkError:
            self.close()
            raise

    @property
    def clients_count(self) -> int:
        return len(self._clients)

    def poll(self) -> list[tuple[Client, Message]]:
        """What has arrived, stops first."""
        found: list[tuple[Client, Message]] = []
        for identity, *parts in receive(self._socket, POLL_COUNT):
            self._know(identity)
            if parts == [b""]:
                continue  # ZeroMQ's greeting (PROBE_ROUTER)
            try:
                ask, message = _decode(parts)
            except WireError:
                self.garbage_count += 1
                continue
            found.append((Client(identity, ask), message))
        found.sort(key=lambda one: one[1]["kind"] != "stop")
        return found

    def reply(self, client: Client, message: Mapping[str, Any]) -> None:
        """To one client; one that is gone loses it. ValueError for what must not leave (NaN)."""
        self._send(client.identity, _encode(message, client.ask))

    def publish(self, message: Mapping[str, Any]) -> None:
        """To every client that is connected."""
        data = _encode(message)
        for identity in tuple(self._clients):
            self._send(identity, data)

    def wait(self, timeout_s: float) -> bool:
        """Sleep until something arrives, at most so long; not for the scan."""
        return bool(self._socket.poll(round(timeout_s * 1000)))

    def close(self) -> None:
        if self._own_context:
            close_server(self._context, self._socket, self.endpoint)
        else:
            self._socket.close()

    def _know(self, identity: bytes) -> None:
        self._clients.pop(identity, None)
        self._clients[identity] = None
        if len(self._clients) > CLIENTS_COUNT:
            del self._clients[next(iter(self._clients))]

    def _send(self, identity: bytes, data: bytes) -> None:
        try:
            self._socket.send_multipart([identity, data], zmq.NOBLOCK)
        except zmq.Again:
            self.lost_count += 1
        except zmq.ZMQError:
            self._clients.pop(identity, None)


class BusClient:
    """The end that comes and goes; it finds a restarted server by itself."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.garbage_count = 0
        self._asked_count = 0
        self._waiting: list[Message] = []  # came while `ask` waited for something else
        self._socket = open_socket(
            _context(new=False), zmq.DEALER, part_bytes=MESSAGE_BYTES, queue_count=QUEUE_COUNT
        )
        self._socket.setsockopt(zmq.ROUTING_ID, b"dxrig-" + os.urandom(8).hex().encode())
        self._socket.setsockopt(zmq.PROBE_ROUTER, 1)  # the server knows us once we poll
        self._socket.setsockopt(zmq.RECONNECT_IVL, 50)
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._socket.close()
            raise LinkError(f"{endpoint}: is no endpoint ({error.strerror})") from error

    def poll(self) -> list[Message]:
        """What has arrived."""
        messages, self._waiting = self._waiting, []
        return messages + [message for _, message in self._receive()]

    def send(self, message: Mapping[str, Any]) -> None:
        """Now or not at all: LinkError when nobody is connected, never a queue of old orders."""
        self._send(_encode(message), timeout_ms=0)

    def ask(self, message: Mapping[str, Any], timeout_s: float = 2.0) -> Message:
        """The reply to `message`; LinkError when there is none in time. Blocks."""
        end_s = time.monotonic() + timeout_s
        self._asked_count += 1
        self._send(_encode(message, self._asked_count), timeout_ms=_left_ms(end_s))
        while self._socket.poll(_left_ms(end_s)):
            answer = self._answer(self._asked_count)
            if answer is not None:
                return answer
        raise LinkError(f"{self.endpoint}: connected, but no answer within {timeout_s:g} s")

    def wait(self, timeout_s: float) -> bool:
        """Sleep until something arrives, at most so long; not for the scan."""
        return bool(self._waiting or self._socket.poll(round(timeout_s * 1000)))

    def close(self) -> None:
        self._socket.close()

    def _answer(self, ask: int) -> Message | None:
        """The answer with this number among what has arrived; all else is kept for `poll`."""
        answer = None
        for number, message in self._receive():
            if number == ask:
                answer = message
            elif number is None:  # else: an answer that came too late for its question
                self._waiting.append(message)
        return answer

    def _receive(self) -> list[tuple[int | None, Message]]:
        found = []
        for parts in receive(self._socket, POLL_COUNT):
            try:
                found.append(_decode(parts))
            except WireError:
                self.garbage_count += 1
        return found

    def _send(self, data: bytes, timeout_ms: int) -> None:
        if not self._socket.poll(timeout_ms, zmq.POLLOUT):
            raise LinkError(f"{self.endpoint}: nobody answers; is its process running?")
        self._socket.send(data, zmq.NOBLOCK)


def _context(*, new: bool) -> zmq.Context[zmq.Socket[bytes]]:
    return zmq.Context() if new else zmq.Context.instance()


def _left_ms(end_s: float) -> int:
    return max(0, round((end_s - time.monotonic()) * 1000))


def _encode(message: Mapping[str, Any], ask: int | None = None) -> bytes:
    if message.get("schema") != SCHEMA or not isinstance(message.get("kind"), str):
        raise ValueError(f'a message needs "schema": {SCHEMA} and a "kind", got {dict(message)!r}')
    data = dumps({**message, ASK: ask} if ask is not None else message)
    if len(data) > MESSAGE_BYTES:
        raise ValueError(f"a message of {len(data)} bytes, at most {MESSAGE_BYTES} leave")
    return data


def _decode(parts: list[bytes]) -> tuple[int | None, Message]:
    """(number of the question, message)"""
    if len(parts) != 1:
        raise WireError(f"a message has 1 part, got {len(parts)}")
    message = loads(parts[0], max_bytes=MESSAGE_BYTES)
    integer(message, "schema", SCHEMA, SCHEMA)
    text(message, "kind", 40)
    ask = integer(message, ASK, 0, MAX_INTEGER) if ASK in message else None
    message.pop(ASK, None)
    return ask, message

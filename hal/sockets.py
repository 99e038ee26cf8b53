"""ZeroMQ sockets, as frames and messages between our processes both need them.

What ZeroMQ leaves open by default is closed here for every socket (security check C15):
LINGER 0 (the default hangs at exit), a largest part (the default is unlimited), small
queues, a largest number of parts. Nothing blocks but the end of a server, until its port is free.
"""

from __future__ import annotations

import struct

import zmq

from hal.endpoints import claim, keep_private, release
from hal.ports import LinkError

READ_COUNT = 32  # messages taken per read: a flood must not hold the scan
PARTS_COUNT = 16  # of a message


def open_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, *, part_bytes: int, queue_count: int
) -> zmq.Socket[bytes]:
    socket = context.socket(kind)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.MAXMSGSIZE, part_bytes),
        (zmq.SNDHWM, queue_count),
        (zmq.RCVHWM, queue_count),
        (zmq.IMMEDIATE, 1),  # nothing waits in a queue for a peer that isn't there
    ):
        socket.setsockopt(option, value)
    return socket


def bind(socket: zmq.Socket[bytes], endpoint: str) -> str:
    """Bind where `hal.endpoints` allows it; the endpoint with its real port."""
    path = claim(endpoint)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise LinkError(f"{endpoint}: can't be served ({error.strerror})") from error
    keep_private(path)
    return socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()  # type: ignore[union-attr]


def close_server(
    context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], endpoint: str
) -> None:
    release(endpoint)
    socket.close()
    context.term()  # waits until the port is free again


def receive(
    socket: zmq.Socket[bytes], most_count: int = READ_COUNT, *, parts_count: int = PARTS_COUNT
) -> list[list[bytes]]:
    """The whole messages that have arrived.

    Of one with more than `parts_count` parts so many are kept and one more: it is never valid.
    """
    messages: list[list[bytes]] = []
    while len(messages) < most_count:
        try:
            parts = [socket.recv(zmq.NOBLOCK)]
            while socket.getsockopt(zmq.RCVMORE):
                part = socket.recv(zmq.NOBLOCK)
                if len(parts) <= parts_count:
                    parts.append(part)
        except zmq.Again:
            break
        messages.append(parts)
    return messages


class Monitor:
    """ZeroMQ's own report of what happens to the connections of one socket."""

    EVENTS = (
        zmq.EVENT_ACCEPTED
        | zmq.EVENT_DISCONNECTED
        | zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    )

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._watched = socket
        self._events = socket.get_monitor_socket(int(self.EVENTS))

    def events(self) -> list[tuple[int, int]]:
        """(event, its value), oldest first; the value is the connection's file descriptor,
        except for handshakes."""
        return [struct.unpack("=Hi", parts[0]) for parts in receive(self._events, 1024)]

    def close(self) -> None:
        self._watched.disable_monitor()
        self._events.close()

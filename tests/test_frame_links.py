"""hal.frames on real sockets: one consumer, one controller, nothing blocks, nothing hangs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from hal.frames import DealerLink, PullLink, PushLink, RouterLink
from hal.now import NEVER_US
from hal.ports import FrameLink, LinkError, PanelFrame
from hal.sockets import receive
from hal.stream_v1 import decode, encode_image

pytestmark = pytest.mark.wire

PATIENCE_S = 10.0
REFUSAL = [b'{"error":"busy"}']


class World:
    """Real links, read in turn until something is true or patience ends."""

    def __init__(self) -> None:
        self.links: list[FrameLink] = []
        self.got: dict[int, list[list[bytes]]] = {}
        self.trouble: dict[int, str] = {}

    def add(self, link: FrameLink) -> None:
        self.links.append(link)
        self.got[id(link)] = []

    def drop(self, link: FrameLink) -> None:
        self.links.remove(link)
        link.close()

    def turn(self) -> None:
        for link in self.links:
            try:
                self.got[id(link)] += link.read(t_us())
                self.trouble.pop(id(link), None)
            except LinkError as error:
                self.trouble[id(link)] = str(error)

    def until(self, true: Callable[[], object], what: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end_s, f"not within {PATIENCE_S} s: {what}"
            self.turn()
            time.sleep(0.001)

    def messages(self, link: FrameLink) -> list[list[bytes]]:
        return self.got[id(link)]


def t_us() -> int:
    return time.monotonic_ns() // 1000


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for link in world.links:
        link.close()


@pytest.fixture(params=["ipc", "tcp"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/socket" if request.param == "ipc" else "tcp://127.0.0.1:*"


def pushing(world: World, endpoint: str) -> PushLink:
    push = PushLink(endpoint)
    world.add(push)
    return push


def pulling(world: World, endpoint: str) -> PullLink:
    pull = PullLink(endpoint)
    world.add(pull)
    return pull


def routing(world: World, endpoint: str) -> RouterLink:
    router = RouterLink(endpoint, REFUSAL)
    world.add(router)
    return router


def dealing(world: World, endpoint: str) -> DealerLink:
    dealer = DealerLink(endpoint)
    world.add(dealer)
    world.until(lambda: dealer.has_peer, "the dealer is connected")
    return dealer


# --- frames -------------------------------------------------------------------------------------


def test_a_frame_crosses_whole(world: World, endpoint: str) -> None:
    frame = PanelFrame(
        series=1,
        frame_index=0,
        rows_px=1024,
        columns_px=512,
        pixels=bytes(range(256)) * 4096,
        start_us=0,
        stop_us=250_000,
        panel_id="P",
        shot_id="S-1",
    )
    push = pushing(world, endpoint)
    pull = pulling(world, push.endpoint)
    world.until(lambda: push.has_peer and pull.has_peer, "both sides know of each other")
    push.write(t_us(), encode_image(frame))
    world.until(lambda: world.messages(pull), "the frame arrives")
    assert decode(world.messages(pull)[0]) == frame
    assert push.arrival_us() == pull.arrival_us() == NEVER_US


def test_a_frame_without_a_consumer_is_kept_and_leaves_when_one_comes(
    world: World, endpoint: str
) -> None:
    push = pushing(world, endpoint)
    push.write(t_us(), [b"kept"])
    assert (push.has_peer, push.kept_count) == (False, 1)
    pull = pulling(world, push.endpoint)
    world.until(lambda: world.messages(pull), "the kept message arrives")
    assert world.messages(pull) == [[b"kept"]]
    assert (push.has_peer, push.kept_count) == (True, 0)


def test_no_consumer_is_a_fault_at_last_and_never_a_wait(world: World, endpoint: str) -> None:
    push = pushing(world, endpoint)
    for _ in range(12):
        push.write(t_us(), [b"x"])
    with pytest.raises(LinkError, match="nobody takes frames, 12 messages wait"):
        push.write(t_us(), [b"x"])


def test_a_second_consumer_is_refused_told_so_and_gets_nothing(world: World, endpoint: str) -> None:
    push = pushing(world, endpoint)
    first = pulling(world, push.endpoint)
    world.until(lambda: push.has_peer and first.has_peer, "the first is served")
    second = pulling(world, push.endpoint)
    world.until(lambda: "another consumer" in world.trouble.get(id(second), ""), "it is told")
    sent = [[b"%d" % i] for i in range(20)]
    for message in sent:
        push.write(t_us(), message)
        world.until(lambda: not push.kept_count, "it leaves")
    world.until(lambda: len(world.messages(first)) == len(sent), "all arrive")
    assert world.messages(first) == sent
    assert world.messages(second) == []
    assert second.has_peer is False
    assert push.refused_count >= 1


def test_two_consumers_that_come_at_once_are_never_both_served(world: World, endpoint: str) -> None:
    push = PushLink(endpoint)
    pulls = [PullLink(push.endpoint) for _ in range(4)]
    world.add(push)
    for pull in pulls:
        world.add(pull)
    world.until(lambda: push.has_peer, "one is served")
    sent = [[b"%d" % i] for i in range(10)]
    for message in sent:
        push.write(t_us(), message)
    world.until(lambda: sum(len(world.messages(p)) for p in pulls) == len(sent), "all arrive")
    assert sorted(len(world.messages(pull)) for pull in pulls) == [0, 0, 0, 10]


def test_the_refused_one_is_served_after_the_first_has_gone(world: World, endpoint: str) -> None:
    push = pushing(world, endpoint)
    first = pulling(world, push.endpoint)
    world.until(lambda: push.has_peer and first.has_peer, "the first is served")
    second = pulling(world, push.endpoint)
    world.until(lambda: push.refused_count, "the second is refused")
    world.drop(first)
    world.until(lambda: second.has_peer, "the second is served")
    push.write(t_us(), [b"for the second"])
    world.until(lambda: world.messages(second), "it gets frames")
    assert world.messages(second) == [[b"for the second"]]


def test_a_consumer_that_is_alone_is_told_so(world: World, tmp_path: Path) -> None:
    pull = pulling(world, f"ipc://{tmp_path}/nobody")
    world.turn()
    assert world.trouble[id(pull)] == f"ipc://{tmp_path}/nobody: not connected yet"


def test_a_panel_that_goes_and_comes_back_is_found_again(world: World, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/data"
    push = pushing(world, endpoint)
    pull = pulling(world, endpoint)
    world.until(lambda: pull.has_peer, "connected")
    world.drop(push)
    world.until(lambda: "the other side is gone" in world.trouble.get(id(pull), ""), "gone")
    again = pushing(world, endpoint)
    again.write(t_us(), [b"after the restart"])
    world.until(lambda: world.messages(pull), "connected again")
    assert world.messages(pull) == [[b"after the restart"]]


def test_a_slow_consumer_leaves_the_frames_with_the_device(world: World) -> None:
    push = PushLink("tcp://127.0.0.1:*")
    pull = PullLink(push.endpoint)
    world.add(push)
    world.until(lambda: push.has_peer, "served")
    for _ in range(12):
        push.write(t_us(), [bytes(8_000_000)])  # more than the kernel's buffers take
    assert push.kept_count > 0
    world.add(pull)
    world.until(lambda: len(world.messages(pull)) == 12, "all arrive in the end")
    assert push.kept_count == 0


def test_an_oversized_part_never_arrives_and_the_sender_is_cut_off(world: World) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    rogue = context.socket(zmq.PUSH)
    rogue.linger = 0
    port = rogue.bind_to_random_port("tcp://127.0.0.1")
    pull = pulling(world, f"tcp://127.0.0.1:{port}")
    world.until(lambda: pull.has_peer, "connected")
    rogue.send(bytes(4608 * 4608 * 2 + 65_536 + 1))
    world.until(lambda: "gone" in world.trouble.get(id(pull), ""), "cut off")
    assert world.messages(pull) == []
    rogue.close()
    context.term()


def test_a_message_of_very_many_parts_is_cut_and_so_never_valid(world: World) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    rogue = context.socket(zmq.PUSH)
    rogue.linger = 0
    port = rogue.bind_to_random_port("tcp://127.0.0.1")
    pull = pulling(world, f"tcp://127.0.0.1:{port}")
    world.until(lambda: pull.has_peer, "connected")
    rogue.send_multipart([b"{}"] * 5000)
    world.until(lambda: world.messages(pull), "it arrives")
    assert len(world.messages(pull)[0]) == 17
    rogue.close()
    context.term()


def test_bytes_that_are_no_zeromq_let_nobody_in_and_do_no_harm(world: World) -> None:
    push = pushing(world, "tcp://127.0.0.1:*")
    port = int(push.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as rogue:
        with suppress(OSError):
            rogue.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        pull = pulling(world, push.endpoint)
        world.until(lambda: pull.has_peer, "the consumer is served all the same")
    assert push.has_peer


def test_a_connection_that_says_nothing_does_not_keep_the_place_of_a_consumer(
    world: World,
) -> None:
    push = pushing(world, "tcp://127.0.0.1:*")
    first = pulling(world, push.endpoint)
    world.until(lambda: push.has_peer and first.has_peer, "the first is served")
    port = int(push.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        world.drop(first)
        second = pulling(world, push.endpoint)
        world.until(lambda: second.has_peer, "the second is served all the same")


# --- control ------------------------------------------------------------------------------------


def test_a_question_and_its_answer_cross(world: World, endpoint: str) -> None:
    router = routing(world, endpoint)
    dealer = dealing(world, router.endpoint)
    dealer.write(t_us(), [b"question"])
    world.until(lambda: world.messages(router), "the question arrives")
    router.write(t_us(), [b"answer"])
    router.write(t_us(), [b"event"])
    world.until(lambda: len(world.messages(dealer)) == 2, "the answer arrives")
    assert world.messages(router) == [[b"question"]]
    assert world.messages(dealer) == [[b"answer"], [b"event"]]


def test_a_second_controller_is_refused_and_the_first_never_notices(
    world: World, endpoint: str
) -> None:
    router = routing(world, endpoint)
    first, second = dealing(world, router.endpoint), dealing(world, router.endpoint)
    first.write(t_us(), [b"first"])
    world.until(lambda: world.messages(router), "the first is served")
    second.write(t_us(), [b"second"])
    world.until(lambda: world.messages(second), "the second is told")
    router.write(t_us(), [b"for the first"])
    world.until(lambda: world.messages(first), "the first still is")
    assert world.messages(second) == [REFUSAL]
    assert world.messages(first) == [[b"for the first"]]
    assert world.messages(router) == [[b"first"]]
    assert router.refused_count == 1


def test_a_controller_that_fell_silent_for_a_second_loses_its_place(
    world: World, tmp_path: Path
) -> None:
    router = RouterLink(f"ipc://{tmp_path}/control", REFUSAL)
    first, second = dealing(world, router.endpoint), dealing(world, router.endpoint)
    start_us = 5_000_000
    first.write(0, [b"first"])
    assert read_one(router, start_us) == [b"first"]
    second.write(0, [b"too early"])
    world.until(lambda: refused(router, start_us + 999_999), "refused")
    second.write(0, [b"second"])
    assert read_one(router, start_us + 1_000_000) == [b"second"]
    router.close()


def read_one(link: FrameLink, at_us: int) -> list[bytes]:
    """The next message, read with the time told to be `at_us`."""
    end_s = time.monotonic() + PATIENCE_S
    while not (messages := link.read(at_us)):
        assert time.monotonic() < end_s
        time.sleep(0.001)
    return messages[0]


def refused(router: RouterLink, at_us: int) -> bool:
    router.read(at_us)
    return router.refused_count == 1


def test_what_cannot_leave_now_is_an_error_and_never_queued(world: World, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/control"
    dealer = DealerLink(endpoint)
    world.add(dealer)
    with pytest.raises(LinkError, match="not connected yet"):
        dealer.write(t_us(), [b"stale"])
    router = routing(world, endpoint)
    world.until(lambda: dealer.has_peer, "connected")
    dealer.write(t_us(), [b"fresh"])
    world.until(lambda: world.messages(router), "arrives")
    assert world.messages(router) == [[b"fresh"]]


def test_an_answer_for_a_controller_that_has_gone_harms_nobody(world: World, endpoint: str) -> None:
    router = routing(world, endpoint)
    dealer = dealing(world, router.endpoint)
    dealer.write(t_us(), [b"question"])
    world.until(lambda: world.messages(router), "the question arrives")
    world.drop(dealer)

    def forgotten() -> bool:
        router.write(t_us(), [b"answer"])
        return not router.has_peer

    world.until(forgotten, "the router notices")
    router.write(t_us(), [b"nobody"])


def test_a_pull_link_sends_nothing(world: World, tmp_path: Path) -> None:
    pull = pulling(world, f"ipc://{tmp_path}/x")
    with pytest.raises(LinkError, match="nothing goes back"):
        pull.write(0, [b"x"])


# --- all of them --------------------------------------------------------------------------------


def test_no_socket_keeps_the_defaults_that_hang_or_know_no_limit(
    world: World, tmp_path: Path
) -> None:
    push, router = pushing(world, f"ipc://{tmp_path}/d"), routing(world, f"ipc://{tmp_path}/c")
    pull, dealer = PullLink(push.endpoint), DealerLink(router.endpoint)
    world.add(pull)
    world.add(dealer)
    limits = {
        type(link).__name__: tuple(
            link._socket.getsockopt(option)
            for option in (zmq.LINGER, zmq.MAXMSGSIZE, zmq.SNDHWM, zmq.RCVHWM)
        )
        for link in (push, pull, router, dealer)
    }
    assert limits == {
        "PushLink": (0, 65_536, 2, 2),
        "PullLink": (0, 42_532_864, 2, 2),
        "RouterLink": (0, 65_536, 16, 16),
        "DealerLink": (0, 65_536, 16, 16),
    }


def test_a_socket_file_is_its_owners_alone(world: World, tmp_path: Path) -> None:
    path = tmp_path / "run" / "data"
    pushing(world, f"ipc://{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_port_that_is_taken_is_a_link_error_that_names_it(world: World) -> None:
    push = pushing(world, "tcp://127.0.0.1:*")
    with pytest.raises(LinkError, match=rf"{push.endpoint}: can't be served \(Address already"):
        RouterLink(push.endpoint)


def test_closing_with_unsent_frames_does_not_hang(tmp_path: Path) -> None:
    push = PushLink(f"ipc://{tmp_path}/data")
    for _ in range(12):
        push.write(0, [bytes(1_000_000)])
    push.close()
    assert not (tmp_path / "data").exists()


def test_a_flood_is_taken_in_portions(world: World) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    here, there = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    here.bind("inproc://flood")
    there.connect("inproc://flood")
    for i in range(100):
        there.send(b"%d" % i)
    assert [len(receive(here)) for _ in range(5)] == [32, 32, 32, 4, 0]
    here.close(0)
    there.close(0)
    context.term()

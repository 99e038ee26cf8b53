"""A bridge from a maker's SDK to dxrig: control as JSON, frames as Stream V1, both on ZeroMQ.

    python example_bridge.py tcp://127.0.0.1:9001 tcp://127.0.0.1:9002 PANEL-1 256 256 5000

Copy it beside the SDK and put the SDK's calls where `image`, "SDK: ..." stand. It needs pyzmq and
nothing of dxrig; hal/detectors/README.md says what each message must do. Its first line tells
its endpoints.
"""

import hashlib
import json
import sys
import time
from typing import Any

import zmq

KEPT_MOST = 8


def image(rows: int, columns: int) -> bytes:
    """SDK: wait for the read-out; rows x columns little-endian uint16. Here a ramp."""
    return b"".join((500 + 8 * row).to_bytes(2, "little") * columns for row in range(rows))


class Bridge:
    def __init__(self, control: str, data: str, panel: str, *sizes: int) -> None:
        """`sizes`: rows, columns, and the longest window in ms."""
        self.panel, self.size, self.window_ms = panel, sizes[:2], sizes[2]
        self.state, self.shot, self.used, self.changes, self.series = "idle", "", set[str](), 0, 0
        self.kept: dict[str, list[bytes]] = {}  # until dxrig says that the image is saved
        self.client, self.heard, self.opened = b"", 0.0, 0
        context = zmq.Context()
        self.control, self.data = context.socket(zmq.ROUTER), context.socket(zmq.PUSH)
        self.data.setsockopt(zmq.IMMEDIATE, 1)  # no consumer: nothing waits in a queue
        for socket, endpoint in ((self.control, control), (self.data, data)):
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind(endpoint)

    def run(self) -> None:
        while True:
            if self.control.poll(5):
                client, message = self.control.recv_multipart()
                if self.client not in (b"", client) and time.monotonic() - self.heard < 1.0:
                    self.say(client, event="refused", error="busy")  # one controller at a time
                    continue
                self.client, self.heard = client, time.monotonic()
                asked = json.loads(message)
                error = self.obey(asked["do"], asked.get("shot", ""))
                self.say(client, n=asked["n"], ok=error is None, error=error, **self.status())
            elapsed_ms = (time.monotonic_ns() - self.opened) / 1e6
            if self.state == "integrating" and elapsed_ms >= self.window_ms:
                self.read_out(complete=False)

    def obey(self, do: str, shot: str) -> str | None:
        if do == "prepare" and not self.data.poll(0, zmq.POLLOUT):
            return "no_consumer"
        if do == "prepare" and len(self.kept) >= KEPT_MOST:
            return "fault"
        if do == "prepare" and self.state == "idle":
            self.series += 1
            self.send([{"htype": "dheader-1.0", "series": self.series, "header_detail": "none"}])
            self.enter("ready")  # SDK: arm
        elif do == "standby" and self.state == "ready":
            self.send([{"htype": "dseries_end-1.0", "series": self.series}])
            self.enter("idle")  # SDK: disarm
        elif do == "request":
            if shot in self.used or self.state != "ready":
                return "shot_used" if shot in self.used else "not_ready"
            self.used.add(shot)
            self.shot, self.opened = shot, time.monotonic_ns()
            self.enter("integrating")  # SDK: open the window, then say so within 300 ms
        elif do == "drop" and self.state == "integrating":
            self.read_out(complete=True)
        elif do == "resend":
            return None if shot in self.kept and self.send(self.kept[shot]) else "not_kept"
        elif do == "free":
            self.kept.pop(shot, None)
        return None

    def read_out(self, *, complete: bool) -> None:
        open_ns = time.monotonic_ns() - self.opened
        self.enter("readout")
        (rows, columns), pixels = self.size, image(*self.size)
        md5 = hashlib.md5(pixels, usedforsecurity=False).hexdigest()
        self.kept[self.shot] = [
            dumps(htype="dimage-1.0", series=self.series, frame=0, hash=md5),
            dumps(htype="dimage_d-1.0", shape=[columns, rows], type="uint16", encoding="<",
                  size=len(pixels)),
            pixels,
            dumps(htype="dconfig-1.0", start_time=0, stop_time=open_ns, real_time=open_ns),
            dumps(shot=self.shot, panel=self.panel, complete=complete),
        ]  # fmt: skip
        self.send(self.kept[self.shot])  # lost: dxrig asks for it with "resend"
        self.enter("ready")

    def enter(self, state: str) -> None:
        self.state, self.changes = state, self.changes + 1
        self.say(self.client, event="state", k=self.changes, **self.status())

    def status(self) -> dict[str, Any]:
        return {"state": self.state, "panel": self.panel, "window_ms": self.window_ms,
                "frames": len(self.used), "kept": list(self.kept),
                "battery_pct": None}  # fmt: skip

    def say(self, client: bytes, **fields: Any) -> None:
        self.control.send_multipart([client, dumps(v=3, **fields)])

    def send(self, message: list[Any]) -> bool:
        parts = [part if isinstance(part, bytes) else dumps(**part) for part in message]
        try:
            self.data.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def dumps(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


if __name__ == "__main__":
    bridge = Bridge(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    both = (bridge.control, bridge.data)
    ends = [one.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0") for one in both]
    print(json.dumps(ends), flush=True)
    bridge.run()

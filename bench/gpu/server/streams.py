# SPDX-License-Identifier: Apache-2.0
"""Streamed completions over HTTP on one thread, and when each of their tokens came. Nothing is parsed while tokens come: that would be measured."""
import bisect
import json
import selectors
import socket
import time


class Stream:
    """One request on a connection of its own; `body` None: a GET. What has come is noted with its time and read later."""

    def __init__(self, port, path, body=None):
        payload = b"" if body is None else json.dumps(body).encode()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        self.data, self.marks, self.events, self.ended = bytearray(), [], 0, False
        self.sent = time.monotonic()
        self.socket.sendall(head.encode() + payload)
        self.socket.setblocking(False)

    def read(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionError:
            piece = b""
        begin = max(0, len(self.data) - 5)
        self.data += piece
        self.events += self.data.count(b"data: ", begin)
        self.marks.append((time.monotonic(), len(self.data)))
        self.ended = not piece

    def answer(self):
        """(status, payload, places): places are (end in the payload, end in the data) of each chunk."""
        head, _, _ = bytes(self.data).partition(b"\r\n\r\n")
        at, payload, places = len(head) + 4, bytearray(), []
        if b"transfer-encoding: chunked" not in head.lower():
            return int(head.split()[1]), bytes(self.data[at:]), [(len(self.data) - at, len(self.data))]
        while True:
            line = self.data.find(b"\r\n", at)
            size = int(self.data[at:line], 16) if line > at else 0
            if size == 0:
                return int(head.split()[1]), bytes(payload), places
            payload += self.data[line + 2:line + 2 + size]
            at = line + 2 + size + 2
            places.append((len(payload), at - 2))

    def tokens(self):
        """(times, token ids, usage) of a completion asked for with return_token_ids; usage None: it did not come."""
        _, payload, places = self.answer()
        ends, came = [p[0] for p in places], [m[1] for m in self.marks]
        times, ids, usage, at = [], [], None, 0
        for event in payload.split(b"\n\n"):
            at += len(event) + 2
            if not event.startswith(b"data: {"):
                continue
            said = json.loads(event[6:])
            usage = said.get("usage") or usage
            new = [token for choice in said.get("choices", []) for token in choice.get("token_ids") or []]
            if new:
                when = self.marks[bisect.bisect_left(came, places[bisect.bisect_left(ends, min(at, ends[-1]))][1])][0]
                times += [when] * len(new)
                ids += new
        return times, ids, usage


class Loop:
    """Reads all its streams as they come. Thread: one."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()

    def start(self, port, path, body=None):
        stream = Stream(port, path, body)
        self.selector.register(stream.socket, selectors.EVENT_READ, stream)
        return stream

    def run_until(self, true, seconds):
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(f"streams did not come to their end within {seconds} s")
            for key, _ in self.selector.select(0.05):
                key.data.read()
                if key.data.ended:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()


def percentile(values, share):
    """The smallest value that at least `share` of them do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else None

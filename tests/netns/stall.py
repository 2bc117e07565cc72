#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
stall: a TCP transfer from one namespace to another for some seconds, and when nothing arrived meanwhile.

    bytes=… longest_ms=… stalled_ms=… last_second=…

longest_ms: the longest time without a byte; stalled_ms: of all times longer than 100 ms together; last_second: bytes of it, so that a
transfer that has not really gone on shows.
"""
import argparse
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

NOTICED_S = 0.1


def send(source, address, seconds, congestion):
    l2.enter(source)
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    if congestion:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    sock.connect(address)
    chunk = bytes(1 << 16)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sock.sendall(chunk)
    os._exit(0)


def receive(connection, seconds):
    end = time.monotonic() + seconds
    last = time.monotonic()
    count = longest = stalled = tail = 0
    while last < end:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        try:
            data = connection.recv(1 << 20)
            if not data:
                break
        except TimeoutError:
            data = b""
        now = time.monotonic()
        gap = now - last
        longest = max(longest, gap)
        stalled += gap if gap > NOTICED_S else 0
        count += len(data)
        tail += len(data) if now > end - 1 else 0
        last = now
    print(f"bytes={count} longest_ms={longest * 1000:.0f} stalled_ms={stalled * 1000:.0f} last_second={tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="namespace of the sender")
    parser.add_argument("sink", help="namespace of the receiver")
    parser.add_argument("address", help="of the receiver")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--congestion", help="TCP congestion control")
    args = parser.parse_args()
    l2.enter(args.sink)
    listener = socket.create_server((args.address, 0), family=socket.AF_INET6 if ":" in args.address else socket.AF_INET)
    child = os.fork()
    if child == 0:
        send(args.source, listener.getsockname()[:2], args.seconds + 1, args.congestion)
    connection, _ = listener.accept()
    receive(connection, args.seconds)
    os.kill(child, 9)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()

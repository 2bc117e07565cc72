#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
echo: pings an address with one request of every size, random content, and compares every byte of the reply.
"""
import argparse
import os
import random
import select
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402


def parse_sizes(text):
    """"0-100,1472" or "0-8972/37" (every 37th)."""
    sizes = []
    for part in text.split(","):
        part, _, step = part.partition("/")
        first, _, last = part.partition("-")
        sizes += range(int(first), int(last or first) + 1, int(step or 1))
    return sizes


class Pinger:
    def __init__(self, destination):
        self.is_v6 = ":" in destination
        family = socket.AF_INET6 if self.is_v6 else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if self.is_v6 else socket.IPPROTO_ICMP)
        self.sock.setsockopt(socket.SOL_SOCKET, l2.SO_RCVBUFFORCE, 4 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)  # SO_SNDBUFFORCE
        self.sock.connect((destination, 0))
        self.ident = os.getpid() & 0xFFFF

    def ping(self, sequence, payload, timeout):
        """None when the right reply came, else what was wrong."""
        self.sock.send(l2.icmp_echo(self.ident, sequence, payload, 128 if self.is_v6 else 8))
        wanted = struct.pack("!HH", self.ident, sequence) + payload
        kind = 129 if self.is_v6 else 0
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0 and select.select([self.sock], [], [], left)[0]:
            packet = self.sock.recv(70000)
            message = packet if self.is_v6 else packet[(packet[0] & 15) * 4 :]
            if message[0] == kind and message[4:8] == wanted[:4]:
                return None if message[4:] == wanted else "wrong content"
        return "no reply"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("destination")
    parser.add_argument("--sizes", default="56", help="like 0-100,1472,0-8972/37")
    parser.add_argument("--timeout", type=float, default=1.0)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between requests")
    args = parser.parse_args()
    l2.enter(args.namespace)
    rng = random.Random(1)
    pinger = Pinger(args.destination)
    wrong = []
    sizes = parse_sizes(args.sizes)
    pinger.ping(0xFFFF, b"", 1.0)  # lets the address be resolved
    for n, size in enumerate(sizes):
        verdict = pinger.ping(n % 0xFFFF, rng.randbytes(size), args.timeout)
        if verdict:
            wrong.append(f"{size}: {verdict}")
            if len(wrong) == 10:
                break
        time.sleep(args.pace)
    print("; ".join(wrong) if wrong else f"{len(sizes)} sizes")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

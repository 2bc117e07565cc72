#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
garbage: random datagrams of random lengths for a node, paced so that its socket buffer holds them all. Nobody may answer.
"""
import argparse
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=36160)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--largest", type=int, default=2000)
    args = parser.parse_args()
    l2.enter(args.namespace)
    rng = random.Random(7)
    sock = socket.socket(socket.AF_INET6 if ":" in args.address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for n in range(args.count):
        data = bytearray(rng.randbytes(rng.randrange(args.largest + 1)))
        if data and n % 2:  # half of them look like something at first sight
            data[:4] = bytes((rng.randrange(1, 6), 0, 0, 0))[: len(data)]
        sock.sendto(data, (args.address, args.port))
        if n % 50 == 49:
            time.sleep(0.003)
    time.sleep(0.3)
    try:
        answer = sock.recv(70000)
    except BlockingIOError:
        return 0
    print(f"answered with {len(answer)} bytes: {answer[:32].hex()}")
    return 1


if __name__ == "__main__":
    sys.exit(main())

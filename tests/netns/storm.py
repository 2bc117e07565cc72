#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
storm: sends UDP packets of one size at a steady rate out of a namespace, and does not mind whether anybody listens.
"""
import argparse
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

PORT = 9  # discard


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("address")
    parser.add_argument("--frame", type=int, required=True, help="bytes of the Ethernet frame, without tags")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, default=1000, help="packets a second")
    args = parser.parse_args()
    l2.enter(args.namespace)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    payload = os.urandom(args.frame - 14 - 20 - 8)
    start = time.monotonic()
    sent = 0
    while sent < args.count:
        # Not more than the TAP's queue holds at once, should this process have slept.
        due = min(int((time.monotonic() - start) * args.rate) + 1, args.count, sent + 64)
        while sent < due:
            sock.sendto(payload, (args.address, PORT))
            sent += 1
        time.sleep(min(0.001, 1 / args.rate))
    return 0


if __name__ == "__main__":
    sys.exit(main())

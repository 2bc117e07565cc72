#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
transfer: sends random bytes over TCP from one namespace to another and compares SHA-256 at both ends. The bytes carry a mark in
clear at the front and at each mebibyte, to be looked for where it must not be seen.
"""
import argparse
import hashlib
import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

MARK = b"ethercord-plaintext-mark"
CHUNK = 1 << 20


def receive(listener, pipe):
    connection, _ = listener.accept()
    digest = hashlib.sha256()
    count = 0
    while data := connection.recv(CHUNK):
        digest.update(data)
        count += len(data)
    os.write(pipe, f"{count} {digest.hexdigest()}".encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="namespace of the sender")
    parser.add_argument("sink", help="namespace of the receiver")
    parser.add_argument("address", help="of the receiver")
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--congestion", help="TCP congestion control")
    args = parser.parse_args()
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    l2.enter(args.sink)
    listener = socket.create_server((args.address, 0), family=family)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        listener.settimeout(args.timeout)
        receive(listener, write_end)
        os._exit(0)
    os.close(write_end)
    l2.enter(args.source)
    sock = socket.socket(family)
    sock.settimeout(args.timeout)
    if args.congestion:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, args.congestion.encode())
    sock.connect(listener.getsockname()[:2])
    digest = hashlib.sha256()
    began = time.monotonic()
    for _ in range(args.megabytes):
        data = MARK + os.urandom(CHUNK - len(MARK))
        digest.update(data)
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    received = os.read(read_end, 200).decode()
    took = time.monotonic() - began
    os.waitpid(child, 0)
    wanted = f"{args.megabytes * CHUNK} {digest.hexdigest()}"
    print(f"{args.megabytes} MiB in {took:.2f} s")
    if received != wanted:
        print(f"received {received}\nsent     {wanted}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
flow: numbered UDP datagrams at a steady rate both ways between two hosts of the overlay. For each direction it prints, on a line of its own,
how many were sent, how many of them never came, how many came twice, and the longest pause between two that came, in ms.
"""
import argparse
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

PORT = 5007
LAST_WAIT = 0.5  # for what is on its way still


class End:
    def __init__(self, namespace, address):
        l2.enter(namespace)
        self.address = address
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, l2.SO_RCVBUFFORCE, 8 << 20)
        self.sock.bind((address, PORT))
        self.sock.settimeout(0.1)
        self.n_sent = 0
        self.seen = {}
        self.last = None
        self.pause = 0.0

    def send(self, other, rate, end):
        began = time.monotonic()
        while (now := time.monotonic()) < end:
            while self.n_sent < (now - began) * rate:
                try:
                    self.sock.sendto(struct.pack("!I", self.n_sent) + bytes(96), (other.address, PORT))
                except socket.timeout:  # the host itself was held up
                    continue
                self.n_sent += 1
            time.sleep(0.5 / rate)

    def receive(self, end):
        while time.monotonic() < end:
            try:
                number = struct.unpack("!I", self.sock.recv(2048)[:4])[0]
            except socket.timeout:
                continue
            now = time.monotonic()
            self.seen[number] = self.seen.get(number, 0) + 1
            if self.last is not None:
                self.pause = max(self.pause, now - self.last)
            self.last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace_a")
    parser.add_argument("address_a")
    parser.add_argument("namespace_b")
    parser.add_argument("address_b")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    a, b = End(args.namespace_a, args.address_a), End(args.namespace_b, args.address_b)
    end = time.monotonic() + args.seconds
    threads = [threading.Thread(target=a.receive, args=(end + LAST_WAIT,)), threading.Thread(target=b.receive, args=(end + LAST_WAIT,)),
               threading.Thread(target=a.send, args=(b, args.rate, end)), threading.Thread(target=b.send, args=(a, args.rate, end))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sender, receiver in ((a, b), (b, a)):
        twice = sum(n - 1 for n in receiver.seen.values())
        print(sender.n_sent, sender.n_sent - len(receiver.seen), twice, round(receiver.pause * 1000))


if __name__ == "__main__":
    main()

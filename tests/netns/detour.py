#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
detour: a long way between two nodes, and a short one that changes. It stands for the near node at an address of its own, like a NAT, and
hands on what comes there. The far node is a while away: the delay lies between here and there.

  SIGUSR1   a new socket, with another port, to the next of the far node's addresses (in turn, of either IP version). What comes to the old
            one from now on is lost, as behind a NAT that has forgotten.
  SIGUSR2   somebody on the way begins to (or ends to) send copies of what the near node sends from yet another port, without the delay: they
            arrive before the originals.
  SIGHUP    what the near node has sent lately is sent once more, from a third port.
  SIGTERM   prints: bytes of the copies, bytes that came back to their port, datagrams sent once more, bytes that came back for those.
"""
import argparse
import collections
import os
import select
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402


def split(text):
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def open_socket(address):
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, l2.SO_RCVBUFFORCE, 8 << 20)
    sock.setblocking(False)
    return sock


class Extra:
    """A port that says what somebody else has said."""

    def __init__(self, far):
        self.sock = open_socket(far)
        self.n_datagrams = self.n_bytes = self.n_back = 0

    def send(self, datagram, far):
        self.sock.sendto(datagram, far)
        self.n_datagrams += 1
        self.n_bytes += len(datagram)


class Detour:
    def __init__(self, args):
        l2.enter(args.namespace)
        self.delay = args.delay / 1000
        self.far = collections.deque(split(text) for text in args.to)
        self.near_sock = open_socket(split(args.listen))
        self.near_sock.bind(split(args.listen))
        self.near = None  # where it was last heard from
        self.far_sock = open_socket(self.far[0])
        self.copies, self.replays = Extra(self.far[0]), Extra(self.far[0])
        self.lately = collections.deque(maxlen=2000)
        self.waiting = collections.deque()  # (when, datagram, socket towards the far node, its address or None)
        self.is_copying = self.is_over = self.is_changing = self.is_replaying = False
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "is_changing", True))
        signal.signal(signal.SIGUSR2, lambda *_: setattr(self, "is_copying", not self.is_copying))
        signal.signal(signal.SIGHUP, lambda *_: setattr(self, "is_replaying", True))
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "is_over", True))

    def from_near(self, datagram, source):
        self.near = source
        self.lately.append(datagram)
        if self.is_copying:
            self.copies.send(datagram, self.far[0])
        self.waiting.append((time.monotonic() + self.delay, datagram, self.far_sock, self.far[0]))

    def take(self, sock):
        try:
            datagram, source = sock.recvfrom(70000)
        except (BlockingIOError, ConnectionRefusedError):
            return
        for extra in (self.copies, self.replays):
            if sock is extra.sock:
                extra.n_back += len(datagram)
        if sock is self.near_sock:
            self.from_near(datagram, source)
        elif sock is self.far_sock:
            self.waiting.append((time.monotonic() + self.delay, datagram, sock, None))

    def pass_on(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, datagram, sock, far = self.waiting.popleft()
            try:
                if far:
                    sock.sendto(datagram, far)
                elif self.near and sock is self.far_sock:
                    self.near_sock.sendto(datagram, self.near)
            except OSError:
                pass  # an ICMP error of an earlier one

    def obey(self):
        if self.is_changing:
            self.is_changing = False
            self.far.rotate(-1)
            self.far_sock = open_socket(self.far[0])
        if self.is_replaying:
            self.is_replaying = False
            for datagram in list(self.lately):
                self.replays.send(datagram, self.far[0])

    def run(self):
        while not self.is_over:
            self.obey()
            wait = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else 0.05
            for sock in select.select([self.near_sock, self.far_sock, self.copies.sock, self.replays.sock], [], [], wait)[0]:
                self.take(sock)
            self.pass_on()
        print(self.copies.n_bytes, self.copies.n_back, self.replays.n_datagrams, self.replays.n_back)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("--listen", required=True, help="address:port for the near node")
    parser.add_argument("--to", required=True, nargs="+", help="address:port of the far node, one or several")
    parser.add_argument("--delay", type=float, default=0.0, help="ms each way")
    Detour(parser.parse_args()).run()


if __name__ == "__main__":
    main()

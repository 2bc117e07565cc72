#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""abuse: what somebody with a permission can do to a control socket: abuse.py SOCKET KIND. Bounded in number and time.

Says on stdout how many connections it had, and how many of them were ended without an answer.
"""
import socket
import sys
import time


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(8)
    for _ in range(1000):
        try:
            sock.connect(path)
            return sock
        except BlockingIOError:  # its queue is full
            time.sleep(0.005)
    raise SystemExit("abuse: nobody takes connections any more")


def say(sock, data):
    """False when the other end has had enough."""
    try:
        sock.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def is_ended(sock):
    try:
        return sock.recv(65536) == b""
    except ConnectionResetError:
        return True


def garbage(path):
    ended = 0
    for i in range(200):
        sock = connect(path)
        say(sock, bytes((i * 7 + j * 13) % 256 for j in range(3000)))
        say(sock, b"\n")
        answer = b""
        try:
            answer = sock.recv(65536)
        except ConnectionResetError:
            pass
        if not answer.startswith(b"{") and answer != b"":
            raise SystemExit("abuse: an answer that is no document")
        ended += answer == b""
        sock.close()
    return 200, ended


def half(path):
    sock = connect(path)
    say(sock, b"stat")
    return 1, is_ended(sock)


def nothing(path):
    sock = connect(path)
    return 1, is_ended(sock)


def much(path):
    sock = connect(path)
    for _ in range(100):
        if not say(sock, b"x" * 1_000_000):
            break
    return 1, is_ended(sock)


def many(path):
    socks = [connect(path) for _ in range(1000)]
    time.sleep(1)
    ended = 0
    for sock in socks:
        sock.setblocking(False)
        try:
            ended += sock.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionResetError:
            ended += 1
    return len(socks), ended


def deaf(path):
    """Asks again and again for something long, and never reads."""
    sock = connect(path)
    say(sock, b"status 100\n")
    time.sleep(3)
    sock.close()
    return 1, 0


KINDS = {f.__name__: f for f in (garbage, half, nothing, much, many, deaf)}

if __name__ == "__main__":
    print("connections {} ended {}".format(*(int(n) for n in KINDS[sys.argv[2]](sys.argv[1]))))

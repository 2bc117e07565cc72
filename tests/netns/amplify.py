#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
amplify: everything that somebody without keys can send to a node, of all lengths up to 2000 and all types, with a valid mac1 (he knows the
node's public key) and without. No answer may be longer than what it answers, nor all of them together.
"""
import argparse
import base64
import hashlib
import os
import random
import select
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

INITIATION_LEN = 156
MAC_LEN = 16
LONGEST = 2000
AT_ONCE = 40  # lengths that are waited for together
MANY = 200  # initiations at the end, so many that the node is under load


def mac1(key, message):
    return hashlib.blake2b(message, digest_size=MAC_LEN, key=key).digest()


def messages(rng, key, length):
    """One of each kind that has this length."""
    for kind in range(7):
        head = bytes((kind, 0, 0, 0))
        yield (head + rng.randbytes(length))[:length]
        if length >= 4 + 2 * MAC_LEN:
            message = head + rng.randbytes(length - 4 - 2 * MAC_LEN)
            yield message + mac1(key, message) + bytes(MAC_LEN)
            yield message + mac1(key, message) + rng.randbytes(MAC_LEN)
    yield rng.randbytes(length)


def answers(sockets, seconds):
    """Lengths of what comes in, by socket, until nothing has come for so long."""
    by_socket = {sock: [] for sock in sockets}
    while True:
        ready = select.select(sockets, [], [], seconds)[0]
        if not ready:
            return by_socket
        for sock in ready:
            by_socket[sock].append(len(sock.recv(65536)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("address")
    parser.add_argument("public_key")
    parser.add_argument("--port", type=int, default=36160)
    args = parser.parse_args()
    l2.enter(args.namespace)
    rng = random.Random(11)
    key = hashlib.blake2b(b"ethercord 1 mac1" + base64.b64decode(args.public_key), digest_size=32).digest()
    family = socket.AF_INET6 if ":" in args.address else socket.AF_INET
    n_sent = bytes_sent = n_answers = bytes_back = 0
    worst = (0.0, "")
    lengths = list(range(LONGEST + 1)) + [INITIATION_LEN] * MANY
    for first in range(0, len(lengths), AT_ONCE):
        sockets = {}
        for length in lengths[first:first + AT_ONCE]:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.connect((args.address, args.port))
            sockets[sock] = length
            for message in messages(rng, key, length):
                sock.send(message)
                n_sent += 1
                bytes_sent += len(message)
        for sock, got in answers(list(sockets), 0.02).items():
            n_answers += len(got)
            bytes_back += sum(got)
            if got and max(got) > worst[0] * sockets[sock]:
                worst = (max(got) / sockets[sock], f"{max(got)} bytes for {sockets[sock]}")
            sock.close()
    print(f"sent={n_sent} bytes={bytes_sent} answers={n_answers} bytes_back={bytes_back} worst={worst[1]}")
    if worst[0] > 1 or bytes_back > bytes_sent:
        return 1
    if n_answers < MANY / 2:  # it was asked for cookies, and should have given some: else nothing has been shown
        print("the node hardly answers")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

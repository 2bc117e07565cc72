#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
names: a small DNS server in a namespace, as good or as bad as its file says, which is read for each question. Lines of the file:

  NAME A|AAAA ADDRESS   an answer; several are given in that order
  many N                N addresses from 192.0.2.2 on for every name, over TCP if the question came by UDP (it is told so)
  dead                  no answer to anything
  garbage               random bytes, with the question's id and without

Each question is one line on stdout. What is not there does not exist (NXDOMAIN); what has the other kind only has no data.
"""
import argparse
import os
import random
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

KINDS = {1: "A", 28: "AAAA"}


class Zone:
    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            self.lines = [line.split() for line in file if line.strip()]

    def has(self, word):
        return any(line[0] == word for line in self.lines)

    def addresses(self, name, kind):
        many = [int(line[1]) for line in self.lines if line[0] == "many"]
        if many:
            return [socket.inet_aton(f"192.0.{2 + n // 254}.{n % 254 + 2}") for n in range(many[0])] if kind == 1 else []
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        return [socket.inet_pton(family, line[2]) for line in self.lines if line[0] == name and line[1] == KINDS.get(kind)]

    def exists(self, name):
        return self.has("many") or self.has(name)


def parse(query):
    """The name that is asked for, the kind, and the question as it stands."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii"))
        at += 1 + query[at]
    return ".".join(labels).lower(), struct.unpack("!H", query[at + 1 : at + 3])[0], query[12 : at + 5]


def answer(zone, query, is_udp):
    """A reply, or None."""
    if zone.has("dead"):
        return None
    if zone.has("garbage"):
        return (query[:2] if random.random() < 0.5 else b"") + random.randbytes(random.randrange(500))
    name, kind, question = parse(query)
    addresses = zone.addresses(name, kind)
    is_truncated = is_udp and len(addresses) > 20
    flags = 0x8180 | (0x0200 if is_truncated else 0) | (0 if zone.exists(name) else 3)
    records = b"" if is_truncated else b"".join(
        struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(address)) + address for address in addresses)
    return query[:2] + struct.pack("!HHHHH", flags, 1, 0 if is_truncated else len(addresses), 0, 0) + question + records


def serve_stream(listener, path):
    stream, _ = listener.accept()
    with stream, stream.makefile("rb") as queries:
        stream.settimeout(2)
        while length := queries.read(2):  # both kinds may be asked for over the same one
            reply = answer(Zone(path), queries.read(*struct.unpack("!H", length)), False)
            if reply is not None:
                stream.sendall(struct.pack("!H", len(reply)) + reply)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("file")
    args = parser.parse_args()
    l2.enter(args.namespace)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 53))
    listener.listen()
    while True:
        for ready in select.select([sock, listener], [], [])[0]:
            try:
                if ready is listener:
                    serve_stream(listener, args.file)
                    continue
                query, source = sock.recvfrom(4096)
                print(*parse(query)[:2], flush=True)
                reply = answer(Zone(args.file), query, True)
                if reply is not None:
                    sock.sendto(reply, source)
            except (OSError, IndexError, struct.error) as error:
                print("error:", error, flush=True)


if __name__ == "__main__":
    main()

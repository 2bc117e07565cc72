#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
forge: ICMP messages from a namespace that lies on the path, "fragmentation needed", each with another next-hop MTU, about datagrams from
one node to the other that were not too large at all.
"""
import argparse
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def quoted(source, destination, port):
    udp = struct.pack("!HHHH", port, port, 1480, 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1500, 7, 0x4000, 60, socket.IPPROTO_UDP, 0, socket.inet_aton(source),
                         socket.inet_aton(destination))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace")
    parser.add_argument("device")
    parser.add_argument("victim")
    parser.add_argument("peer")
    parser.add_argument("--port", type=int, default=36160)
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    l2.enter(args.namespace)
    rng = random.Random(3)
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, args.device.encode())
    for _ in range(args.count):
        mtu = rng.choice((0, 68, 576, 1000, 1280, rng.randrange(1280, 1500), 1499, 1500, 9000, 65535))
        body = quoted(args.victim, args.peer, args.port)
        message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + body
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        sock.sendto(message, (args.victim, 0))
        time.sleep(0.003)


if __name__ == "__main__":
    main()

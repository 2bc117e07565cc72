#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
checksum: what ordinary sockets send, whose kernel leaves the checksum to the device, is read at the far end by a packet socket: as a DHCP
client or server reads. Every UDP and TCP frame of the exchange that is as small as --below, or DHCP, must have its checksum by then.
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

DEVICE = "eth0"
SO_BINDTODEVICE = 25
PORTS = {4: (68, 67), 6: (546, 547)}  # client, server
ALL_SERVERS = "ff02::1:2"


def parse(frame):
    """(protocol, source port, destination port, payload, whether the L4 checksum is right) of an untagged UDP or TCP frame, else None."""
    if frame[12:14] == b"\x08\x00":
        end = 14 + struct.unpack_from("!H", frame, 16)[0]
        protocol, start, addresses = frame[23], 14 + (frame[14] & 15) * 4, frame[26:34]
    elif frame[12:14] == b"\x86\xdd":
        end = 54 + struct.unpack_from("!H", frame, 18)[0]
        protocol, start, addresses = frame[20], 54, frame[22:54]
    else:
        return None
    if protocol not in (6, 17):
        return None
    l4 = frame[start:end]  # without padding
    is_right = l2.checksum(addresses + struct.pack("!II", len(l4), protocol) + l4) == b"\0\0"
    if protocol == 17:
        is_right = is_right and l4[6:8] != b"\0\0"
    return (protocol, *struct.unpack_from("!HH", l4), l4[8:] if protocol == 17 else l4[(l4[12] >> 4) * 4 :], is_right)


class Host:
    """One end: sockets of its own, and a packet socket that sees what comes from the other."""

    def __init__(self, namespace, addresses):
        self.namespace = namespace
        self.addresses = addresses
        self.port = l2.Port(namespace, DEVICE)

    def udp(self, version, port=0):
        l2.enter(self.namespace)
        sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, DEVICE.encode())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, l2.SO_RCVBUFFORCE, 4 << 20)
        sock.bind(("", port))
        sock.settimeout(1.0)
        return sock

    def scope(self):
        l2.enter(self.namespace)
        return socket.if_nametoindex(DEVICE)

    def packets(self, wanted, timeout=1.0):
        """What parse() says of frames for which wanted(protocol, from, to) holds, with their lengths, until none comes any more."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            frame = self.port.recv(left)
            packet = parse(frame) if frame else None
            if packet and wanted(*packet[:3]):
                end = time.monotonic() + timeout
                yield packet, len(frame)


def exchange(sender, receiver, version, ports, destination, sizes):
    """Sends a datagram of each size; returns how many arrived, and how many of these had a right checksum."""
    sock = sender.udp(version, ports[0])
    rng = random.Random(len(sizes))
    arrived = right = 0
    for n, size in enumerate(sizes):
        payload = struct.pack("!I", n)[: max(0, size)] + rng.randbytes(max(0, size - 4))
        sock.sendto(payload, destination)
        for packet, _ in receiver.packets(lambda protocol, _, to: protocol == 17 and to == ports[1]):
            if packet[3] == payload:
                arrived += 1
                right += packet[4]
                break
    sock.close()
    return arrived, right


def resolve(sender, receiver, version):
    """Lets both know each other, so that no datagram waits for that."""
    for a, b in ((sender, receiver), (receiver, sender)):
        sock = a.udp(version)
        for _ in range(3):
            sock.sendto(b"hello", (b.addresses[version], 9))
            time.sleep(0.02)
        sock.close()


def run_dhcp(a, b, args):
    """100 requests and 100 answers of each version; requests and answers of IPv4 to all, and answers to one."""
    count = args.count
    sizes = [300] * (count // 2) + [548] * (count - count // 2)
    client4, server4 = PORTS[4]
    client6, server6 = PORTS[6]
    rows = (
        ("DHCP request", a, b, 4, (client4, server4), ("255.255.255.255", server4)),
        ("DHCP answer to all", b, a, 4, (server4, client4), ("255.255.255.255", client4)),
        ("DHCP answer", b, a, 4, (server4, client4), (a.addresses[4], client4)),
        ("DHCP renewal", a, b, 4, (client4, server4), (b.addresses[4], server4)),
        ("DHCP by a relay", a, b, 4, (server4, server4), (b.addresses[4], server4)),
        ("DHCPv6 request", a, b, 6, (client6, server6), (ALL_SERVERS, server6, 0, a.scope())),
        ("DHCPv6 answer", b, a, 6, (server6, client6), (a.addresses[6], client6)),
    )
    return report(rows, sizes)


def run_small(a, b, args):
    """UDP of lengths that make a frame smaller than --below, both ways."""
    wrong = 0
    for version, headers in ((4, 42), (6, 62)):
        sizes = list(range(0, args.below - headers, 2)) + [args.below - headers - 1]
        rows = [(f"small UDP over IPv{version}", x, y, version, (40000, 40001), (y.addresses[version], 40001)) for x, y in ((a, b), (b, a))]
        wrong += report(rows, sizes)
    return wrong


def report(rows, sizes):
    """Tells how it went; returns how many of the rows are wrong."""
    wrong = 0
    for name, sender, receiver, version, ports, destination in rows:
        arrived, right = exchange(sender, receiver, version, ports, destination, sizes)
        print(f"{name}: {arrived} of {len(sizes)} arrived, {right} with a right checksum")
        wrong += arrived != len(sizes) or right != arrived
    return wrong


def run_tcp(a, b, args):
    """A conversation of short lines, which opens and closes; both ends look at each frame."""
    wrong = 0
    for version in (4, 6):
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        l2.enter(b.namespace)
        listener = socket.create_server((b.addresses[version], 0), family=family)
        port = listener.getsockname()[1]
        l2.enter(a.namespace)
        client = socket.create_connection((b.addresses[version], port), 5)
        server, _ = listener.accept()
        for sock in (client, server):
            sock.settimeout(5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(args.count):
            line = os.urandom(1 + n % 100)
            for x, y in ((client, server), (server, client)):
                x.sendall(line)
                got = b""
                while len(got) < len(line):
                    got += y.recv(1000)
                wrong += got != line
        client.close()
        server.close()
        listener.close()
        for host in (a, b):
            seen = [(packet, size) for packet, size in host.packets(lambda protocol, x, y: protocol == 6 and port in (x, y), 0.3)
                    if size < args.below]
            right = sum(packet[4] for packet, _ in seen)
            print(f"small TCP over IPv{version}: {len(seen)} frames, {right} with a right checksum")
            wrong += right != len(seen) or len(seen) < args.count
    return wrong


def run_large(a, b, args):
    """Larger ones are read by an ordinary socket, whose kernel looks at the checksum if nobody vouches for it."""
    wrong = 0
    for version, headers in ((4, 42), (6, 62)):
        for sender, receiver in ((a, b), (b, a)):
            sizes = list(range(args.below - headers, args.mtu + 14 - headers, 7)) + [args.mtu + 14 - headers]
            listener, sock = receiver.udp(version, 40002), sender.udp(version)
            arrived = 0
            for size in sizes:
                payload = os.urandom(size)
                sock.sendto(payload, (receiver.addresses[version], 40002))
                try:
                    arrived += listener.recv(70000) == payload
                except TimeoutError:
                    pass
            print(f"large UDP over IPv{version}: {arrived} of {len(sizes)} arrived as they were sent")
            wrong += arrived != len(sizes)
            listener.close()
            sock.close()
    return wrong


def run_undone(a, _b, args):
    """What the test builds upon: a frame that leaves here for `--near` has no checksum yet."""
    near = l2.Port(*args.near.split("/"))
    sock = a.udp(4)
    sock.sendto(b"x" * 100, ("255.255.255.255", 67))
    while frame := near.recv(1.0):
        packet = parse(frame)
        if packet and packet[2] == 67:
            return int(packet[4])
    return 1


COMMANDS = {"dhcp": run_dhcp, "small": run_small, "tcp": run_tcp, "large": run_large, "undone": run_undone}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("a", help="namespace of 10.9.0.1, fd00:9::1")
    parser.add_argument("b", help="namespace of 10.9.0.2, fd00:9::2")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--below", type=int, default=256, help="frames of fewer bytes are small")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--near", help="namespace/device next to A's eth0")
    args = parser.parse_args()
    a = Host(args.a, {4: "10.9.0.1", 6: "fd00:9::1"})
    b = Host(args.b, {4: "10.9.0.2", 6: "fd00:9::2"})
    for version in (4, 6):
        resolve(a, b, version)
    return 1 if COMMANDS[args.command](a, b, args) else 0


if __name__ == "__main__":
    sys.exit(main())

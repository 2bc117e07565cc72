#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
probe: asks a shortcut what a kernel would not ask: behind VLAN tags, with IP options, from wrong sources. Checks each byte of the reply.
"""
import argparse
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

SOURCE = bytes.fromhex("02ec70726f62")
BROADCAST = b"\xff" * 6
TAGS = [(0x88A8, 0x2064), (0x8100, 0x0065), (0x8100, 0xE066)]


class Asker:
    """A host that is not there: an address and a MAC address of its own, frames by hand."""

    def __init__(self, port, address, target, tags=()):
        self.port = port
        self.address = socket.inet_aton(address)
        self.target = socket.inet_aton(target)
        self.tags = list(tags)
        self.target_mac = None

    def send(self, ethertype, payload, dst=None, src=SOURCE):
        self.port.send(l2.ethernet(dst or self.target_mac, src, ethertype, payload, self.tags))

    def receive(self, ethertype, timeout=1.0, to=SOURCE):
        """The payload of the next frame to `to` with exactly our tags, and its source MAC address; (None, None) if none comes."""
        head = b"".join(struct.pack("!HH", *tag) for tag in self.tags) + struct.pack("!H", ethertype)
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            frame = self.port.recv(left)
            if frame and frame[:6] == to and frame[12:].startswith(head):
                return frame[12 + len(head) :], frame[6:12]
        return None, None

    def resolve(self, sender=None):
        """Asks by ARP; returns what is wrong. A `sender` of 0.0.0.0 is a probe (RFC 5227)."""
        sender = self.address if sender is None else sender
        self.send(0x0806, l2.arp(1, SOURCE, sender, bytes(6), self.target), dst=BROADCAST)
        reply, mac = self.receive(0x0806)
        if reply is None:
            return "no ARP reply"
        self.target_mac = mac
        wanted = l2.arp(2, mac, self.target, SOURCE, sender)
        return None if reply[:28] == wanted else f"ARP reply {reply.hex()}, wanted {wanted.hex()}"

    def ping(self, payload, options=b"", sequence=1):
        request = l2.icmp_echo(0x4543, sequence, payload)
        self.send(0x0800, l2.ipv4(self.address, self.target, 1, request, options))
        reply, _ = self.receive(0x0800)
        return self.check_reply(reply, payload, sequence)

    def check_reply(self, reply, payload, sequence):
        if reply is None:
            return "no reply"
        header_len = (reply[0] & 15) * 4
        length = struct.unpack_from("!H", reply, 2)[0]
        message = reply[header_len:length]
        if l2.checksum(reply[:header_len]) != b"\0\0":
            return "bad IP checksum: " + reply.hex()
        if reply[12:20] != self.target + self.address or reply[9] != 1:
            return "wrong addresses: " + reply.hex()
        if message != l2.icmp_echo(0x4543, sequence, payload, 0):
            return "wrong ICMP message: " + reply.hex()
        return None


def run_vlan(args):
    """ARP and ping behind 0 to 3 tags; the reply has the same tags."""
    for count in range(4):
        asker = Asker(args.port, args.source, args.target, TAGS[:count])
        wrong = asker.resolve() or asker.ping(b"tagged %d" % count) or asker.ping(bytes(range(256)) * 4)
        if wrong:
            return f"{count} tags: {wrong}"
    return None


def run_options(args):
    """Echo requests with IP options. Record Route, Timestamp, Router Alert, no-operation and 40 bytes of padding."""
    asker = Asker(args.port, args.source, args.target)
    wrong = asker.resolve()
    for options in (b"\x07\x0b\x04" + bytes(8) + b"\0", b"\x44\x0c\x05\0" + bytes(8), b"\x94\x04\0\0", b"\x01" * 40):
        wrong = wrong or asker.ping(b"with options", options)
        if wrong:
            return f"options {options.hex()}: {wrong}"
    return None


def run_arp(args):
    """Requests and probes."""
    asker = Asker(args.port, args.source, args.target)
    return asker.resolve() or asker.resolve(bytes(4))


def unanswerable(asker):
    """What must get no answer: (name, EtherType, payload, destination MAC address, source MAC address)."""
    here, there, mac = asker.address, asker.target, asker.target_mac

    def echo(src=here, dst=there, **more):
        return l2.ipv4(src, dst, 1, l2.icmp_echo(1, 1, b"x" * 40), **more)

    broken_icmp = bytearray(l2.icmp_echo(1, 1, b"x" * 40))
    broken_icmp[2] ^= 1
    broken_ip = bytearray(echo())
    broken_ip[10] ^= 1
    error = struct.pack("!BBHI", 3, 1, 0, 0) + echo()[:28]
    error = error[:2] + l2.checksum(error) + error[4:]
    yield "echo to broadcast MAC address", 0x0800, echo(), BROADCAST, SOURCE
    yield "echo to another MAC address", 0x0800, echo(), bytes.fromhex("02deadbeef01"), SOURCE
    yield "echo from a multicast MAC address", 0x0800, echo(), mac, bytes.fromhex("01005e000001")
    yield "echo from 0.0.0.0", 0x0800, echo(src=bytes(4)), mac, SOURCE
    yield "echo from 255.255.255.255", 0x0800, echo(src=b"\xff" * 4), mac, SOURCE
    yield "echo from 224.0.0.1", 0x0800, echo(src=bytes((224, 0, 0, 1))), mac, SOURCE
    yield "echo from its own address", 0x0800, echo(src=there), mac, SOURCE
    yield "echo with a wrong ICMP checksum", 0x0800, l2.ipv4(here, there, 1, bytes(broken_icmp)), mac, SOURCE
    yield "echo with a wrong IP checksum", 0x0800, bytes(broken_ip), mac, SOURCE
    yield "echo cut in the middle", 0x0800, echo()[:40], mac, SOURCE
    yield "ICMP error", 0x0800, l2.ipv4(here, there, 1, error), mac, SOURCE
    yield "echo reply", 0x0800, l2.ipv4(here, there, 1, l2.icmp_echo(1, 1, b"x", 0)), mac, SOURCE
    yield "UDP", 0x0800, l2.ipv4(here, there, 17, struct.pack("!HHHH", 7, 7, 12, 0) + b"echo"), mac, SOURCE
    yield "ARP request for another address", 0x0806, l2.arp(1, SOURCE, here, bytes(6), bytes((10, 9, 0, 77))), BROADCAST, SOURCE
    yield "ARP from a multicast MAC address", 0x0806, l2.arp(1, b"\1" + bytes(5), here, bytes(6), there), BROADCAST, SOURCE
    # The last one: it teaches a bridge on the way that the target is where we are.
    yield "echo from its own MAC address", 0x0800, echo(), mac, mac


def is_announcement(frame):
    """Said to all, unasked: gratuitous ARP, unsolicited neighbour advertisements, MLD reports."""
    return (frame[:6] == BROADCAST and frame[12:14] == b"\x08\x06") or frame[:2] == b"\x33\x33"


def run_silent(args):
    """It is no reflector; and it still answers afterwards."""
    asker = Asker(args.port, args.source, args.target)
    wrong = asker.resolve()
    if wrong:
        return wrong
    for name, ethertype, payload, dst, src in unanswerable(asker):
        asker.send(ethertype, payload, dst=dst, src=src)
        end = time.monotonic() + 0.15
        while (left := end - time.monotonic()) > 0:
            frame = args.port.recv(left)
            if frame and frame[6:12] == asker.target_mac and not is_announcement(frame):
                return f"{name}: answered by {frame.hex()}"
    return asker.resolve() or asker.ping(b"still there?")


def run_claim(args):
    """Somebody else announces the target's address; the owner has to say that it is taken."""
    asker = Asker(args.port, args.target, args.target)
    asker.send(0x0806, l2.arp(1, SOURCE, asker.target, bytes(6), asker.target), dst=BROADCAST)
    end = time.monotonic() + 2
    while (left := end - time.monotonic()) > 0:
        frame = args.port.recv(left)
        if frame and frame[12:14] == b"\x08\x06" and frame[6:12] != SOURCE and frame[28:32] == asker.target:
            return None
    return "the address is not defended"


COMMANDS = {"vlan": run_vlan, "options": run_options, "arp": run_arp, "silent": run_silent, "claim": run_claim}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("port", help="namespace/device")
    parser.add_argument("source", help="IPv4 address to ask from")
    parser.add_argument("target", help="IPv4 address of the shortcut")
    args = parser.parse_args()
    args.port = l2.Port(*args.port.split("/"))
    wrong = COMMANDS[args.command](args)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

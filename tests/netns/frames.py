#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
frames: sends generated Ethernet frames into one interface and wants exactly these, byte for byte and in order, out of another.

A mix has every kind of frame that is listed in KINDS (TESTS A.3), which is looked at in the frames' own bytes before they are sent.

A window keeps the TAP's queue from overflowing: the sender waits for the receiver. Frames are recognised by the sender's source MAC
address; what a kernel says besides does not count. Reserved addresses are another mode: one frame each, and the list of those to arrive.
"""
import argparse
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

SOURCE = bytes.fromhex("02ec7e570001")
WINDOW = 64
# EtherTypes that a generated frame must not have: tags and 0x8808 are cases of their own.
SPECIAL_TYPES = {0x8100, 0x88A8, 0x9100, 0x8808}


def random_destination(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return b"\xff" * 6
    if kind == 1:
        return bytes.fromhex("01005e") + bytes([rng.randrange(128)]) + rng.randbytes(2)
    if kind == 2:
        return bytes.fromhex("3333") + rng.randbytes(4)
    if kind == 3:
        return bytes.fromhex("01000ccccccc")
    return bytes([0x02, 0xDD]) + rng.randbytes(4)


def random_tags(rng):
    count = rng.choice((0, 0, 0, 1, 1, 2, 3))
    tags = [(rng.choice((0x8100, 0x8100, 0x88A8)), rng.randrange(65536)) for _ in range(count)]
    return tags


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    """As SCTP sums (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


CHECKSUM_AT = {6: 16, 17: 6}  # TCP, UDP


def summed(protocol, segment, pseudo):
    """The segment with its right checksum; other protocols as they are."""
    if protocol == 132:
        return segment[:8] + crc32c(segment[:8] + bytes(4) + segment[12:]) + segment[12:]
    if protocol not in CHECKSUM_AT:
        return segment
    at = CHECKSUM_AT[protocol]
    blank = segment[:at] + b"\0\0" + segment[at + 2 :]
    return segment[:at] + l2.checksum(pseudo + blank) + segment[at + 2 :]


def transport(rng, room):
    """(protocol, segment): TCP, UDP, SCTP, ICMP or GRE with a random number for a checksum; or, of UDP, with none."""
    protocol = rng.choice((6, 6, 17, 17, 132, 1, 47))
    header = {6: 20, 17: 8, 132: 12, 1: 8, 47: 4}[protocol]
    body = bytearray(rng.randbytes(max(header, room)))
    if protocol == 17:
        body[4:6] = struct.pack("!H", len(body) & 0xFFFF)
        if rng.randrange(4) == 0:
            body[6:8] = b"\0\0"
    elif protocol == 6:
        body[12] = 0x50
    return protocol, bytes(body)


def has_right_sum(rng, protocol, length):
    """Of half of them; in Python, SCTP's takes long."""
    return rng.randrange(2) == 0 and (protocol != 132 or length < 200)


def make_ipv4(rng, room):
    options = rng.choice((b"", b"", b"\x07\x07\x04\0\0\0\0\0", b"\x94\x04\0\0", b"\x01" * 40))
    protocol, body = transport(rng, room - 20 - len(options))
    source, destination = rng.randbytes(4), rng.randbytes(4)
    if has_right_sum(rng, protocol, len(body)):
        body = summed(protocol, body, source + destination + struct.pack("!HH", protocol, len(body)))
    fragment = rng.choice((0, 0, 0x4000, 0x2000, 0x2000 | rng.randrange(1, 8191), rng.randrange(1, 8191)))
    packet = bytearray(l2.ipv4(source, destination, protocol, body, options, rng.randrange(256), fragment, rng.randrange(65536)))
    wrong = rng.randrange(8)
    if wrong == 0:
        packet[10] ^= 0xFF  # header checksum
    elif wrong == 1:
        packet[2:4] = rng.randbytes(2)  # total length
    elif wrong == 2:
        packet[0] = rng.randrange(256)  # version and header length
    return 0x0800, bytes(packet)


def extension(rng, kind, following):
    """Hop-by-hop, routing, destination options, fragment; AH counts in words of 4."""
    if kind == 44:
        return bytes([following, 0]) + rng.randbytes(6)
    if kind == 51:
        return bytes([following, 4, 0, 0]) + rng.randbytes(20)
    length = rng.choice((0, 0, 1, 3))
    return bytes([following, length]) + rng.randbytes(6 + 8 * length)


def make_ipv6(rng, room):
    chain = [rng.choice((0, 43, 60, 44, 51)) for _ in range(rng.randrange(4))]
    protocol, _ = kind = transport(rng, 0)
    following = chain[1:] + [protocol]
    headers = b"".join(extension(rng, *pair) for pair in zip(chain, following))
    left = room - 40 - len(headers) - len(kind[1])
    body = kind[1] + rng.randbytes(max(0, left))
    if protocol == 17:
        body = body[:4] + struct.pack("!H", len(body) & 0xFFFF) + body[6:]
    source, destination = rng.randbytes(16), rng.randbytes(16)
    if has_right_sum(rng, protocol, len(body)):
        body = summed(protocol, body, source + destination + struct.pack("!II", len(body), protocol))
    return 0x86DD, l2.ipv6(source, destination, (chain + [protocol])[0], headers + body, rng.randrange(256))


def make_arp(rng, room):
    return 0x0806, l2.arp(rng.randrange(1, 5), SOURCE, rng.randbytes(4), bytes(6), rng.randbytes(4)) + bytes(rng.choice((0, 18)))


def make_lldp(rng, room):
    return 0x88CC, b"\x02\x07\x04" + rng.randbytes(6) + b"\x04\x02\x07\x31\x06\x02\0\x78\0\0"


def make_mpls(rng, room):
    return rng.choice((0x8847, 0x8848)), rng.randbytes(4 * rng.randrange(1, 4)) + l2.ipv4(rng.randbytes(4), rng.randbytes(4), 17, rng.randbytes(room // 2))


def make_llc(rng, room):
    headers = (
        b"\xff\xff" + struct.pack("!H", 30) + b"\0\x11" + rng.randbytes(26),  # IPX, "raw 802.3"
        b"\xaa\xaa\x03\x08\0\x07\x80\x9b" + rng.randbytes(13),  # AppleTalk over SNAP
        b"\x42\x42\x03" + rng.randbytes(35),  # spanning tree
        b"\xfe\xfe\x03" + rng.randbytes(20),  # IS-IS
        b"\xf0\xf0\x03" + rng.randbytes(30),  # NetBIOS
    )
    body = rng.choice(headers) + rng.randbytes(rng.randrange(max(1, room - 60)))
    return min(len(body), 1500), body


def make_control(rng, room):
    """PPPoE, 802.1X, PTP, 802.1ag, EtherCAT, Wake-on-LAN."""
    return rng.choice((0x8863, 0x8864, 0x888E, 0x88F7, 0x8902, 0x88A4, 0x0842)), rng.randbytes(rng.randrange(1, max(2, room)))


def make_other(rng, room):
    while True:
        ethertype = rng.randrange(65536)
        if ethertype not in SPECIAL_TYPES:
            return ethertype, rng.randbytes(room)


MAKERS = (make_ipv4, make_ipv4, make_ipv4, make_ipv6, make_ipv6, make_arp, make_lldp, make_mpls, make_llc, make_control, make_other)


def ipv4_kinds(packet):
    ihl = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or not 20 <= ihl <= len(packet):
        return
    if ihl > 20:
        yield "IPv4 options"
    fragment = struct.unpack_from("!H", packet, 6)[0]
    if fragment & 0x3FFF:
        yield "IPv4 fragment, first" if not fragment & 0x1FFF else "IPv4 fragment, later"
    if l2.checksum(packet[:ihl]) != b"\0\0":
        yield "wrong IPv4 header checksum"
    length, protocol = struct.unpack_from("!H", packet, 2)[0], packet[9]
    if length > len(packet):
        yield "IPv4 length beyond the frame"
    elif not fragment & 0x3FFF and length >= ihl:
        yield from transport_kinds(protocol, packet[ihl:length], packet[12:20] + struct.pack("!HH", protocol, length - ihl))


def ipv6_kinds(packet):
    if len(packet) < 40:
        return
    following, at, n = packet[6], 40, 0
    while following in (0, 43, 44, 51, 60) and at + 8 <= len(packet):
        length = 8 if following == 44 else packet[at + 1] * 4 + 8 if following == 51 else packet[at + 1] * 8 + 8
        following, at, n = packet[at], at + length, n + 1
    if n:
        yield f"IPv6, {n} extension headers"
    length = struct.unpack_from("!H", packet, 4)[0] + 40
    if at < length <= len(packet):
        segment = packet[at:length]
        yield from transport_kinds(following, segment, packet[8:40] + struct.pack("!II", len(segment), following))


def transport_kinds(protocol, segment, pseudo):
    if protocol == 132:
        yield "SCTP"
    at = CHECKSUM_AT.get(protocol)
    if at is None or len(segment) < at + 2:
        return
    name = "TCP" if protocol == 6 else "UDP"
    if protocol == 17 and segment[at : at + 2] == b"\0\0":
        yield "UDP without a checksum"
    else:
        yield f"{name}, {'right' if l2.checksum(pseudo + segment) == bytes(2) else 'wrong'} checksum"


ETHERTYPE_KINDS = {0x0806: "ARP", 0x88CC: "LLDP", 0x8847: "MPLS", 0x8848: "MPLS, multicast"}
LLC_KINDS = {b"\xff\xff": "raw 802.3", b"\xaa\xaa": "SNAP", b"\x42\x42": "LLC, spanning tree", b"\xfe\xfe": "LLC, IS-IS",
             b"\xf0\xf0": "LLC, NetBIOS"}


def kinds_of(frame):
    """What a frame is an example of, by its bytes."""
    at, tags = 12, []
    while (ethertype := struct.unpack_from("!H", frame, at)[0]) in (0x8100, 0x88A8) and at + 6 <= len(frame):
        tags.append(ethertype)
        at += 4
    payload = frame[at + 2 :]
    yield f"{len(tags)} tags"
    if 0x88A8 in tags:
        yield "802.1ad"
    if len(frame) < 60:
        yield "runt"
    yield "group address" if frame[0] & 1 else "unicast"
    if ethertype <= 1500:
        yield LLC_KINDS.get(payload[:2], "a length, and anything")
    elif ethertype in ETHERTYPE_KINDS:
        yield ETHERTYPE_KINDS[ethertype]
    elif ethertype == 0x0800 and len(payload) >= 20:
        yield from ipv4_kinds(payload)
    elif ethertype == 0x86DD:
        yield from ipv6_kinds(payload)


KINDS = {
    "0 tags", "1 tags", "2 tags", "3 tags", "802.1ad", "runt", "group address", "unicast", "SNAP", "raw 802.3", "LLC, spanning tree", "LLC, IS-IS",
    "LLC, NetBIOS", "ARP", "LLDP", "MPLS", "MPLS, multicast", "SCTP", "IPv6, 1 extension headers", "IPv6, 2 extension headers",
    "IPv6, 3 extension headers", "IPv4 options", "IPv4 fragment, first", "IPv4 fragment, later", "wrong IPv4 header checksum",
    "IPv4 length beyond the frame", "TCP, right checksum", "TCP, wrong checksum", "UDP, right checksum", "UDP, wrong checksum",
    "UDP without a checksum", "shortest", "longest", "longest with a tag",
}
KINDS_FROM = 1000  # frames that a mix must have to have them all


def kinds_missing(frames, mtu):
    """Of a mix."""
    found = {kind for frame in frames for kind in kinds_of(frame)}
    lengths = {len(frame) for frame in frames if frame[12:14] != b"\x81\0"}
    tagged = {len(frame) for frame in frames if frame[12:14] == b"\x81\0"}
    ends = (("shortest", 14 in lengths), ("longest", mtu + 14 in lengths), ("longest with a tag", mtu + 18 in tagged))
    found |= {name for name, is_there in ends if is_there}
    return sorted(KINDS - found)


def limit_for(tags, mtu):
    """A packet socket takes, and a bridge passes, MTU + 14 bytes, and 4 more behind an outermost 802.1Q tag."""
    return mtu + 14 + (4 if tags and tags[0][0] == 0x8100 else 0)


def make_frame(rng, mtu):
    tags = random_tags(rng)
    limit = limit_for(tags, mtu)
    least = 14 + 4 * len(tags)
    shortest = max(least, 20 if tags else 0)  # the kernel discards what ends before the EtherType behind a tag
    shape = rng.randrange(10)
    if shape < 2:
        length = rng.randrange(shortest, 60)
    elif shape < 4:
        length = limit - rng.randrange(4)
    else:
        length = rng.randrange(shortest, limit + 1)
    ethertype, payload = rng.choice(MAKERS)(rng, max(0, length - least))
    if ethertype == 0x8864:
        length = max(length, least + 8)  # a PPPoE session: bridges discard what ends before the PPP header
    frame = l2.ethernet(random_destination(rng), SOURCE, ethertype, payload, tags)
    # Whatever the maker gave is cut or filled: trailers and truncated headers are frames like all others.
    return (frame + rng.randbytes(max(0, length - len(frame))))[:length]


def make_ipx(rng):
    """IPX on "raw" 802.3: a length instead of an EtherType, and an IPX header that begins with 0xFFFF."""
    body = struct.pack("!HHBB", 0xFFFF, 30 + 64, 0, 17) + rng.randbytes(24) + rng.randbytes(64)
    return l2.ethernet(b"\xff" * 6, SOURCE, len(body), body)


class Receiver:
    def __init__(self, port):
        self.port = port
        self.frames = []

    def take(self, timeout):
        """One frame of ours; False when the time is over."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            frame = self.port.recv(left)
            if frame is not None and frame[6:12] == SOURCE:
                self.frames.append(frame)
                return True
        return False


def transmit(tx, receiver, frames):
    """Sends all; at most WINDOW are under way. A frame that is lost is waited for once."""
    lost = 0
    for n, frame in enumerate(frames):
        tx.send(frame)
        while n + 1 - len(receiver.frames) - lost > WINDOW:
            if not receiver.take(1.0):
                lost = n + 1 - len(receiver.frames)
    while len(receiver.frames) < len(frames) - lost and receiver.take(1.0):
        pass
    receiver.take(0.2)  # one too many?


def compare(sent, received):
    if sent == received:
        return True
    print(f"sent {len(sent)}, received {len(received)}")
    if sorted(sent) == sorted(received):
        print("the same frames, in another order")
    missing, extra = list(sent), []
    for frame in received:
        if frame in missing:
            missing.remove(frame)
        else:
            extra.append(frame)
    for title, frames in (("missing", missing), ("never sent", extra)):
        for frame in frames[:4]:
            print(f"{title}: {len(frame)} bytes: {frame[:64].hex()}")
    return False


def run_mix(tx, receiver, args):
    rng = random.Random(args.seed)
    if args.ipx:
        sent = [make_ipx(rng)]
    else:
        sent = [make_frame(rng, args.mtu) for _ in range(args.count)]
        # Both ends of the range, for certain.
        tag = [(0x8100, 5)]
        sent += [l2.ethernet(b"\xff" * 6, SOURCE, 0x88B5, b"", ()), l2.ethernet(b"\xff" * 6, SOURCE, 0x88B5, rng.randbytes(args.mtu))]
        sent += [l2.ethernet(b"\xff" * 6, SOURCE, 0x88B5, rng.randbytes(args.mtu - 4 * n), tag * (n + 1)) for n in range(3)]
        if missing := kinds_missing(sent, args.mtu) if args.count >= KINDS_FROM else []:
            print("no frame is " + "; ".join(missing))
            return 1
    transmit(tx, receiver, sent)
    if not compare(sent, receiver.frames):
        return 1
    print(f"{len(sent)} frames, {min(map(len, sent))} to {max(map(len, sent))} bytes")
    return 0


def run_lengths(tx, receiver, args):
    first, last = map(int, args.lengths.split("-"))
    rng = random.Random(args.seed)
    tags = [(0x88A8, 7), (0x8100, 5)] if args.qinq else [(0x8100, 5), (0x8100, 6), (0x88A8, 7)][: args.tags]
    sent = []
    for length in range(first, last + 1):
        body = rng.randbytes(length - 14 - 4 * len(tags))
        ethertype = args.ethertype
        if args.ipx:  # raw 802.3: the length takes the EtherType's place
            ethertype, body = len(body), b"\xff\xff" + body[2:]
        sent.append(l2.ethernet(b"\xff" * 6, SOURCE, ethertype, body, tags))
    transmit(tx, receiver, sent)
    return 0 if compare(sent, receiver.frames) else 1


def run_reserved(tx, receiver, args):
    """args.reserved: last bytes, in hex, of the reserved addresses that have to arrive; the other ones, and 0x8808, must not."""
    wanted = [int(n, 16) for n in args.reserved.split(",")]
    for n in range(16):
        tx.send(l2.ethernet(bytes.fromhex("0180c20000") + bytes([n]), SOURCE, 0x88B5, bytes([n]) * 46))
    tx.send(l2.ethernet(bytes.fromhex("02dd00000001"), SOURCE, 0x8808, b"\0\1" + bytes(44)))
    tx.send(l2.ethernet(bytes.fromhex("0180c2000001"), SOURCE, 0x8808, b"\0\1" + bytes(44)))
    tx.send(l2.ethernet(b"\xff" * 6, SOURCE, 0x8808, b"\0\1" + bytes(44), [(0x8100, 1)]))
    tx.send(l2.ethernet(b"\xff" * 6, SOURCE, 0x88B5, b"end" + bytes(43)))
    while receiver.take(1.0) and receiver.frames[-1][14:17] != b"end":
        pass
    got = [frame[5] for frame in receiver.frames if frame[:5] == bytes.fromhex("0180c20000")]
    others = [frame[12:18].hex() for frame in receiver.frames[:-1] if frame[:5] != bytes.fromhex("0180c20000")]
    print("arrived: " + " ".join(f"{n:02x}" for n in got) + "; of EtherType 0x8808: " + str(others))
    return 0 if got == wanted and not others else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tx", required=True, help="namespace/device to send into")
    parser.add_argument("--rx", required=True, help="namespace/device to receive from")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--ipx", action="store_true", help="one IPX frame instead of a mix; with --lengths: IPX on raw 802.3")
    parser.add_argument("--lengths", help="FIRST-LAST: one frame of each length instead of a mix")
    parser.add_argument("--tags", type=int, default=0, help="with --lengths: VLAN tags")
    parser.add_argument("--qinq", action="store_true", help="with --lengths: an 802.1ad tag and one inside")
    parser.add_argument("--ethertype", type=lambda text: int(text, 0), default=0x88B5, help="with --lengths")
    parser.add_argument("--reserved", help="reserved addresses that have to arrive")
    args = parser.parse_args()
    tx = l2.Port(*args.tx.split("/"))
    receiver = Receiver(l2.Port(*args.rx.split("/")))
    if args.reserved is not None:
        return run_reserved(tx, receiver, args)
    return run_lengths(tx, receiver, args) if args.lengths else run_mix(tx, receiver, args)


if __name__ == "__main__":
    sys.exit(main())

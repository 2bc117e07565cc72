#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
frames: sends generated Ethernet frames into one interface and wants exactly these, byte for byte and in order, out of another.

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


def transport(rng, room):
    """A TCP, UDP or SCTP segment, checksum as likely wrong as not there."""
    protocol = rng.choice((6, 17, 132, 1, 47))
    header = {6: 20, 17: 8, 132: 12, 1: 8, 47: 4}[protocol]
    body = bytearray(rng.randbytes(max(header, room)))
    if protocol == 17:
        body[4:6] = struct.pack("!H", len(body) & 0xFFFF)
    elif protocol == 6:
        body[12] = 0x50
    return protocol, bytes(body)


def make_ipv4(rng, room):
    options = rng.choice((b"", b"", b"\x07\x07\x04\0\0\0\0\0", b"\x94\x04\0\0", b"\x01" * 40))
    protocol, body = transport(rng, room - 20 - len(options))
    fragment = rng.choice((0, 0, 0x4000, 0x2000, 0x2000 | rng.randrange(1, 8191), rng.randrange(1, 8191)))
    packet = bytearray(l2.ipv4(rng.randbytes(4), rng.randbytes(4), protocol, body, options, rng.randrange(256), fragment))
    wrong = rng.randrange(8)
    if wrong == 0:
        packet[10] ^= 0xFF  # header checksum
    elif wrong == 1:
        packet[2:4] = rng.randbytes(2)  # total length
    elif wrong == 2:
        packet[0] = rng.randrange(256)  # version and header length
    return 0x0800, bytes(packet)


def make_ipv6(rng, room):
    chain = [rng.choice((0, 43, 60, 44)) for _ in range(rng.randrange(4))]
    protocol, body = transport(rng, room - 40 - 8 * len(chain))
    following = chain[1:] + [protocol]
    headers = b"".join(bytes([after, 0]) + rng.randbytes(6) for after in following) if chain else b""
    return 0x86DD, l2.ipv6(rng.randbytes(16), rng.randbytes(16), (chain + [protocol])[0], headers + body, rng.randrange(256))


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


def make_other(rng, room):
    while True:
        ethertype = rng.randrange(65536)
        if ethertype not in SPECIAL_TYPES:
            return ethertype, rng.randbytes(room)


MAKERS = (make_ipv4, make_ipv4, make_ipv4, make_ipv6, make_ipv6, make_arp, make_lldp, make_mpls, make_llc, make_other)


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

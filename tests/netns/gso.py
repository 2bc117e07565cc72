# SPDX-License-Identifier: MIT
"""
gso: super-frames for the helpers of the netns tests: their bytes, the virtio-net header that goes with them, and each piece that may be
cut from them. The rules of cutting are written down here a second time, independent of ethercord's: IP ID + 1 per gso_size bytes, FIN and
PSH on the last piece, CWR on the first, lengths and checksums.
"""
import itertools
import socket
import struct

import l2

PACKET_VNET_HDR = 15
SO_SNDBUFFORCE = 32
SOURCE_PREFIX = bytes.fromhex("02ec73")  # and 3 bytes of number: how a frame is recognised
DESTINATION = bytes.fromhex("02ec74000001")
VNET_HEADER = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
NEEDS_CSUM = 1
GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 1, 4, 5, 0x80
FIN, PSH, ACK, URG, ECE, CWR = 0x01, 0x08, 0x10, 0x20, 0x40, 0x80
PACKET_MAX = 65535
TAGS = ((), ((0x8100, 0x2005),), ((0x88A8, 0x0007), (0x8100, 0xE0C8)), ((0x8100, 1), (0x8100, 2), (0x88A8, 3)))

KINDS = ("tso4", "tso6", "uso4", "uso6")
# Extension headers: type, and the bytes behind the next-header field. A routing header of type 2 (RFC 6275) has one address, and moves the
# destination that the pseudo-header has.
LAST_HOP = bytes.fromhex("20010db8000000000000000000000099")
HOP_BY_HOP = (0, bytes((0, 1, 4, 0, 0, 0, 0)))
DESTINATION_OPTIONS = (60, bytes((1, 1, 12)) + bytes(12))
ROUTING = (43, bytes((2, 2, 1, 0, 0, 0, 0)) + LAST_HOP)
# The first five are for products.
EXTENSIONS = {
    "plain": (),
    "hop-by-hop": (HOP_BY_HOP,),
    "destination": (DESTINATION_OPTIONS,),
    "routing": (ROUTING,),
    "chain": (HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING, DESTINATION_OPTIONS),
    "long": ((60, bytes((32, 1, 255)) + bytes(255) + bytes((1, 3)) + bytes(3)),),
    "eight": (DESTINATION_OPTIONS,) * 8,
}
IP_OPTIONS = {"plain": b"", "options": b"\x94\x04\0\0" + b"\x07\x0b\x04" + bytes(8) + b"\x01"}  # router alert, record route
TCP_OPTIONS = {
    "none": b"",
    "timestamps": b"\x01\x01\x08\x0a" + bytes.fromhex("0badcafe12345678"),
    "sack": b"\x01\x01\x08\x0a" + bytes.fromhex("0badcafe12345678") + b"\x01\x01\x05\x12" + bytes(range(16)) + b"\x01\x01\x01\x01",
}
V4 = (bytes((198, 18, 0, 1)), bytes((198, 18, 0, 2)))
V6 = (bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002"))


def ones_sum(data):
    """The one's complement sum, not complemented."""
    return ~struct.unpack("!H", l2.checksum(data))[0] & 0xFFFF


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Super:
    """
    A super-frame, or with gso = 0 a frame whose checksum is not filled in. `shape` is a dict of: kind, tags, headers (a key of EXTENSIONS
    or IP_OPTIONS), options (of TCP_OPTIONS), gso, length (of the payload), flags, has_ecn_type, has_hdr_len, ident, tos, df.
    """

    def __init__(self, number, shape, payload):
        self.number = number
        self.shape = shape
        self.payload = payload
        self.gso = shape["gso"]
        self.kind = shape["kind"]
        self.is_tcp = self.kind.startswith("t")
        self.is_v6 = self.kind.endswith("6")
        self.protocol = 6 if self.is_tcp else 17
        tags = TAGS[shape["tags"]]
        self.ethernet = l2.ethernet(DESTINATION, SOURCE_PREFIX + number.to_bytes(3, "big"), 0x86DD if self.is_v6 else 0x0800, b"", tags)
        self.l3 = len(self.ethernet)
        self.l3_more = self._l3_more(shape["headers"])
        self.l4 = self.l3 + (40 if self.is_v6 else 20) + len(self.l3_more)
        self.sequence = (0xFFFFFF00 + number * 7) & 0xFFFFFFFF  # some wrap around
        self.l4_options = TCP_OPTIONS[shape["options"]] if self.is_tcp else b""
        self.l4_len = 20 + len(self.l4_options) if self.is_tcp else 8
        self.headers_len = self.l4 + self.l4_len
        source, destination = V6 if self.is_v6 else V4
        if ROUTING in EXTENSIONS.get(shape["headers"], ()) and self.is_v6:
            destination = LAST_HOP
        self.pseudo = ones_sum(source + destination) + self.protocol

    def _l3_more(self, name):
        if not self.is_v6:
            return IP_OPTIONS[name]
        following, chain = self.protocol, b""
        for kind, body in reversed(EXTENSIONS[name]):
            chain = bytes((following,)) + body + chain
            following = kind
        self.next_header = following
        return chain

    def _ip(self, at, length):
        l4_len = self.l4_len + length
        if self.is_v6:
            first = 6 << 28 | self.shape["tos"] << 20 | 0x12345
            return struct.pack("!IHBB", first, len(self.l3_more) + l4_len, self.next_header, 61) + V6[0] + V6[1] + self.l3_more
        header_len = 20 + len(self.l3_more)
        ident = self.shape["ident"] + (at // self.gso if self.gso else 0) & 0xFFFF
        header = struct.pack("!BBHHHBBH", 0x40 | header_len // 4, self.shape["tos"], header_len + l4_len, ident,
                             0x4000 if self.shape["df"] else 0, 61, self.protocol, 0) + V4[0] + V4[1] + self.l3_more
        return header[:10] + l2.checksum(header) + header[12:]

    def _l4(self, at, length, checksum):
        ports = struct.pack("!HH", 1024 + self.number % 50000, 4433)
        if not self.is_tcp:
            return ports + struct.pack("!HH", 8 + length, checksum)
        flags = self.shape["flags"]
        if at > 0:
            flags &= ~CWR
        if at + length < len(self.payload):
            flags &= ~(FIN | PSH)
        return ports + struct.pack("!IIBBHHH", (self.sequence + at) & 0xFFFFFFFF, 0xABCD0123, self.l4_len << 2, flags, 501, checksum,
                                   7 if flags & URG else 0) + self.l4_options

    def whole(self):
        """The super-frame as it is handed over: its checksum field has the sum of the pseudo-header."""
        length = len(self.payload)
        partial = fold(self.pseudo + self.l4_len + length)
        return self.ethernet + self._ip(0, length) + self._l4(0, length, partial) + self.payload

    def piece(self, at, length):
        """The frame that has the payload from `at` to at + length."""
        payload = self.payload[at : at + length]
        checksum = fold(self.pseudo + self.l4_len + length + ones_sum(self._l4(at, length, 0) + payload)) ^ 0xFFFF
        if not self.is_tcp:
            checksum = checksum or 0xFFFF
        return self.ethernet + self._ip(at, length) + self._l4(at, length, checksum) + payload

    def place_of(self, frame, after):
        """(at, length) of what a received frame carries, by its own headers (a datagram: by its content, the first such one from `after`
        on); None when they are not of this super-frame."""
        if len(frame) < self.headers_len or frame[: self.l3] != self.ethernet:
            return None
        length = struct.unpack_from("!H", frame, self.l3 + (4 if self.is_v6 else 2))[0] - (40 if not self.is_v6 else 0)
        length -= len(self.l3_more) + self.l4_len - (20 if not self.is_v6 else 0)
        if self.is_tcp:
            return struct.unpack_from("!I", frame, self.l4 + 4)[0] - self.sequence & 0xFFFFFFFF, length
        step = self.gso or max(1, len(self.payload))
        for at in range(-(-after // step) * step, max(1, len(self.payload)), step):
            if self.payload[at : at + step] == frame[self.headers_len :]:
                return at, length
        return None

    def vnet_header(self):
        gso_type = 0
        if self.gso:
            gso_type = {"tso4": GSO_TCPV4, "tso6": GSO_TCPV6}.get(self.kind, GSO_UDP_L4)
            if self.shape["has_ecn_type"]:
                gso_type |= GSO_ECN
        hdr_len = self.headers_len if self.shape["has_hdr_len"] else 0
        return VNET_HEADER.pack(NEEDS_CSUM, gso_type, hdr_len, self.gso, self.l4, 16 if self.is_tcp else 6)

    def n_segments(self):
        return max(1, -(-len(self.payload) // self.gso)) if self.gso else 1

    def describe(self):
        return f"#{self.number} " + " ".join(f"{key}={value}" for key, value in self.shape.items())


class Injector(l2.Port):
    """Sends super-frames out of an interface, as the network stack above it would."""

    def __init__(self, namespace, device):
        super().__init__(namespace, device)
        self.sock.setsockopt(l2.SOL_PACKET, PACKET_VNET_HDR, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)

    def inject(self, item):
        self.sock.send(item.vnet_header() + item.whole())


def headers_max(kind, headers, options):
    """Bytes of IP, TCP and UDP headers."""
    l3 = 40 + sum(1 + len(body) for _, body in EXTENSIONS[headers]) if kind.endswith("6") else 20 + len(IP_OPTIONS[headers])
    return l3 + (20 + len(TCP_OPTIONS[options]) if kind.startswith("t") else 8)


def product_of(mtu):
    """The product that a test goes through, as dicts: kind, tags, headers, gso size (the largest that the MTU allows in its place), tail
    (bytes of the last segment short of a whole one), and whether a congestion window was just reduced."""
    sizes = (64, 536, 1208, 1448) + ((8948,) if mtu >= 9000 else ())
    for kind, tags, gso, tail in itertools.product(KINDS, range(3), sizes, ("whole", "one", "less-one")):
        for headers in list(EXTENSIONS)[:5] if kind.endswith("6") else IP_OPTIONS:
            for is_reduced in (False, True) if kind.startswith("t") else (False,):
                yield {"kind": kind, "tags": tags, "headers": headers, "gso": gso, "tail": tail, "is_reduced": is_reduced}

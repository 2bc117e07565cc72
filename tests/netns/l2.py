# SPDX-License-Identifier: MIT
"""
l2: Ethernet frames in and out of interfaces in other network namespaces, for the helpers of the netns tests.

Frames are seen as they are on the wire: the kernel takes the outermost VLAN tag out of what a packet socket receives and tells it
beside the frame; Port.recv() puts it back.
"""
import ctypes
import os
import select
import socket
import struct

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
AUXDATA = struct.Struct("=IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid

_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    """The calling thread goes into the named network namespace; sockets made from then on belong there."""
    fd = os.open("/run/netns/" + namespace, os.O_RDONLY)
    try:
        if _libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns " + namespace)
    finally:
        os.close(fd)


class Port:
    """A packet socket on one interface: what comes in there, and what is sent out of it."""

    def __init__(self, namespace, device):
        enter(namespace)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.sock.bind((device, ETH_P_ALL))
        self.sock.setblocking(False)
        self.mac = self.sock.getsockname()[4]

    def send(self, frame):
        self.sock.send(frame)

    def recv(self, timeout=1.0):
        """The next frame, or None when none comes in time."""
        if timeout and not select.select([self.sock], [], [], timeout)[0]:
            return None
        try:
            frame, ancillary, _, _ = self.sock.recvmsg(70000, 256)
        except BlockingIOError:
            return None
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[: AUXDATA.size])
                if status & TP_STATUS_VLAN_VALID:
                    tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                    frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
        return frame


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    """The Internet checksum (RFC 1071) as two bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def ethernet(dst, src, ethertype, payload, tags=()):
    """tags: (TPID, TCI) from the outermost in."""
    header = dst + src + b"".join(struct.pack("!HH", tpid, tci) for tpid, tci in tags)
    return header + struct.pack("!H", ethertype) + payload


def ipv4(src, dst, protocol, payload, options=b"", ttl=64, fragment=0, ident=0):
    """Addresses as 4 bytes; options already padded to a multiple of 4."""
    ihl = 5 + len(options) // 4
    length = ihl * 4 + len(payload)
    header = struct.pack("!BBHHHBBH4s4s", 0x40 | ihl, 0, length, ident, fragment, ttl, protocol, 0, src, dst) + options
    return header[:10] + checksum(header) + header[12:] + payload


def ipv6(src, dst, next_header, payload, hop_limit=64):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), next_header, hop_limit, src, dst) + payload


def icmp_echo(ident, sequence, payload, kind=8):
    message = struct.pack("!BBHHH", kind, 0, 0, ident, sequence) + payload
    return message[:2] + checksum(message) + message[4:]


def icmpv6(src, dst, message):
    """Fills in the checksum of an ICMPv6 message whose checksum field is zero."""
    pseudo = src + dst + struct.pack("!II", len(message), 58)
    return message[:2] + checksum(pseudo + message) + message[4:]


def arp(operation, sender_mac, sender_ip, target_mac, target_ip):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + sender_mac + sender_ip + target_mac + target_ip

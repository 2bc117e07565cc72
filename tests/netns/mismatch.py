#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
mismatch: sends packets and super-frames that a far TAP has no room for, behind VLAN tags and by hand, and reads what comes back with scapy,
which sums the checksums once more. Ends with "told N untold M": how many were answered, how many must not be and were not.
"""
import argparse
import logging
import os
import sys
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import ICMP, IP, UDP, Dot1Q, Ether, ICMPv6PacketTooBig, IPv6, Raw  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gso  # noqa: E402
import l2  # noqa: E402

SOURCE = "02:ec:73:00:ff:ff"
DESTINATION = "02:ec:74:00:00:01"
QUOTE = {4: 576 - 28, 6: 1280 - 48}
PAUSE = 0.015  # where a kernel cuts a super-frame each segment is answered, and there are 1000 answers a second


def answers(port, to, timeout):
    """Frames to `to` that come in within that time."""
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        frame = port.recv(left)
        if frame and frame[:6] == to:
            yield frame


def rebuilt(frame):
    """The same frame with its checksums summed by scapy."""
    packet = Ether(frame)
    for layer, field in ((IP, "chksum"), (ICMP, "chksum"), (ICMPv6PacketTooBig, "cksum")):
        if layer in packet:
            delattr(packet[layer], field)
    return bytes(packet)


def problem_with(frame, sent, l3, mtu):
    """What is wrong with an answer to a frame whose IP header is at l3; None when nothing is."""
    packet = Ether(frame)
    if frame[6:12] in (sent[:6], sent[6:12]) or not frame[6] & 2 or frame[12:l3] != sent[12:l3]:
        return "addresses or tags"
    if sent[l3] >> 4 == 4:
        if ICMP not in packet or (packet[ICMP].type, packet[ICMP].code, packet[ICMP].nexthopmtu) != (3, 4, mtu):
            return "not fragmentation needed"
        if frame[l3 + 12 : l3 + 20] != sent[l3 + 16 : l3 + 20] + sent[l3 + 12 : l3 + 16]:
            return "IP addresses"
        quote = frame[l3 + 28 :]
    else:
        if ICMPv6PacketTooBig not in packet or packet[ICMPv6PacketTooBig].mtu != mtu:
            return "not packet too big"
        if frame[l3 + 8 : l3 + 40] != sent[l3 + 24 : l3 + 40] + sent[l3 + 8 : l3 + 24]:
            return "IP addresses"
        quote = frame[l3 + 48 :]
    if quote != sent[l3:][: QUOTE[sent[l3] >> 4]]:
        return "quote"
    return None if rebuilt(frame) == frame else "checksums"


def check_told(port, sent, l3, mtu, what):
    """One answer at least, within a second, and right."""
    began = time.monotonic()
    for frame in answers(port, sent[6:12], 1.0):
        problem = problem_with(frame, sent, l3, mtu)
        if problem:
            print(f"{what}: {problem}: {frame.hex()}")
            return False
        print(f"{what}: told after {(time.monotonic() - began) * 1000:.1f} ms")
        return True
    print(f"{what}: no answer")
    return False


def supers(mtu):
    """Super-frames whose segments are 1 to 100 bytes above the MTU."""
    number = 0
    for kind in gso.KINDS:
        for tags in range(3):
            for more in (1, 50, 100) if tags == 0 else (1, 50):
                shape = {"kind": kind, "tags": tags, "headers": "plain", "options": "none", "flags": gso.ACK, "has_ecn_type": False,
                         "has_hdr_len": True, "ident": 7, "tos": 0, "df": True}
                shape["gso"] = mtu + more - gso.headers_max(kind, "plain", "none")
                number += 1
                yield gso.Super(number, shape, os.urandom(8 * shape["gso"] + 5))


def by_hand(mtu):
    """(what, frame, whether it is to be answered)"""
    ether, tag = Ether(src=SOURCE, dst=DESTINATION), Dot1Q(vlan=101, prio=3)
    long4 = UDP(sport=1, dport=2) / Raw(os.urandom(mtu + 30 - 28))
    long6 = UDP(sport=1, dport=2) / Raw(os.urandom(mtu + 30 - 48))
    v4, v6 = IP(src="198.18.0.1", dst="198.18.0.2", flags="DF"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    yield "tagged IPv4", ether / tag / v4 / long4, True
    yield "tagged IPv6", ether / tag / v6 / long6, True
    yield "two tags, IPv4", ether / Dot1Q(vlan=7, type=0x8100) / tag / v4 / long4, True
    yield "without DF", ether / IP(src="198.18.0.1", dst="198.18.0.2") / long4, False
    yield "later fragment", ether / IP(src="198.18.0.1", dst="198.18.0.2", flags="DF", frag=100) / long4, False
    yield "ICMP error", ether / v4 / ICMP(type=3, code=4) / Raw(bytes(mtu)), False
    yield "to a group", Ether(src=SOURCE, dst="01:00:5e:00:00:09") / IP(src="198.18.0.1", dst="224.0.0.9", flags="DF") / long4, False
    yield "from 127.0.0.1", ether / IP(src="127.0.0.1", dst="198.18.0.2", flags="DF") / long4, False
    yield "no IP", Ether(src=SOURCE, dst=DESTINATION, type=0x88B5) / Raw(os.urandom(mtu + 5)), False
    yield "broken IP", ether / IP(src="198.18.0.1", dst="198.18.0.2", flags="DF", len=20) / Raw(os.urandom(mtu + 30)), False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", required=True, help="NAMESPACE/DEVICE")
    parser.add_argument("--mtu", type=int, required=True, help="of the far TAP")
    args = parser.parse_args()
    port, injector = l2.Port(*args.at.split("/")), gso.Injector(*args.at.split("/"))
    told = untold = 0
    is_right = True
    for item in supers(args.mtu):
        time.sleep(PAUSE)
        injector.inject(item)
        is_told = check_told(port, item.piece(0, item.gso), item.l3, args.mtu, item.describe())
        is_right &= is_told
        told += is_told
    for what, packet, is_answerable in by_hand(args.mtu):
        frame = bytes(packet)
        port.send(frame)
        if is_answerable:
            l3 = 14 + 4 * sum(isinstance(layer, Dot1Q) for layer in (packet.getlayer(i) for i in range(4)))
            is_told = check_told(port, frame, l3, args.mtu, what)
            is_right &= is_told
            told += is_told
        elif any(True for _ in answers(port, frame[6:12], 0.3)):
            print(f"{what}: answered")
            is_right = False
        else:
            untold += 1
    print(f"told {told} untold {untold}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())

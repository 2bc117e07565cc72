#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
trains: what the underlay between two namespaces does with a UDP train, which is what tells the modes of bench.sh apart. Sends trains by
UDP_SEGMENT, receives with UDP_GRO, and prints a JSON object: how many datagrams a packet on the receiving interface held before GRO (a
train that passes whole: many; one cut at the sender: 1), and how many a read at the socket got at most. Exit code 1: not as in that mode.
"""
import argparse
import json
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))
import l2  # noqa: E402

UDP_SEGMENT = 103
UDP_GRO = 104
SEGMENT_BYTES = 1200
SEGMENTS = 16
TRAINS = 50

# What a mode says of the two numbers.
MODES = {
    "offload": lambda per_packet, per_read: per_packet > SEGMENTS / 2 and per_read > SEGMENTS / 2,
    "wire": lambda per_packet, per_read: per_packet <= 1 and per_read > SEGMENTS / 2,
    "bare": lambda per_packet, per_read: per_packet <= 1 and per_read == 1,
}


def packets_received(device):
    with open("/proc/net/dev", encoding="ascii") as file:  # of the namespace that this thread is in, unlike /sys
        for line in file:
            name, _, fields = line.partition(":")
            if name.strip() == device:
                return int(fields.split()[1])
    raise SystemExit(f"trains: no interface {device}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("source", help="namespace")
    parser.add_argument("sink", help="namespace")
    parser.add_argument("address", help="of the sink")
    parser.add_argument("device", help="of the sink")
    args = parser.parse_args()
    l2.enter(args.source)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=i", SEGMENT_BYTES))
    l2.enter(args.sink)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    receiver.bind((args.address, 0))
    receiver.settimeout(0.2)
    before = packets_received(args.device)
    largest = received = 0
    for _ in range(TRAINS):
        sender.sendto(bytes(SEGMENT_BYTES * SEGMENTS), receiver.getsockname())
        expected = received + SEGMENT_BYTES * SEGMENTS
        while received < expected:
            try:
                data = receiver.recv(65536)
            except TimeoutError:
                break
            received += len(data)
            largest = max(largest, len(data))
    packets = max(packets_received(args.device) - before, 1)
    per_packet, per_read = round(received / SEGMENT_BYTES / packets, 1), largest // SEGMENT_BYTES
    print(json.dumps({"datagrams_per_packet": per_packet, "datagrams_per_read": per_read, "ok": MODES[args.mode](per_packet, per_read)}))
    sys.exit(not MODES[args.mode](per_packet, per_read))


if __name__ == "__main__":
    main()

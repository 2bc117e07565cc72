#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
numbered: numbered Ethernet frames from one interface to another, each of a content that follows from its number, looked at as they arrive:

    sent=… received=… duplicates=… corrupted=…

received: different ones. What is missing, or late, or in another order is no fault here. It ends when nothing has come for a while.

The sender is never far ahead of the receiver, so that no queue on the way runs over, however busy this machine is.
"""
import argparse
import mmap
import os
import random
import select
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

ETHERTYPE = 0x88B5  # for experiments
HEADER = bytes.fromhex("02ec7e57000202ec7e570001") + struct.pack("!H", ETHERTYPE)
AHEAD = 400  # frames
QUIET_S = 0.5
STUCK_S = 0.3  # all of those that are ahead are lost


class Frames:
    def __init__(self, lengths, seed):
        self.first, self.last = lengths
        self.pool = random.Random(seed).randbytes(1 << 20)

    def make(self, number):
        length = self.first + number * 7919 % (self.last - self.first + 1)
        at = number * 104729 % (len(self.pool) - self.last)
        return HEADER + number.to_bytes(4, "big") + self.pool[at : at + length - len(HEADER) - 4]


def receive(port, frames, count, stop, progress):
    """stop: readable once all has been sent. progress: one above the highest number that has come, for the sender."""
    seen = bytearray(count)
    duplicates = corrupted = highest = 0
    sock = port.sock
    is_sent = False
    heard = time.monotonic()  # of ours
    while True:
        left = max(0, heard + QUIET_S - time.monotonic())
        ready, _, _ = select.select([sock] if is_sent else [sock, stop], [], [], left if is_sent else None)
        if stop in ready:
            is_sent = True
            heard = time.monotonic()
        elif not ready or (is_sent and left == 0):
            break
        if sock not in ready:
            continue
        try:
            while True:
                frame = sock.recv(70000)
                if frame[: len(HEADER)] != HEADER:
                    # A frame of somebody else's; one of ours with damage to its header would have the beginning or the end of it.
                    corrupted += frame[:6] == HEADER[:6] or frame[6:12] == HEADER[6:12]
                    continue
                number = int.from_bytes(frame[14:18], "big")
                heard = time.monotonic()
                if number >= count or frame != frames.make(number):
                    corrupted += 1
                elif seen[number]:
                    duplicates += 1
                else:
                    seen[number] = 1
                    highest = max(highest, number + 1)
        except BlockingIOError:
            progress[:4] = highest.to_bytes(4, "big")
    print(f"sent={count} received={sum(seen)} duplicates={duplicates} corrupted={corrupted}")


def transmit(port, frames, count, rate, progress):
    port.sock.setblocking(True)
    start = moved = time.monotonic()
    sent = highest = 0
    while sent < count:
        now = time.monotonic()
        before, highest = highest, int.from_bytes(progress[:4], "big")
        if highest != before:
            moved = now
        due = min(int((now - start) * rate) + 1, count, sent + AHEAD if now - moved > STUCK_S else highest + AHEAD)
        while sent < due:
            port.send(frames.make(sent))
            sent += 1
            moved = max(moved, now)
        time.sleep(min(0.0005, 1 / rate))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tx", required=True, help="namespace/device to send into")
    parser.add_argument("--rx", required=True, help="namespace/device to receive from")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--lengths", default="1000-1400", help="FIRST-LAST of the frames")
    parser.add_argument("--rate", type=float, default=20000, help="frames a second")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    first, last = args.lengths.split("-")
    frames = Frames((int(first), int(last)), args.seed)
    rx = l2.Port(*args.rx.split("/"))
    read_end, write_end = os.pipe()
    progress = mmap.mmap(-1, mmap.PAGESIZE)
    child = os.fork()
    if child == 0:
        os.close(write_end)
        receive(rx, frames, args.count, read_end, progress)
        sys.stdout.flush()
        os._exit(0)
    rx.sock.close()
    transmit(l2.Port(*args.tx.split("/")), frames, args.count, args.rate, progress)
    os.close(write_end)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())

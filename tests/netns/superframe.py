#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
superframe: sends super-frames into one interface and compares what leaves another, frame by frame.

exact    Every super-frame is sent twice: through a pair of interfaces where the kernel itself has to cut it, and through the tunnel. The
         frames that come out have to be the same ones, in the same order. A run whose datagrams arrive one after the other may be cut
         between any two of them, for the far side waits for none: see must_be_exact() and --runs.
broken   Datagrams get lost on the way. What arrives has to be right by itself, wherever it was cut: see check_piece().

A super-frame of which something is missing is sent again by `exact` (and counted): devices have queues.
"""
import argparse
import collections
import os
import random
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gso  # noqa: E402
import l2  # noqa: E402

SEGMENTS_MAX = 900  # a queue between two interfaces has 1000 places (netdev_max_backlog)
UDP_SEGMENTS_MAX = 128  # the kernel's UDP_MAX_SEGMENTS
RUN_MAX = 63  # segments of a run (docs/protocol.md#records)
TRAIN_BYTES_MAX = 65487
OVERHEAD_MAX = 89  # around a frame, on IPv6
GIVEN_UP_MAX = 20
WINDOW_FRAMES = 200
WINDOW_BYTES = 131072
FLAGS = (gso.ACK, gso.ACK | gso.PSH, gso.ACK | gso.PSH | gso.FIN, gso.ACK | gso.FIN, gso.ACK | gso.URG | gso.PSH)
SHOWN = 4


def payload_len(rng, element, size, headers):
    """Bytes of payload: 2 segments, about 10, or as many as there can be."""
    gso_size = element["gso"]
    most = (gso.PACKET_MAX - headers) // gso_size
    most = min(most, UDP_SEGMENTS_MAX if element["kind"].startswith("u") else SEGMENTS_MAX)
    n = {"two": 2, "some": min(most, rng.randrange(8, 13)), "most": most}[size]
    last = {"whole": gso_size, "one": 1, "less-one": gso_size - 1}[element["tail"]]
    return (n - 1) * gso_size + last


def make_shape(rng, element, mtu, size):
    """An element of the product, and for all that it does not say a random choice."""
    shape = dict(element)
    shape["options"] = rng.choice(tuple(gso.TCP_OPTIONS)) if shape["kind"].startswith("t") else "none"
    headers = gso.headers_max(shape["kind"], shape["headers"], shape["options"])
    shape["gso"] = min(shape["gso"], mtu - headers)
    shape["length"] = payload_len(rng, shape, size, headers)
    shape["flags"] = rng.choice(FLAGS) | (gso.CWR | gso.ECE if shape["is_reduced"] else rng.choice((0, gso.ECE)))
    shape["has_ecn_type"] = shape["is_reduced"] and rng.random() < 0.75  # without it the kernel cuts all the same
    shape["has_hdr_len"] = rng.random() < 0.75
    shape["ident"] = rng.choice((0, 0x1234, 0xFFFE, 0xFFFF))
    shape["tos"] = rng.choice((0, 0, 2, 1, 0xB8))
    shape["df"] = rng.random() < 0.5
    return shape


def plain_shape(rng, mtu):
    """A frame that is no super-frame, but has its checksum undone."""
    kind = rng.choice(("tcp4", "tcp6", "udp4", "udp6"))
    headers = rng.choice(tuple(tuple(gso.EXTENSIONS)[:5] if kind.endswith("6") else gso.IP_OPTIONS))
    options = rng.choice(tuple(gso.TCP_OPTIONS)) if kind.startswith("t") else "none"
    most = mtu - gso.headers_max(kind, headers, options)
    length = rng.choice((rng.randrange(0, 3), rng.randrange(0, 200), rng.randrange(0, most + 1), most - rng.randrange(2)))
    return {"kind": kind, "tags": rng.randrange(3), "headers": headers, "options": options, "gso": 0, "length": length,
            "flags": rng.choice(FLAGS) | rng.choice((0, gso.CWR)), "has_ecn_type": False, "has_hdr_len": rng.random() < 0.5,
            "ident": rng.randrange(65536), "tos": rng.choice((0, 2, 0xB8)), "df": True}


def edge_shapes(mtu):
    """What a random choice would hardly find: the longest packets and frames, single segments, headers of extreme length."""
    common = {"tail": "", "is_reduced": False, "flags": gso.ACK | gso.PSH, "has_ecn_type": False, "has_hdr_len": True, "ident": 0xFFF0,
              "tos": 0, "df": True, "options": "none"}
    for kind in gso.KINDS:
        headers = gso.headers_max(kind, "plain", "none")
        most = [gso.PACKET_MAX - headers, gso.PACKET_MAX - headers - 14, gso.PACKET_MAX - headers - 15]
        if kind.endswith("6"):
            most += [gso.PACKET_MAX + 40 - headers, gso.PACKET_MAX + 1 - headers]
        lengths = [1400 - 1, 1400, 1401, 1400 - headers, 1400 - headers + 1, 1]
        for tags in range(3):
            for length in most + lengths:
                yield {"kind": kind, "tags": tags, "headers": "plain", "gso": 1400, "length": length} | common
        yield {"kind": kind, "tags": 3, "headers": "plain", "gso": 1000, "length": 5500} | common
    for kind in ("tso6", "uso6"):
        for headers in ("long", "eight"):
            yield {"kind": kind, "tags": 0, "headers": headers, "gso": 1000, "length": 5500} | common


class Maker:
    """Numbers super-frames and gives them payload."""

    def __init__(self, rng):
        self.rng = rng
        self.noise = rng.randbytes(3 * gso.PACKET_MAX)
        self.count = 0

    def make(self, shape, payload=None):
        self.count += 1
        if payload is None:
            at = self.rng.randrange(len(self.noise) - shape["length"])
            payload = self.noise[at : at + shape["length"]]
        return gso.Super(self.count, shape, payload)


def make_all(args):
    """The product `args.rounds` times, sizes in turn, with plain frames between, in any order."""
    rng = random.Random(args.seed)
    maker = Maker(rng)
    shapes = []
    for _ in range(args.rounds):
        elements = list(gso.product_of(args.mtu))
        rng.shuffle(elements)
        for n, element in enumerate(elements):
            for size in ("two", "some", "most") if args.whole else (("two", "some", "most")[n % 3],):
                shapes.append(make_shape(rng, element, args.mtu, size))
        shapes += [plain_shape(rng, args.mtu) for _ in range(len(elements) // 5)]
    shapes += edge_shapes(args.mtu)
    rng.shuffle(shapes)
    shapes = shapes[: args.sample]
    if args.grouped:
        half = len(shapes) // 2
        shapes[:half] = sorted(shapes[:half], key=lambda shape: shape["kind"])
    return maker, [maker.make(shape) for shape in shapes]


class Receiver:
    """Frames by the number in their source MAC address; and what is still to come of what was announced by expect()."""

    def __init__(self, port):
        self.port = port
        self.frames = collections.defaultdict(list)
        self.order = []
        self.pending = {}  # by number: [frames at most, bytes of payload still to come, bytes of headers]
        self.n_frames = 0  # sums over what is pending
        self.n_bytes = 0
        self.patience = 0.5  # seconds without a frame: then what is pending is lost
        self.n_given_up = 0

    def expect(self, item):
        # A frame without payload counts as one byte.
        self.pending[item.number] = [item.n_segments(), max(1, len(item.payload)), item.headers_len]
        self.n_frames += item.n_segments()
        self.n_bytes += max(1, len(item.payload))

    def give_up(self):
        """What did not come up to now is lost."""
        self.pending.clear()
        self.n_frames = self.n_bytes = 0

    def forget_before(self, number):
        """Frames keep their order: what is pending of those before is lost."""
        while number in self.pending and (first := next(iter(self.pending))) != number:
            entry = self.pending.pop(first)
            self.n_frames -= entry[0]
            self.n_bytes -= entry[1]

    def take(self, frame):
        number = int.from_bytes(frame[9:12], "big")
        self.frames[number].append(frame)
        if not self.order or self.order[-1] != number:
            self.order.append(number)
        entry = self.pending.get(number)
        if entry is None:
            return
        size = min(entry[1], max(1, len(frame) - entry[2]))
        entry[1] -= size
        self.n_bytes -= size
        if entry[1] == 0:
            self.n_frames -= entry[0]
            del self.pending[number]

    def drain(self, timeout):
        """All that is there; waits for the first one. Returns whether there was any."""
        frame = self.port.recv(timeout)
        if frame is None:
            return False
        while frame is not None:
            if frame[6:9] == gso.SOURCE_PREFIX:
                self.take(frame)
            frame = self.port.recv(0)
        return True

    def wait(self, most_frames=0, most_bytes=0):
        """Until no more are on their way."""
        while self.pending and (self.n_frames > most_frames or self.n_bytes > most_bytes):
            if not self.drain(self.patience):
                self.give_up()
                self.n_given_up += 1
                if self.n_given_up == GIVEN_UP_MAX:
                    self.patience = 0.05  # it goes on like this, no doubt


class Reference:
    """The kernel's own segmentation, in software: the sending end of a pair has no offload."""

    def __init__(self, namespace):
        self.tx = gso.Injector(namespace, "ref0")
        self.receiver = Receiver(l2.Port(namespace, "ref1"))

    def cut(self, item):
        """(frames, None) or (None, why the kernel doesn't do it)."""
        try:
            self.tx.inject(item)
        except OSError as error:
            return None, f"the kernel refuses the super-frame: {error.strerror}"
        self.receiver.expect(item)
        self.receiver.wait()
        frames = self.receiver.frames.pop(item.number, [])
        return (frames, None) if frames else (None, "the kernel drops the super-frame")


class Tunnel:
    """Sends with a window, as no queue on the way is endless."""

    def __init__(self, args):
        self.tx = gso.Injector(*args.tx.split("/"))
        self.receiver = Receiver(l2.Port(*args.rx.split("/")))
        self.was_alone = False

    def send(self, item, is_alone=False):
        if self.was_alone or is_alone:
            self.receiver.wait()
        self.receiver.wait(max(0, WINDOW_FRAMES - item.n_segments()), max(0, WINDOW_BYTES - len(item.payload)))
        self.was_alone = is_alone
        self.tx.inject(item)
        self.receiver.expect(item)

    def finish(self):
        self.receiver.wait()
        self.receiver.drain(0.1)  # one too many?


def first_difference(item, got, wanted):
    """What is wrong, in words; None when nothing is."""
    for n, (a, b) in enumerate(zip(got, wanted)):
        if is_same(item, a, b):
            continue
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        layer = "Ethernet" if at < item.l3 else f"IP+{at - item.l3}" if at < item.l4 else f"L4+{at - item.l4}"
        if at >= item.headers_len:
            layer = f"payload+{at - item.headers_len}"
        end = item.headers_len + 4
        return f"frame {n} of {len(wanted)}: {len(a)} bytes, wanted {len(b)}; differ from byte {at} ({layer}) on\n" \
               f"    got    {a[:end].hex()}\n    wanted {b[:end].hex()}"
    return None if len(got) == len(wanted) else f"{len(got)} frames, wanted {len(wanted)}"


def check_piece(item, frame, after):
    """What is wrong with one frame of a run: payload, headers, flags, IP ID and checksums have to be those of a piece cut at its place, it
    is no longer than gso_size, and it lies behind what came before. Returns (problem, place)."""
    place = item.place_of(frame, after)
    if place is None:
        return "is of another packet, or late", None
    at, length = place
    if at < after or at + length > len(item.payload) or (length == 0 and item.payload):
        return f"has {length} bytes from {at} on, after {after}", None
    if item.gso and length > item.gso:
        return f"has {length} bytes, more than gso_size", None
    problem = first_difference(item, [frame], [item.piece(at, length)])
    return problem, place


def check_pieces(item, frames):
    """(what is wrong with the first wrong one, bytes of payload that came up to there)."""
    after, n_bytes = 0, 0
    for n, frame in enumerate(frames):
        problem, place = check_piece(item, frame, after)
        if problem:
            return f"frame {n} {problem}", n_bytes
        after = sum(place)
        n_bytes += place[1]
    return None, n_bytes


def must_be_exact(item, args):
    """Whether the tunnel cuts the super-frame at multiples of gso_size only, or what it cuts otherwise arrives at once."""
    if args.runs == "none" or not item.gso or not item.is_tcp:
        return True
    room = args.path_mtu - OVERHEAD_MAX - item.headers_len
    if item.gso <= room:
        return True
    n_datagrams = min(RUN_MAX, -(-len(item.payload) // room))
    return args.runs == "trains" and n_datagrams * args.path_mtu <= TRAIN_BYTES_MAX


def is_same(item, a, b):
    """Of TCP's checksum, zero and all ones are the same number, and the kernel itself writes now this, now that."""
    field = item.l4 + (16 if item.is_tcp else 6)
    return a == b or (item.is_tcp and a[:field] + a[field + 2 :] == b[:field] + b[field + 2 :]
                      and {a[field : field + 2], b[field : field + 2]} == {b"\0\0", b"\xff\xff"})


class Exact:
    """Sends all through both and compares; remembers little, so that it may go on for long."""

    def __init__(self, args, reference, tunnel):
        self.args = args
        self.reference = reference
        self.tunnel = tunnel
        self.wanted = {}
        self.not_comparable = collections.Counter()
        self.wrong = []
        self.retried = []
        self.cut_elsewhere = []
        self.n_segments = 0

    def send(self, item):
        wanted, reason = self.reference.cut(item)
        if wanted is None:
            self.not_comparable[reason] += 1
            return None
        self.wanted[item.number] = wanted
        self.n_segments += len(wanted)
        is_alone = self.args.runs == "trains" and must_be_exact(item, self.args)
        self.tunnel.send(item, is_alone)
        return wanted

    def is_short(self, item):
        """Something is missing, and what is there is right."""
        got = self.tunnel.receiver.frames[item.number]
        if got == self.wanted[item.number]:
            return False
        problem, n_bytes = check_pieces(item, got)
        return not problem and n_bytes < len(item.payload)

    def retry(self, items):
        """One at a time, each at most twice."""
        for item in items:
            for _ in range(2):
                if not self.is_short(item) or len(self.retried) > GIVEN_UP_MAX:
                    break
                self.retried.append(item)
                self.tunnel.receiver.frames.pop(item.number)
                self.tunnel.send(item, True)
                self.tunnel.finish()

    def run(self, items):
        sent = [item for item in items if self.send(item) is not None]
        self.tunnel.finish()
        order = list(self.tunnel.receiver.order)
        self.retry([item for item in sent if self.is_short(item)])
        for item in sent:
            got = self.tunnel.receiver.frames.pop(item.number, [])
            problem = first_difference(item, got, self.wanted.pop(item.number))
            if problem and not must_be_exact(item, self.args) and check_pieces(item, got) == (None, len(item.payload)):
                self.cut_elsewhere.append(item)
            elif problem:
                self.wrong.append((item, problem))
        numbers = [item.number for item in sent]
        if not self.retried and not self.wrong and order != numbers:
            self.wrong.append((sent[0], "super-frames out of order"))
        self.tunnel.receiver.order.clear()
        return sent


def with_zero_sum(maker, item):
    """The same shape with a payload that makes the L4 checksum of one segment come out as zero, or None. That is where TCP and UDP differ
    (RFC 768: zero is sent as all ones)."""
    size = item.gso or len(item.payload)
    starts = [at for at in range(0, len(item.payload), size or 1) if len(item.payload) - at >= 2]
    if not starts:
        return None
    at = maker.rng.choice(starts)
    other = maker.make(item.shape)
    frame = other.piece(at, min(size, len(other.payload) - at))
    checksum, word = struct.unpack_from("!H", frame, other.l4 + (16 if other.is_tcp else 6)) + struct.unpack_from("!H", other.payload, at)
    other.payload = other.payload[:at] + struct.pack("!H", gso.fold(word + checksum)) + other.payload[at + 2 :]
    return other


def run_exact(args):
    maker, items = make_all(args)
    exact = Exact(args, Reference(args.reference), Tunnel(args))
    # A sample of each kind again, with checksums of zero.
    sample = {}
    for item in items:
        sample.setdefault((item.kind, item.shape["headers"], item.shape["tags"], min(item.gso, 1)), item)
    began = time.monotonic()
    for at in range(0, len(items), 2000):
        exact.run(items[at : at + 2000])
    zeros = [with_zero_sum(maker, item) for item in sample.values()]
    zeros = exact.run([item for item in zeros if item])
    took = time.monotonic() - began
    for item, problem in exact.wrong[:SHOWN]:
        print(f"{item.describe()}\n  {problem}")
    for reason, count in exact.not_comparable.items():
        print(f"not comparable: {count}: {reason}")
    print(f"{len(items) + len(zeros)} super-frames ({len(zeros)} with a checksum of zero), {exact.n_segments} segments, "
          f"{len(exact.wrong)} wrong, {len(exact.cut_elsewhere)} cut elsewhere, {sum(exact.not_comparable.values())} not comparable, "
          f"{len(exact.retried)} sent again, {took:.1f} s")
    for item in exact.retried[:SHOWN]:
        print(f"sent again: {item.describe()}")
    limit = 0 if args.strict else len(items) // 200
    return 1 if exact.wrong or exact.not_comparable or len(exact.retried) > limit else 0


class LossyReceiver(Receiver):
    """On a path that loses frames a later one tells that there is nothing more to come of those before."""

    def __init__(self, port):
        super().__init__(port)
        self.patience = 0.05

    def take(self, frame):
        self.forget_before(int.from_bytes(frame[9:12], "big"))
        super().take(frame)


def run_broken(args):
    """Prints what was sent and what came; how many datagrams were lost is known to the caller. Behind each super-frame goes a small
    frame."""
    rng = random.Random(args.seed)
    maker = Maker(rng)
    elements = list(gso.product_of(args.mtu))
    rng.shuffle(elements)
    small = {"kind": "udp4", "tags": 0, "headers": "plain", "gso": 0, "length": 20, "flags": 0, "has_hdr_len": True, "ident": 0, "tos": 0,
             "df": True, "options": "none", "has_ecn_type": False}
    tunnel = Tunnel(args)
    tunnel.receiver = LossyReceiver(tunnel.receiver.port)
    items = []
    for element in elements[: args.count]:
        items += [maker.make(make_shape(rng, element, args.mtu, "most")), maker.make(small)]
        tunnel.send(items[-2])
        tunnel.send(items[-1])
    tunnel.finish()
    sums, wrong = collections.Counter(), []
    for item in items:
        frames = tunnel.receiver.frames[item.number]
        problem, n_bytes = check_pieces(item, frames)
        for name in ("all", "tcp")[: 1 + item.is_tcp]:
            sums[name + "_sent"] += len(item.payload)
            sums[name + "_received"] += n_bytes
            sums[name + "_frames"] += len(frames)
        if problem:
            wrong.append(f"{item.describe()}\n  {problem}")
    print("\n".join(wrong[:SHOWN]) + ("\n" if wrong else ""), end="")
    print(f"{len(items)} super-frames, {len(wrong)} wrong; bytes and frames: " + " ".join(f"{name} {n}" for name, n in sums.items()))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=("exact", "broken"))
    parser.add_argument("--tx", required=True, help="namespace/device to send into")
    parser.add_argument("--rx", required=True, help="namespace/device to receive from, which gets frames cut and with their checksums")
    parser.add_argument("--reference", help="namespace with ref0 and ref1")
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--path-mtu", type=int, default=1420, help="[Peer] PathMTU of the sender")
    parser.add_argument("--runs", choices=("none", "trains", "datagrams"), default="datagrams",
                        help="exact: how what is cut by the tunnel arrives there: nothing is, a train at once, one by one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="exact: times through the product")
    parser.add_argument("--whole", action="store_true", help="exact: every element in all three sizes")
    parser.add_argument("--sample", type=int, help="exact: no more super-frames than that")
    parser.add_argument("--grouped", action="store_true", help="exact: the first half is sorted by kind")
    parser.add_argument("--strict", action="store_true", help="exact: nothing may have to be sent again")
    parser.add_argument("--count", type=int, default=200, help="broken: super-frames")
    args = parser.parse_args()
    return run_exact(args) if args.mode == "exact" else run_broken(args)


if __name__ == "__main__":
    sys.exit(main())

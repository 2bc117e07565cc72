#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
measures: what is asked of a peer that is up, the same of each: TCP by iperf3, UDP by udpload, pings by rtt, memory. Everything runs
between the hosts behind the two bridges (hA, hB); each measure becomes a record of bench.json as soon as it is there.

CPU time is that of all cores: elapsed time times cores, less what the kernel counted as idle or as taken by a hypervisor. (Idle time is
exact; the columns for user, system and interrupts are only sampled at the tick.) The load generators at both ends are in it, which are the
same for each peer. Programs that are not of the bench are not; but they take cores away, so how much they took is a field of each record,
others_cores. A measure during which that was too much is made once more, and the better one of the two stays.

  measures.py cost SECONDS MEASURE...      prints about how long these take, in seconds
  measures.py run OPTIONS MEASURE...       see --help
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from results import Results, is_disturbed  # noqa: E402

FAR = "10.9.0.2"
HEADERS_BYTES = 14 + 20 + 8  # Ethernet, IPv4, UDP
SMALL_BYTES = 64  # of an Ethernet frame without its FCS
LARGE_BYTES = 1400  # fits one datagram of every peer
FULL_BYTES = 1514  # of an MTU of 1500: fits none, over an underlay of 1500
PF_KTHREAD = 0x00200000
USER_HZ = os.sysconf("SC_CLK_TCK")

FLOOD_SECONDS = 0.5
STEP_SECONDS = 0.8
STEP_FACTOR = 1.25
STEPS_MAX = 8
TOO_MUCH_LOSS = 0.3
CLEAN_LOSS = 0.005
DRAIN_SECONDS = 0.15

REST_SECONDS = 1.5
PING_COUNT = 1500
PING_INTERVAL = 0.002
LOAD_PING_INTERVAL = 0.01


class Failed(Exception):
    """A measure that has no result, and why."""


class Others:
    """CPU seconds from here on of all programs outside the bench's namespaces. What a program's ended children used is in its account."""

    def __init__(self, namespaces):
        self.ours = {os.stat(path).st_ino for path in namespaces}
        self.began, self.began_s = time.monotonic(), self.read()

    def read(self):
        return sum(self.of_process(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid())

    def of_process(self, pid):
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino in self.ours:
                return 0.0
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return 0.0
        is_kernel_thread = int(fields[6]) & PF_KTHREAD
        return 0.0 if is_kernel_thread else sum(map(int, fields[11:15])) / USER_HZ

    def seconds(self):
        return max(self.read() - self.began_s, 0.0)

    def cores(self):
        return self.seconds() / (time.monotonic() - self.began)


class Cpu:
    """Busy seconds of all cores from here on, less what programs of others used."""

    def __init__(self, session):
        self.others = session.others()
        self.busy_s, self.stolen_s = self.read()

    @staticmethod
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            lines = file.read().splitlines()
        now = time.monotonic()
        fields = [int(field) / USER_HZ for field in lines[0].split()[1:]]
        cores = sum(re.match(r"cpu\d", line) is not None for line in lines)
        return now * cores - fields[3] - fields[4] - fields[7], fields[7]

    def used(self):
        """Seconds in use, and seconds that a hypervisor took away."""
        busy_s, stolen_s = self.read()
        return max(busy_s - self.busy_s - self.others.seconds(), 0.0), stolen_s - self.stolen_s


class Session:
    """One peer that is up, in one mode and round."""

    def __init__(self, args):
        self.prefix, self.seconds, self.tools, self.run_dir = args.prefix, args.seconds, args.tools, args.run_dir
        self.iperf_options = ["--congestion", args.congestion]
        self.cores = dict(zip("AB", args.cores)) if args.cores else None
        self.key = {"mode": args.mode, "round": args.round, "peer": args.peer}
        self.results = Results(args.out)
        self.port = 20000

    def tool(self, name):
        return os.path.join(self.tools, name)

    def within(self, name, *command):
        pin = ["taskset", "--cpu-list", self.cores[name[-1]]] if self.cores else []
        return ["nsenter", f"--net=/run/netns/{self.prefix}{name}", *pin, *map(str, command)]

    def others(self):
        return Others([f"/run/netns/{self.prefix}{name}" for name in ("hA", "nsA", "nsB", "hB")])

    def run(self, name, *command, patience=20.0):
        try:
            return subprocess.run(self.within(name, *command), capture_output=True, text=True, timeout=patience, check=False).stdout
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{command[0]} did not end within {patience:.0f} s") from error

    def start(self, name, *command):
        return subprocess.Popen(self.within(name, *command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def next_port(self):
        self.port += 1
        return self.port


def stop(process):
    process.terminate()
    try:
        return process.communicate(timeout=5)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0]


# ---- TCP ----------------------------------------------------------------------------------------------------------------------------

def iperf_server(session):
    server = session.start("hB", "iperf3", "-s", "-1", "--forceflush")
    for line in server.stdout:
        if "listening" in line:
            return server
    raise Failed("the iperf3 server did not start")


def iperf_client(session, flows, direction):
    flag = {"forward": [], "reverse": ["--reverse"], "both": ["--bidir"]}[direction]
    out = session.run("hA", "iperf3", "-c", FAR, "-t", f"{session.seconds:g}", "-P", flows, "--connect-timeout", 3000, "-J",
                      *session.iperf_options, *flag, patience=session.seconds + 15)
    try:
        document = json.loads(out)
    except ValueError as error:
        raise Failed("iperf3 said nothing") from error
    if document.get("error"):
        raise Failed("iperf3: " + document["error"])
    return document


def tcp(session, flows, direction):
    server = iperf_server(session)
    try:
        cpu = Cpu(session)
        document = iperf_client(session, flows, direction)
        cpu_s, stolen_s = cpu.used()
    finally:
        stop(server)
    end = document["end"]
    ways = [""] if direction != "both" else ["", "_bidir_reverse"]
    received = [end["sum_received" + way] for way in ways]
    count = sum(way["bytes"] for way in received)
    if count == 0:
        raise Failed("no byte arrived")
    each_way_mbps = [way["bits_per_second"] / 1e6 for way in received]
    retransmits = sum(end["sum_sent" + way].get("retransmits", 0) for way in ways)
    return {"mbps": sum(each_way_mbps), "each_way_mbps": each_way_mbps, "bytes": count, "cpu_s": cpu_s,
            "cpu_s_per_gb": cpu_s / (count / 1e9), "stolen_s": stolen_s,
            "retransmits": retransmits, "mss": document["start"].get("tcp_mss_default")}


# ---- UDP ----------------------------------------------------------------------------------------------------------------------------

def udp_step(session, frame_bytes, rate, seconds):
    """Sends at one rate (0 = as fast as it goes)."""
    port = session.next_port()
    sink = session.start("hB", session.tool("udpload"), "sink", port)
    try:
        if sink.stdout.readline().strip() != "ready":
            raise Failed("the UDP sink did not start")
        cpu = Cpu(session)
        sent = json.loads(session.run("hA", session.tool("udpload"), "send", FAR, port, frame_bytes - HEADERS_BYTES, f"{rate:.0f}",
                                      f"{seconds:g}"))
        time.sleep(DRAIN_SECONDS)
        cpu_s, _ = cpu.used()
    finally:
        out = stop(sink)
    got = json.loads(out)
    took = max(sent["seconds"], got["seconds"])
    return {"offered_fps": sent["offered"] / sent["seconds"], "delivered_fps": got["received"] / took,
            "loss": 1 - got["received"] / max(sent["offered"], 1), "cpu_us_per_frame": cpu_s * 1e6 / max(got["received"], 1),
            "duplicates": got["duplicates"], "late": got["late"], "sink_drops": got["socket_drops"]}


def udp_steps(session, frame_bytes):
    """A flood, and from somewhat below what it got through upwards, until it gets worse. Downwards, if that was too much already."""
    steps = [udp_step(session, frame_bytes, 0, FLOOD_SECONDS)]
    rate = max(steps[0]["delivered_fps"] * 0.8, 1000)
    factor = STEP_FACTOR
    while len(steps) <= STEPS_MAX:
        step = udp_step(session, frame_bytes, rate, STEP_SECONDS)
        steps.append(step)
        best = max(each["delivered_fps"] for each in steps)
        is_lossy = step["loss"] > TOO_MUCH_LOSS or step["delivered_fps"] < 0.9 * best
        if len(steps) == 2 and is_lossy:
            factor = 1 / STEP_FACTOR
        if factor > 1 and (is_lossy or step["offered_fps"] < 0.9 * rate):
            break
        if factor < 1 and step["loss"] < CLEAN_LOSS:
            break
        rate *= factor
    return steps


def udp(session, frame_bytes):
    steps = udp_steps(session, frame_bytes)
    peak = max(steps, key=lambda step: step["delivered_fps"])
    if peak["delivered_fps"] == 0:
        raise Failed("no datagram arrived")
    clean = [step["delivered_fps"] for step in steps if step["loss"] < CLEAN_LOSS]
    return {"peak_fps": peak["delivered_fps"], "peak_loss": peak["loss"], "cpu_us_per_frame": peak["cpu_us_per_frame"],
            "clean_fps": max(clean, default=None), "flood_fps": steps[0]["delivered_fps"],
            "duplicates": sum(step["duplicates"] for step in steps), "late": sum(step["late"] for step in steps),
            "sink_drops": sum(step["sink_drops"] for step in steps),
            "steps": [[step["offered_fps"], step["delivered_fps"], step["cpu_us_per_frame"]] for step in steps]}


def overload(session):
    """Twice of what gets through at best: how much of that still gets through?"""
    record = session.results.get(*session.key.values(), "udp1400")
    peak_fps = record["peak_fps"] if record["ok"] else udp(session, LARGE_BYTES)["peak_fps"]
    step = udp_step(session, LARGE_BYTES, 2 * peak_fps, session.seconds)
    return {"peak_fps": peak_fps, "offered_fps": step["offered_fps"], "delivered_fps": step["delivered_fps"],
            "of_peak": step["delivered_fps"] / peak_fps}


# ---- ping ---------------------------------------------------------------------------------------------------------------------------

def ping(session, count, interval):
    """Round trips in µs, to three digits, with how often each occurred."""
    got = json.loads(session.run("hA", session.tool("rtt"), FAR, count, interval, patience=count * interval + 15))
    if not got["received"]:
        raise Failed("no reply to any ping")
    rtts = collections.Counter(float(f"{us:.3g}") for us in got["rtt_us"])
    return {"sent": got["sent"], "lost": got["sent"] - got["received"], "duplicates": got["duplicates"], "rtt_us": sorted(rtts.items())}


def ping_idle(session):
    return ping(session, PING_COUNT, PING_INTERVAL)


def ping_load(session):
    seconds = load_seconds(session.seconds)
    server = iperf_server(session)
    client = session.start("hA", "iperf3", "-c", FAR, "-t", f"{seconds + 2:g}", "--connect-timeout", 3000, "-J", *session.iperf_options)
    try:
        time.sleep(0.5)
        result = ping(session, int(seconds / LOAD_PING_INTERVAL), LOAD_PING_INTERVAL)
        if client.poll() is not None:
            raise Failed("the flow ended before the pings did")
        document = json.loads(client.communicate(timeout=20)[0])
        return result | {"mbps": document["end"]["sum_received"]["bits_per_second"] / 1e6}
    except (KeyError, ValueError, subprocess.TimeoutExpired) as error:
        raise Failed("the flow beside the pings failed") from error
    finally:
        stop(client)
        stop(server)


def load_seconds(seconds):
    return max(seconds, 5)  # so that there is a 99.9th percentile to speak of after some rounds


# ---- the machine and the process ----------------------------------------------------------------------------------------------------

def rest(session):
    """What the machine does while no frame is on its way."""
    cpu = Cpu(session)
    time.sleep(REST_SECONDS)
    return {"busy_cores": cpu.used()[0] / REST_SECONDS}


def memory_of(session, site):
    found = []
    pids = subprocess.run(["ip", "netns", "pids", f"{session.prefix}ns{site}"], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                rss = re.search(r"VmRSS:\s*(\d+)", file.read())
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                pss = re.search(r"Pss:\s*(\d+)", file.read())
        except OSError:
            continue
        if rss and pss:
            found.append([name, int(rss.group(1)), int(pss.group(1))])
    return found


def memory(session):
    """After all else: resident memory of the peer's processes at each site."""
    processes = {site: memory_of(session, site) for site in "AB"}
    sums = [[sum(process[column] for process in processes[site]) for site in "AB"] for column in (1, 2)]
    result = {"rss_kb": max(sums[0]), "pss_kb": max(sums[1]), "processes": processes}
    if session.run_dir:
        result["drops"] = {site: ethercord_drops(session, site) for site in "AB"}
    return result


def ethercord_drops(session, site):
    out = subprocess.run([os.environ["ETHERCORD"], "status", site, "--run-dir", f"{session.run_dir}-{site}", "--json"],
                         capture_output=True, text=True, check=False).stdout
    try:
        return {name: count for name, count in json.loads(out)["drops"].items() if count}
    except (ValueError, KeyError):
        return None


# Each with about how long it takes when the others are given S seconds.
UDP_COST = FLOOD_SECONDS + 5.5 * STEP_SECONDS + 6.5 * (DRAIN_SECONDS + 0.1)
MEASURES = {
    "rest": (rest, lambda s: REST_SECONDS),
    "ping": (ping_idle, lambda s: PING_COUNT * PING_INTERVAL + 0.2),
    "tcp1": (lambda session: tcp(session, 1, "forward"), lambda s: s + 0.3),
    "tcp1-reverse": (lambda session: tcp(session, 1, "reverse"), lambda s: s + 0.3),
    "tcp1-both": (lambda session: tcp(session, 1, "both"), lambda s: s + 0.3),
    "tcp8": (lambda session: tcp(session, 8, "forward"), lambda s: s + 0.3),
    "tcp8-reverse": (lambda session: tcp(session, 8, "reverse"), lambda s: s + 0.3),
    "tcp8-both": (lambda session: tcp(session, 8, "both"), lambda s: s + 0.3),
    "udp64": (lambda session: udp(session, SMALL_BYTES), lambda s: UDP_COST),
    "udp1400": (lambda session: udp(session, LARGE_BYTES), lambda s: UDP_COST),
    "udp1514": (lambda session: udp(session, FULL_BYTES), lambda s: UDP_COST),
    "overload": (overload, lambda s: s + 0.3),
    "ping-load": (ping_load, lambda s: load_seconds(s) + 2),
    "memory": (memory, lambda s: 0.1),
}

UNDISTURBED = ("memory",)  # by what else goes on


def rounded(value):
    """Four digits are more than any of this is worth."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return value


def attempt(session, name):
    record = session.key | {"measure": name}
    others = session.others()
    try:
        found = MEASURES[name][0](session)
        record |= {"ok": True} | {field: rounded(value) for field, value in found.items()}
    except (Failed, ValueError, KeyError) as error:
        record |= {"ok": False, "error": str(error) or type(error).__name__}
    return record | {"others_cores": rounded(others.cores())} if name not in UNDISTURBED else record


def measure(session, name):
    record = attempt(session, name)
    if is_disturbed(record):
        again = attempt(session, name)
        if again["ok"] >= record["ok"] and again["others_cores"] < record["others_cores"]:
            record = again
    session.results.put(record)
    return record


def short(record):
    """What a person who waits wants to see of it."""
    if not record["ok"]:
        return "FAILED: " + record["error"]
    for field, form in (("mbps", "{:.0f} Mb/s"), ("of_peak", "{:.2f} of peak"), ("peak_fps", "{:.0f} frames/s"), ("rss_kb", "{} kB"),
                        ("busy_cores", "{:.2f} cores")):
        if field in record and "rtt_us" not in record:
            return form.format(record[field])
    rtts = sorted(us for us, count in record["rtt_us"] for _ in range(count))
    return f"median {rtts[len(rtts) // 2]} us, {record['lost']} of {record['sent']} lost"


def run(args):
    session = Session(args)
    for name in args.measures:
        record = measure(session, name)
        disturbed = f" (others: {record['others_cores']:.1f} cores)" if is_disturbed(record) else ""
        print(f"    {name:<13} {short(record)}{disturbed}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cost = commands.add_parser("cost")
    cost.add_argument("seconds", type=float)
    cost.add_argument("measures", nargs="*")
    runner = commands.add_parser("run")
    runner.add_argument("--prefix", required=True, help="what the names of the namespaces hA, nsA, nsB, hB begin with")
    runner.add_argument("--out", required=True, help="bench.json")
    runner.add_argument("--tools", required=True, help="folder of udpload and rtt")
    runner.add_argument("--mode", required=True)
    runner.add_argument("--round", type=int, required=True)
    runner.add_argument("--peer", required=True)
    runner.add_argument("--seconds", type=float, required=True)
    runner.add_argument("--congestion", required=True, help="TCP congestion control of both ends")
    runner.add_argument("--cores", nargs=2, metavar=("A", "B"), help="core lists that load generators at A and at B are pinned to")
    runner.add_argument("--run-dir", help="of ethercord, without -A and -B")
    runner.add_argument("measures", nargs="*")
    args = parser.parse_args()
    unknown = [name for name in args.measures if name not in MEASURES]
    if unknown:
        parser.error(f"unknown measures {' '.join(unknown)}; there are: {' '.join(MEASURES)}")
    if args.command == "cost":
        print(f"{sum(MEASURES[name][1](args.seconds) for name in args.measures):.1f}")
    else:
        run(args)


if __name__ == "__main__":
    main()

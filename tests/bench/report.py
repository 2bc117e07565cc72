#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
report: makes tables and plots of bench.json. What it prints for a person at a terminal and what it puts into docs/benchmarks.md are the
same tables; what did not start or failed is in them too.

A figure is the median of the rounds, with the smallest and the largest; percentiles of pings are those of all rounds together.

  report.py bench.json [--plots FOLDER] [--docs docs/benchmarks.md]
"""
import argparse
import collections
import os
import re
import statistics
import sys
import textwrap

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import plots  # noqa: E402
from results import DISTURBED_CORES, Results, is_disturbed  # noqa: E402

IN_TURNS_S = 3600  # a round that takes longer was not one
MODES = ("offload", "wire", "bare")
TCP = (("tcp1", "1 flow →"), ("tcp1-reverse", "1 flow ←"), ("tcp1-both", "1 flow ⇄"),
       ("tcp8", "8 flows →"), ("tcp8-reverse", "8 flows ←"), ("tcp8-both", "8 flows ⇄"))

Table = collections.namedtuple("Table", "title note header rows")


class Data:
    def __init__(self, path):
        self.document = Results(path).document
        self.records = collections.defaultdict(list)
        for record in self.document["results"]:
            self.records[record["mode"], record["peer"], record["measure"]].append(record)
        self.modes = [mode for mode in MODES if any(key[0] == mode for key in self.records)]
        self.peers = [peer for peer in self.document["peers"] if any(key[1] == peer for key in self.records)]

    def title(self, peer):
        return self.document["peers"][peer]["title"]

    def good(self, mode, peer, measure):
        return [record for record in self.records[mode, peer, measure] if record["ok"]]

    def values(self, mode, peer, measure, field):
        return [record[field] for record in self.good(mode, peer, measure) if record.get(field) is not None]

    def rtts(self, mode, peer, measure):
        """All round trips of all rounds, in ascending order."""
        pooled = collections.Counter()
        for record in self.good(mode, peer, measure):
            pooled.update(dict(map(tuple, record["rtt_us"])))
        return sorted(pooled.elements())

    def lost(self, mode, peer, measure):
        return sum(self.values(mode, peer, measure, "lost")), sum(self.values(mode, peer, measure, "sent"))

    def absence(self, mode, peer, measure):
        """Why there is no figure."""
        start = self.records[mode, peer, "start"]
        if start and not any(record["ok"] for record in start):
            return "no start"
        return "failed" if self.records[mode, peer, measure] else "–"


# ---- figures ------------------------------------------------------------------------------------------------------------------------

def number(value):
    """Three digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values, scale=1.0):
    middle, low, high = (number(value * scale) for value in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low}–{high})"


def percentile(ordered, percent):
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def cell(data, mode, peer, measure, field, scale=1.0):
    values = data.values(mode, peer, measure, field)
    return spread(values, scale) if values else data.absence(mode, peer, measure)


def overload_cell(data, mode, peer):
    """A sender that can't send twice of what gets through shows nothing."""
    records = data.good(mode, peer, "overload")
    times = [record["offered_fps"] / record["peak_fps"] for record in records]
    if times and statistics.median(times) < 1.8:
        return f"(sender at {statistics.median(times):.1f}x)"
    return cell(data, mode, peer, "overload", "of_peak", 100)


def per_gb(data, mode, peer):
    """TCP segments that were sent again, per GB of one flow."""
    records = data.good(mode, peer, "tcp1")
    return spread([record["retransmits"] / (record["bytes"] / 1e9) for record in records]) if records else data.absence(mode, peer, "tcp1")


# ---- tables -------------------------------------------------------------------------------------------------------------------------

def headline(data):
    rows = [[data.title(peer)] + [cell(data, mode, peer, measure, field) for measure, field in (("tcp1", "mbps"), ("tcp1", "cpu_s_per_gb"))
                                  for mode in data.modes] for peer in data.peers]
    header = ["", *(f"{mode}, Mb/s" for mode in data.modes), *(f"{mode}, CPU-s/GB" for mode in data.modes)]
    return Table("One TCP flow, all modes", "", header, rows)


def tcp_table(data, mode):
    rows = [[data.title(peer)] + [cell(data, mode, peer, measure, "mbps") for measure, _ in TCP] +
            [cell(data, mode, peer, "tcp8", "cpu_s_per_gb"), per_gb(data, mode, peer)] for peer in data.peers]
    note = "Mb/s; → from A to B, ← from B to A, ⇄ both at once, added. Segments sent again: per GB of one flow →."
    return Table(f"TCP, {mode}", note,
                 ["", *(title for _, title in TCP), "CPU-s/GB, 8 flows →", "sent again"], rows)


def udp_table(data, mode):
    rows = []
    for peer in data.peers:
        row = [data.title(peer)]
        for measure in ("udp64", "udp1400", "udp1514"):
            row += [cell(data, mode, peer, measure, "peak_fps", 1e-3), cell(data, mode, peer, measure, "clean_fps", 1e-3),
                    cell(data, mode, peer, measure, "cpu_us_per_frame")]
        rows.append(row + [overload_cell(data, mode, peer)])
    head = [f"{size} B: {what}" for size in (64, 1400, 1514) for what in ("k frames/s", "without loss", "CPU-µs/frame")]
    note = ("Thousand frames per second that arrive, at the offered rate where most do; at the highest rate that was tried where 99.5 % do;"
            " CPU per frame at the former. Last: what still arrives when twice of the former is sent.")
    return Table(f"UDP, {mode}", note, ["", *head, "2x overload, %"], rows)


def ping_cells(data, mode, peer, measure, percents):
    rtts = data.rtts(mode, peer, measure)
    if not rtts:
        return [data.absence(mode, peer, measure)] * (len(percents) + 1)
    lost, sent = data.lost(mode, peer, measure)
    return [number(percentile(rtts, percent)) for percent in percents] + [f"{lost} of {sent}"]


def ping_table(data, mode):
    rows = [[data.title(peer), *ping_cells(data, mode, peer, "ping", (50, 99)), *ping_cells(data, mode, peer, "ping-load", (50, 99, 99.9)),
             cell(data, mode, peer, "ping-load", "mbps")] for peer in data.peers]
    return Table(f"Ping, {mode}", "Round trip in µs, of all rounds together: when idle, and beside one TCP flow in the same direction.",
                 ["", "idle p50", "p99", "lost", "load p50", "p99", "p99.9", "lost", "the flow, Mb/s"], rows)


def memory_table(data):
    columns = (("memory", "rss_kb", 1 / 1024, "RSS"), ("memory", "pss_kb", 1 / 1024, "PSS"), ("rest", "busy_cores", 100, "at rest"))
    rows = [[data.title(peer)] + [cell(data, mode, peer, *column[:3]) for column in columns for mode in data.modes] for peer in data.peers]
    note = ("MiB of all processes of a site (PSS counts pages that several processes share once); per cent of a core that the whole machine"
            " is busy while no frame is on its way.")
    header = ["", *(f"{mode}, {column[3]}" for column in columns for mode in data.modes)]
    return Table("Memory after the load, CPU at rest", note, header, rows)


def tables(data):
    yield headline(data)
    for mode in data.modes:
        yield from (tcp_table(data, mode), udp_table(data, mode), ping_table(data, mode))
    yield memory_table(data)


# ---- what to know about them --------------------------------------------------------------------------------------------------------

def session_times(data):
    times = collections.defaultdict(list)
    for (mode, _, measure), records in data.records.items():
        for record in records:
            if measure == "start":
                times[mode, record["round"]].append(record["at"])
    return times


def remarks(data):
    """What a reader has to know before believing a figure."""
    for mode, described in data.document["modes"].items():
        if not (described["check"] or {}).get("ok"):
            yield f"Mode {mode} was left out: the underlay did not behave as it says."
    for (mode, peer, measure), records in data.records.items():
        failed = [record for record in records if not record["ok"]]
        if failed:
            rounds = ", ".join(str(record["round"]) for record in failed)
            what = "" if measure == "start" else f"{measure} failed: "
            yield f"{data.title(peer)}, {mode}, round {rounds}: {what}{failed[-1]['error'].strip()}"
    counts = collections.Counter(len(data.good(mode, peer, "start")) for mode in data.modes for peer in data.peers)
    if len(counts) > 1:
        yield f"Not all is measured yet: between {min(counts)} and {max(counts)} rounds of each."
    apart = [max(times) - min(times) for times in session_times(data).values()]
    if apart and max(apart) > IN_TURNS_S:
        late = sum(seconds > IN_TURNS_S for seconds in apart)
        yield f"Not in turns: in {late} of {len(apart)} rounds, up to {max(apart) / 3600:.1f} hours lie between the peers."
    found = [record for records in data.records.values() for record in records if "others_cores" in record]
    disturbed = [record for record in found if is_disturbed(record)]
    if disturbed:
        yield (f"During {len(disturbed)} of {len(found)} measurements other programs took more than {DISTURBED_CORES} cores (at most"
               f" {number(max(record['others_cores'] for record in disturbed))}); such figures are too low.")


# ---- output -------------------------------------------------------------------------------------------------------------------------

def as_text(table):
    rows = [table.header] + table.rows
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    lines = ["  ".join([row[0].ljust(widths[0])] + [text.rjust(width) for text, width in zip(row[1:], widths[1:])]) for row in rows]
    return "\n".join(["", table.title, *textwrap.wrap(table.note, 140), *lines])


def as_markdown(table):
    lines = ["| " + " | ".join(row) + " |" for row in [table.header] + table.rows]
    lines.insert(1, "|---|" + "---:|" * (len(table.header) - 1))
    return "\n".join([f"#### {table.title}", "", *([table.note, ""] if table.note else []), *lines, ""])


def results_block(data, pictures):
    parts = [f"Rounds: {max(record['round'] for record in data.document['results'])}; each TCP flow took"
             f" {data.document['environment']['seconds']:g} s. Median (smallest–largest).", ""]
    parts += [f"- {remark}" for remark in remarks(data)] + [""]
    parts += [f"![{title}](bench/{name})" for name, title in pictures] + [""]
    return "\n".join(parts) + "\n" + "\n".join(map(as_markdown, tables(data)))


def environment_block(data):
    env = data.document["environment"]
    placed = "site A pinned to one half of the cores, site B to the other" if env["pinned"] == "sites" else "processes placed by the kernel"
    rows = [("began", env["began"] + "; " + placed),
            ("machine", f"{env['cores']} cores, {env['cpu']}, {env['memory_gib']} GiB, hypervisor: {env['hypervisor']}"),
            ("system", f"{env['system']}, {env['kernel']}, {env['architecture']}; TCP congestion control: {env['congestion_control']}"),
            ("ethercord", f"{env['ethercord']['version']}, sources {env['ethercord']['sources'] or 'unknown'},"
                          f" SHA-256 of the program {env['ethercord']['sha256'][:16]}…"),
            ("packages", ", ".join(f"{name} {version}" for name, version in sorted(env["packages"].items())))]
    for mode, described in data.document["modes"].items():
        check = described["check"] or {}
        found = [check.get(name, "?") for name in ("datagrams_per_packet", "datagrams_per_read")]
        rows.append((f"mode {mode}", f"{described['commands'] and '`' + described['commands'] + '`' or 'as it comes'}; of a train of 16"
                                     f" datagrams {found[0]} are in a packet when they arrive, and up to {found[1]} in a read"))
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])


def peers_block(data):
    return "\n".join(f"- **{data.title(peer)}**: {data.document['peers'][peer]['setup']}" for peer in data.peers)


def commands_block(data):
    return "\n".join(f"#### {data.title(peer)}\n\n```\n{data.document['peers'][peer]['commands'].rstrip()}\n```\n" for peer in data.peers)


def write_docs(path, blocks):
    """Puts each block between its two marks; all else in the file is a person's."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- bench: {name} -->\n).*?(<!-- bench: end -->)", re.DOTALL)
        text, count = pattern.subn(lambda match, body=block: f"{match.group(1)}\n{body.strip()}\n\n{match.group(2)}", text)
        if count != 1:
            sys.exit(f"report: {os.path.basename(path)} has no place for {name}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="bench.json")
    parser.add_argument("--plots", help="folder for SVG files")
    parser.add_argument("--docs", help="page with marks to write between; its plots go to the folder bench beside it")
    args = parser.parse_args()
    data = Data(args.file)
    if not data.document["results"]:
        sys.exit("report: nothing is measured yet")
    print("\n".join(map(as_text, tables(data))))
    print("\n" + "\n".join(f"- {remark}" for remark in remarks(data)))
    if args.plots:
        plots.draw(data, args.plots)
    if args.docs:
        pictures = plots.draw(data, os.path.join(os.path.dirname(args.docs), "bench"))
        write_docs(args.docs, {"results": results_block(data, pictures), "environment": environment_block(data),
                               "peers": peers_block(data), "commands": commands_block(data)})


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: MIT
"""
plots: pictures of bench.json by gnuplot, as SVG. One form for all: peers below each other, a dot per underlay mode on a logarithmic axis
(between the slowest peer and the ceilings lie two orders of magnitude), a line for the spread.
"""
import os
import statistics
import subprocess

# Colours that people who see few can tell apart; the forms differ too.
STYLES = {"offload": ("#0072b2", 7), "wire": ("#d55e00", 5), "bare": ("#666666", 9)}
ROW_PIXELS = 44
EDGE_PIXELS = 120


def spread_of(field):
    """Median of the rounds, smallest, largest."""
    def point(data, mode, peer, measure):
        values = data.values(mode, peer, measure, field)
        return (statistics.median(values), min(values), max(values)) if values else None
    return point


def percentiles(data, mode, peer, measure):
    """Median of all pings, and a line from there to the 99th percentile."""
    rtts = data.rtts(mode, peer, measure)
    return (rtts[len(rtts) // 2], rtts[len(rtts) // 2], rtts[min(int(len(rtts) * 0.99), len(rtts) - 1)]) if rtts else None


PLOTS = (
    ("tcp-1-flow", "One TCP flow from A to B (Mb/s, more is better)", "tcp1", spread_of("mbps")),
    ("tcp-8-flows", "8 TCP flows from A to B (Mb/s, more is better)", "tcp8", spread_of("mbps")),
    ("cpu-per-gb", "CPU time for one TCP flow (seconds of all cores per GB, less is better)", "tcp1", spread_of("cpu_s_per_gb")),
    ("udp-64", "64-byte UDP frames that arrive (frames/s, more is better)", "udp64", spread_of("peak_fps")),
    ("udp-1400", "1400-byte UDP frames that arrive (frames/s, more is better)", "udp1400", spread_of("peak_fps")),
    ("udp-1514", "1514-byte UDP frames, which fit no datagram, that arrive (frames/s, more is better)", "udp1514", spread_of("peak_fps")),
    ("ping-idle", "Ping while idle: median, and up to the 99th percentile (µs, less is better)", "ping", percentiles),
    ("ping-load", "Ping beside one TCP flow: median, and up to the 99th percentile (µs, less is better)", "ping-load", percentiles),
)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def absence_of(data, peer, measure):
    """Nobody who has no dot is passed over."""
    return ", ".join(sorted({data.absence(mode, peer, measure) for mode in data.modes} - {"–"})) or "not measured"


def script_of(data, title, measure, series, path):
    """series: mode -> list of (row, middle, low, high)"""
    n_rows = len(data.peers)
    tics = ", ".join(f"{quoted(data.title(peer))} {row}" for row, peer in enumerate(data.peers))
    lines = [
        f"set terminal svg size 900,{EDGE_PIXELS + ROW_PIXELS * n_rows} font 'sans-serif,14' background '#ffffff' noenhanced",
        f"set output {quoted(path)}",
        f"set title {quoted(title)}",
        "set logscale x",
        "set format x '%.10g'",
        "set grid xtics mxtics linetype 1 linecolor '#dddddd', linetype 1 linecolor '#f0f0f0'",
        "set border 1",
        "set ytics scale 0 nomirror",
        "set xtics nomirror",
        f"set ytics ({tics})",
        f"set yrange [{n_rows - 0.5}:-0.5]",
        "set key outside bottom center horizontal",
    ]
    extremes = [value for points in series.values() for point in points for value in point[1:] if value > 0]
    lines.append(f"set xrange [{min(extremes) / 1.4:.6g}:{max(extremes) * 1.4:.6g}]")
    for row, peer in enumerate(data.peers):
        if not any(round(point[0]) == row for points in series.values() for point in points):
            lines.append(f"set label {quoted(absence_of(data, peer, measure))} at graph 0.01, first {row} textcolor '#888888'")
    drawn = []
    for index, (mode, points) in enumerate(series.items()):
        lines.append(f"$data{index} << EOD")
        lines += [f"{middle:.6g} {row:.3f} {low:.6g} {high:.6g}" for row, middle, low, high in points]
        lines.append("EOD")
        colour, form = STYLES[mode]
        look = f"linewidth 1.5 linecolor '{colour}' pointtype {form} pointsize 0.7"
        drawn.append(f"$data{index} using 1:2:3:4 with xerrorbars {look} title '{mode}'")
    lines.append("plot " + ", ".join(drawn))
    return "\n".join(lines) + "\n"


def series_of(data, measure, point_of):
    """Modes of a peer lie a little below each other."""
    series = {}
    for index, mode in enumerate(data.modes):
        offset = 0.2 * (index - (len(data.modes) - 1) / 2)
        points = [(row + offset, *found) for row, peer in enumerate(data.peers) if (found := point_of(data, mode, peer, measure))]
        if points:
            series[mode] = points
    return series


def draw(data, folder):
    """Returns (file name, title) of each plot; those without any point are not drawn."""
    os.makedirs(folder, exist_ok=True)
    done = []
    for name, title, measure, point_of in PLOTS:
        series = series_of(data, measure, point_of)
        if series:
            path = os.path.join(folder, name + ".svg")
            subprocess.run(["gnuplot"], input=script_of(data, title, measure, series, path), text=True, check=True)
            done.append((name + ".svg", title))
    return done

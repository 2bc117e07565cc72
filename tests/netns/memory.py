#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""memory: where the keys in files are in a process's memory.

usage: memory.py PID FILE…

Prints one line per place: the file's name, the flags of the mapping that matter ("lo": locked, "dd": not in core dumps; "--" without),
the mapping. A key is looked for as it is, and as the text in the file. Needs root.
"""
import base64
import os
import re
import sys

HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)")


def mappings(pid):
    """(start, end, permissions, name, flags) of each."""
    current = None
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = HEADER.match(line)
            if match:
                current = (int(match[1], 16), int(match[2], 16), match[3], match[4].strip() or "anonymous")
            elif line.startswith("VmFlags:"):
                yield (*current, line.split()[1:])


def read(memory, start, end):
    """What can be read of it: guard pages can't, nor can what the kernel maps for itself."""
    try:
        memory.seek(start)
        return memory.read(end - start)
    except (OSError, ValueError, OverflowError):
        return b""


def needles(paths):
    for path in paths:
        with open(path, "rb") as file:
            text = file.read().strip()
        yield os.path.basename(path), base64.b64decode(text)
        yield os.path.basename(path) + " as text", text


def main():
    pid, keys = int(sys.argv[1]), list(needles(sys.argv[2:]))
    n_bytes = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, permissions, name, flags in mappings(pid):
            content = read(memory, start, end) if permissions[0] == "r" else b""
            n_bytes += len(content)
            for label, key in keys:
                if key in content:
                    print(f"{label}: {'lo' if 'lo' in flags else '--'} {'dd' if 'dd' in flags else '--'} {name}")
    # Guarded allocations are readable, but a search that read nothing has found nothing.
    if n_bytes < 100000:
        sys.exit(f"memory: only {n_bytes} bytes of process {pid} could be read")


main()

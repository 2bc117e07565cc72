#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
results: the file bench.json, in which the measurements gather as they come. It is whole after each of them, so that an interrupted run
leaves what it has, and the next one goes on there.

A record says mode, round, peer, measure, ok, and either what was found or an error. What decides whether records can be compared (the
environment and the seconds of each measurement) is said once, at the top; a file in which it is different is put aside, not mixed. When
ethercord is another one, only its own records are taken out.

  results.py open FILE SECONDS PINNED CONGESTION       begins a file or takes up the one that is there; says which
  results.py aside FILE                                puts aside what is there
  results.py todo FILE MODE ROUND PEER MEASURE...      prints those that are not there yet; with REDO=1 in the environment also those
                                                       during which others took too much of the machine
  results.py peer FILE NAME TITLE PACKAGE SETUP        describes a peer; its commands come from stdin
  results.py mode FILE MODE COMMANDS CHECK             describes a mode; CHECK is a JSON object
  results.py put FILE MODE ROUND PEER MEASURE ERROR    records a failure, or without a text a success
"""
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time

SCHEMA = 1
PACKAGES = ("openvpn", "fastd", "tinc", "n2n", "iperf3", "iputils-ping", "iproute2", "ethtool", "libsodium23", "libssl3")
COMPARABLE = ("kernel", "architecture", "cpu", "cores", "packages", "seconds", "pinned", "congestion_control")


# Programs outside the bench that took more than this have had their share in the figure.
DISTURBED_CORES = 0.15


def is_disturbed(record):
    return record.get("others_cores", 0) > DISTURBED_CORES


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def package_versions():
    """Versions as Debian's packages; where they did not come from there, nothing is known."""
    known = output_of("dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Status}\n", *PACKAGES)
    return {name: version for name, version, status in (line.split(" ", 2) for line in known.splitlines()) if status == "installed"}


def ethercord():
    path = os.environ["ETHERCORD"]
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    folder = os.path.dirname(os.path.abspath(__file__))
    return {"version": output_of(path, "--version"), "sha256": digest,
            "sources": output_of("git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=10")}


def cpu_fields():
    fields = {}
    for line in output_of("env", "LC_ALL=C", "lscpu").splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def environment(seconds, pinned, congestion_control):
    cpu = cpu_fields()
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kb = int(re.search(r"MemTotal: *(\d+)", file.read()).group(1))
    return {
        "began": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cpu": f"{cpu.get('Model name', 'unknown')} (family {cpu.get('CPU family', '?')}, model {cpu.get('Model', '?')})",
        "hypervisor": cpu.get("Hypervisor vendor", "none"),
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kb / 2**20, 1),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "congestion_control": congestion_control,
        "packages": package_versions(),
        "ethercord": ethercord(),
        "seconds": seconds,
        "pinned": pinned,
    }


class Results:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.document = json.load(file)
        self.index = {self.key(record): record for record in self.document["results"]}

    @staticmethod
    def key(record):
        return record["mode"], record["round"], record["peer"], record["measure"]

    def get(self, mode, round_number, peer, measure):
        return self.index.get((mode, round_number, peer, measure), {"ok": False})

    def put(self, record):
        """A later record takes the place of an earlier one."""
        self.index[self.key(record)] = record | {"at": int(time.time())}
        self.save()

    def save(self):
        self.document["results"] = list(self.index.values())
        write(self.path, self.document)


def write(path, document):
    """One record a line: the file is read by people too."""
    head = {name: value for name, value in document.items() if name != "results"}
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "results": [\n'
    text += ",\n".join("  " + json.dumps(record, ensure_ascii=False) for record in document["results"]) + "\n ]\n}\n"
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def set_aside(path):
    number = 1
    while os.path.exists(f"{path}.{number}"):
        number += 1
    os.rename(path, f"{path}.{number}")
    return os.path.basename(f"{path}.{number}")


def go_on(path, there, now):
    """With another ethercord the measurements of the others still hold."""
    if there["environment"]["ethercord"]["sha256"] != now["ethercord"]["sha256"]:
        kept = [record for record in there["results"] if not record["peer"].startswith("ethercord")]
        if len(kept) != len(there["results"]):
            print(f"bench: ethercord is another one: its {len(there['results']) - len(kept)} records are in {set_aside(path)} only")
        there["results"] = kept
        there["environment"]["ethercord"] = now["ethercord"]
        write(path, there)
    done = sum(record["ok"] for record in there["results"])
    print(f"bench: going on with {os.path.basename(path)}, where {done} records are")


def open_file(path, seconds, *settings):
    now = environment(float(seconds), *settings)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            there = json.load(file)
        differing = [name for name in COMPARABLE if there["environment"].get(name) != now[name]]
        if there["schema"] == SCHEMA and not differing:
            go_on(path, there, now)
            return
        print(f"bench: {os.path.basename(path)} was made with another {', '.join(differing) or 'schema'}: now {set_aside(path)}")
    write(path, {"schema": SCHEMA, "environment": now, "modes": {}, "peers": {}, "results": []})


def main():
    command, path, *args = sys.argv[1:]
    if command == "open":
        open_file(path, *args)
        return
    if command == "aside":
        if os.path.exists(path):
            print(f"bench: {os.path.basename(path)} is now {set_aside(path)}")
        return
    results = Results(path)
    if command == "todo":
        mode, round_number, peer, *measures = args
        records = {name: results.get(mode, int(round_number), peer, name) for name in measures}
        print(*(name for name, record in records.items() if not record["ok"] or os.environ.get("REDO") and is_disturbed(record)))
    elif command == "peer":
        name, title, package, setup = args
        commands = sys.stdin.read() or results.document["peers"].get(name, {}).get("commands", "")
        results.document["peers"][name] = {"title": title, "package": package, "setup": setup, "commands": commands}
        results.save()
    elif command == "mode":
        name, commands, check = args
        results.document["modes"][name] = {"commands": commands, "check": json.loads(check)}
        results.save()
    elif command == "put":
        mode, round_number, peer, measure, error = args
        record = {"mode": mode, "round": int(round_number), "peer": peer, "measure": measure, "ok": not error}
        results.put(record | ({"error": error} if error else {}))


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""calls: the allow-list of system calls (src/confine/sandbox_calls.c) against what a traced node has done, or against its documentation.

usage: calls.py trace SOURCE STRACE-OUTPUT   what was called under a filter: "unlisted: …" what the list does not have, "unused: …" what
                                            the list has and was not called, with the list's reason; then the numbers
       calls.py table SOURCE                the list as a table for docs/sandbox.md
"""
import re
import sys

ROLES = {"S": "start", "M": "main", "T": "tx", "R": "rx", "MON": "monitor", "W": "web"}
ROW = re.compile(r'\{"(\w+)",\s*([A-Z |]+),\s*(ANY|NO_FILE|NO_CALL|IF\w*\(.*\)),\s*"(.*)"\},?$')
ANSWERS = {"ANY": "", "NO_FILE": "fails: ENOENT", "NO_CALL": "fails: ENOSYS"}


def condition(text):
    """The third column of a row, for people."""
    match = re.match(r"IF\w*\((\d), (.*)\)$", text)
    if not match:
        return ANSWERS[text]
    parts = match[2].split(", ")
    if text.startswith("IF_OWN"):
        return f"{parts[0]}, to itself"
    if not text.startswith("IF_BITS"):
        return "looks only" if parts[0] == "0" else parts[0]
    # The mask without what has to be set.
    mask, value = ([part for part in bits.split(" | ") if part != "0"] for bits in parts)
    mask = [bit for bit in mask if bit not in value and bit != "O_ACCMODE" and bit != "O_RDONLY"]
    wanted = [bit for bit in value if bit != "O_RDONLY"]
    if "O_RDONLY" in value:
        wanted, mask = ["O_RDONLY"], [bit for bit in mask if bit != "O_CREAT"] and ["O_CREAT", "O_TRUNC"]
    return " ".join(wanted + ["without " + ", ".join(mask)] if mask else wanted)


def rows(source):
    """(name, roles, condition, reason) of each row. clang-format may break long ones."""
    with open(source, encoding="utf-8") as file:
        text = file.read()
    body = text[text.index("sandbox_calls[] = {") : text.index("const size_t sandbox_n_calls")]
    body = re.sub(r"^\s*//.*$", "", body, flags=re.M)
    found = []
    for row in re.split(r"\n    (?=\{)", body)[1:]:
        flat = re.sub(r'"\s+"', "", re.sub(r"\s+", " ", row.replace("\n};", ""))).strip()
        match = ROW.match(flat)
        if not match:
            sys.exit(f"calls: can't read this row: {flat}")
        who = set()
        for letter in match[2].split(" | "):
            who |= {"M", "T", "R"} if letter.strip() == "ALL" else {letter.strip()}
        found.append((match[1], {ROLES[letter] for letter in who}, condition(match[3]), match[4]))
    if text.count('\n    {"') != len(found):
        sys.exit("calls: not every row was read")
    return found


class Trace:
    """Which thread of which process has which role, from the order of what they do."""

    def __init__(self):
        self.monitor = self.worker = self.web = None
        self.threads = {}  # of the worker, by the order of their start
        self.n_filters = {}
        # Other threads may come between the two lines of one call.
        self.is_loading = {}
        self.is_forking = {}
        self.called = {role: set() for role in ROLES.values()}

    def role(self, tid):
        if tid == self.worker:
            n = self.n_filters.get(tid, 0)
            return [None, "start", "main"][n]
        if tid in self.threads:
            return ["rx", "tx"][self.threads[tid]] if self.n_filters.get(tid) else "start"
        if tid == self.web:
            return "web" if self.n_filters.get(tid) else None
        return "monitor" if self.n_filters.get(self.monitor) else None

    def learn(self, tid, name, is_begin, rest):
        """Who is who. A new thread's first calls may stand before the line that tells of its start: hence a pass of its own."""
        result = re.search(r"= (\d+)", rest)
        self.monitor = self.monitor or tid
        if name == "clone" and is_begin:
            self.is_forking[tid] = "SIGCHLD" in rest
        if name == "clone" and tid == self.monitor and self.is_forking[tid] and result:
            if not self.worker:
                self.worker = int(result[1])
            else:
                self.web = self.web or int(result[1])
        elif name == "clone" and tid == self.worker and result:
            self.threads[int(result[1])] = len(self.threads)

    def count(self, tid, name, is_begin, rest):
        if is_begin and self.role(tid):
            self.called[self.role(tid)].add(name)
        if name == "seccomp" and is_begin:
            self.is_loading[tid] = "SET_MODE_FILTER" in rest and "len=" in rest # others ask what the kernel can do
        if name == "seccomp" and self.is_loading[tid] and re.search(r"= 0$", rest):
            self.n_filters[tid] = self.n_filters.get(tid, 0) + 1

    def read(self, path):
        with open(path, encoding="utf-8", errors="replace") as file:
            matches = [re.match(r"(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed>)(.*)", line) for line in file]
        calls = [(int(match[1]), match[2], match[3] == "(", match[4]) for match in matches if match]
        for call in calls:
            self.learn(*call)
        for call in calls:
            self.count(*call)


def compare(source, path):
    listed = rows(source)
    trace = Trace()
    trace.read(path)
    if not trace.worker or not trace.web or len(trace.threads) != 2:
        sys.exit(f"calls: this trace shows no worker with two threads, or no web (worker {trace.worker}, threads {trace.threads}, web {trace.web})")
    for role, called in trace.called.items():
        # While it starts the worker may do all that its threads may later.
        may = {name for name, who, _, _ in listed if role in who or (role == "start" and who & {"main", "tx", "rx"})}
        if not called:
            sys.exit(f"calls: nothing was seen of {role}")
        for name in sorted(called - may):
            print(f"unlisted: {role} {name}")
    for name, who, _, reason in listed:
        never = sorted(role for role in who if name not in trace.called[role])
        if never:
            print(f"unused: {name} by {', '.join(never)}: {reason}")
    counts = ", ".join(f"{role} {len({n for n, who, _, _ in listed if role in who})}" for role in ROLES.values())
    print(f"list: {len(listed)} rows, {len({row[0] for row in listed})} calls; names by thread: {counts}")


def table(source):
    print("| Call | Who | Only with | What for |\n|---|---|---|---|")
    for name, who, only, reason in rows(source):
        order = [role for role in ROLES.values() if role in who]
        print(f"| `{name}` | {', '.join(order)} | {only} | {reason} |")


if sys.argv[1] == "trace":
    compare(sys.argv[2], sys.argv[3])
else:
    table(sys.argv[2])

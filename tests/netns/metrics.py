#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""metrics: the HTTP side of a node, from a namespace that was entered before.

usage: metrics.py table STATUS.json METRICS DOCS     every number of the status is a metric or said to be left out, and every metric is in
                                                     the documentation; prints what is not
       metrics.py names DASHBOARD.json DOCS          prints metrics of a dashboard that are not in the documentation
       metrics.py rude ADDRESS PORT                  requests that are none; after each a good one; prints what went wrong
       metrics.py slow ADDRESS PORT N SECONDS        N connections that say a byte now and then, anew whenever one is ended; asks in the
                                                     meantime; prints "asked A answered B ended C"
       metrics.py many ADDRESS PORT N                N connections that say nothing and are kept; the same
"""
import json
import re
import select
import socket
import sys
import time

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| `([^`]+)` \|")
LEFT_OUT = re.compile(r"^\| `([^`]+)` \| (?!gauge|counter)")


def documented(docs):
    """{path: name} of the metrics' table, and the paths of the other one."""
    with open(docs, encoding="utf-8") as file:
        lines = file.readlines()
    found = [ROW.match(line) for line in lines]
    left_out = [LEFT_OUT.match(line) for line in lines]
    return [(row[3], row[1]) for row in found if row], {row[1] for row in left_out if row}


def numbers(value, path=""):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item, path + "[]")
    elif isinstance(value, (bool, int, float)):
        yield path


def covers(pattern, path):
    return path == pattern or pattern.endswith("*") and path.startswith(pattern[:-1])


def table(status_file, metrics_file, docs):
    with open(status_file, encoding="utf-8") as file:
        status = json.load(file)
    with open(metrics_file, encoding="utf-8") as file:
        told = {match[1] for match in (re.match(r"(\w+)[ {]", line) for line in file if not line.startswith("#")) if match}
    rows, left_out = documented(docs)
    paths = set(numbers(status))
    if len(rows) < 50 or len(paths) < 50:
        sys.exit(f"metrics: {len(rows)} rows, {len(paths)} numbers: that can't be all")
    for path in sorted(paths):
        names = [name for pattern, name in rows if covers(pattern, path)]
        if not names and not any(covers(pattern, path) for pattern in left_out):
            print(f"{path} is no metric, and nobody says why")
        if names and not set(names) & told:
            print(f"{path} should be {names[0]}, which is not told")
    for name in sorted(told - {name for _, name in rows}):
        print(f"{name} is not documented")


def names(dashboard, docs):
    with open(dashboard, encoding="utf-8") as file:
        text = json.dumps(json.load(file))
    known = {name for _, name in documented(docs)[0]}
    used = set(re.findall(r"ethercord_\w+", text))
    if len(used) < 10:
        sys.exit(f"metrics: {len(used)} metrics in the dashboard: that can't be all")
    for name in sorted(used - known):
        print(name)


def talk(where, request, seconds=8):
    """All that is answered until the connection ends; None = it does not end."""
    with socket.create_connection(where, seconds) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while data := connection.recv(65536):
                answer += data
        except (ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            return None
    return answer


def is_well(where):
    answer = talk(where, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return answer and answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\n") and b"\nethercord_build_info{" in answer


RUDE = [
    # request, how the answer has to begin ("" = may be none at all)
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", ""),
    (b"\r\n" * 2000, ""),
    (b"GET\r\n\r\n", ""),
    (b"GET /metrics\r\n\r\n", ""),
    (b"GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n", ""),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 414 "),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n", "HTTP/1.1 431 "),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 10000 + b"\r\n", "HTTP/1.1 431 "),
    (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 "),
    (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\nabc", "HTTP/1.1 4"),
    (b"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/1.1 405 "),
    (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 "),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 "),
    (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 "),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 "),
    (b"GET /metrics%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 "),
    (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 "),
    (b"GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421 "),
    (b"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1.evil.example:9036\r\n\r\n", "HTTP/1.1 421 "),
    (b"GET /status.json HTTP/1.1\r\nHost: [::1\r\n\r\n", "HTTP/1.1 "),
    (b"GET /status.json HTTP/1.1\r\nHost: " + b"1" * 5000 + b"\r\n\r\n", "HTTP/1.1 421 "),
    (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50, "HTTP/1.1 200 "),
]


def rude(where):
    for request, wanted in RUDE:
        answer = talk(where, request)
        if answer is None:
            print(f"{request[:40]}: no end")
        elif not answer.decode("latin-1").startswith(wanted):
            print(f"{request[:40]}: {answer[:60]}, wanted {wanted}")
        if not is_well(where):
            print(f"after {request[:40]} nobody is answered")
    for good in (b"127.0.0.1:9036", b"[::1]:9036", b"LOCALHOST", b"localhost:1", b"192.0.2.1"):
        if not talk(where, b"HEAD / HTTP/1.1\r\nHost: " + good + b"\r\n\r\n").startswith(b"HTTP/1.1 200 "):
            print(f"not known by {good}")


def connect(where):
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(where)
    return connection


def end_of(connections):
    """Those that have been ended, or answered."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN | select.POLLHUP)
    return {number for number, _ in poll.poll(0)}


def slow(where, n, seconds):
    connections = [connect(where) for _ in range(n)]
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 1000
    asked = answered = ended = turn = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        gone = end_of(connections)
        ended += len(gone)
        for i, connection in enumerate(connections):
            if connection.fileno() in gone:
                connection.close()
                connections[i] = connect(where)
                continue
            try:
                connection.send(request[turn % 1000 : turn % 1000 + 1])
            except OSError:
                pass
        turn += 1
        asked += 1
        answered += bool(is_well(where))
        time.sleep(0.2)
    print(f"asked {asked} answered {answered} ended {ended > 0}")


def many(where, n):
    connections = []
    asked = answered = 0
    for i in range(n):
        connections.append(connect(where))
        if i % 50 == 49:
            asked += 1
            answered += bool(is_well(where))
    print(f"asked {asked} answered {answered}")


arguments = sys.argv[1:]
if arguments[0] in ("table", "names"):
    globals()[arguments[0]](*arguments[1:])
else:
    globals()[arguments[0]]((arguments[1], int(arguments[2])), *map(int, arguments[3:]))

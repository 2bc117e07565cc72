#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
manager: runs a command as systemd would, as far as the command can see: a socket for notifications, the journal's socket, and stderr as a
stream to the journal. Signals go to the command. Everything that it says is in FOLDER, a line each, as it comes:

    notify   the assignments of a message, joined by "|"
    journal  the fields of an entry as a JSON object
    stream   what went to stderr

usage: manager.py FOLDER WATCHDOG-SECONDS COMMAND…      in a mount namespace of its own: /run gets another one
"""
import json
import os
import selectors
import signal
import socket
import subprocess
import sys

JOURNAL = "/run/systemd/journal/socket"


def datagrams(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind(path)
    os.chmod(path, 0o777)
    return sock


def entry(data):
    # A field with a line feed in it would have another form, and none of ours has.
    lines = data.decode().split("\n")
    assert lines.pop() == "", data
    return json.dumps(dict(line.split("=", 1) for line in lines))


def main():
    folder, watchdog_s, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    os.makedirs(os.path.dirname(JOURNAL))
    notify, journal = datagrams(f"{folder}/notify.sock"), datagrams(JOURNAL)
    ours, stderr = socket.socketpair()
    stat = os.fstat(stderr.fileno())
    environment = dict(os.environ, NOTIFY_SOCKET=f"{folder}/notify.sock", JOURNAL_STREAM=f"{stat.st_dev}:{stat.st_ino}")
    if watchdog_s:
        environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
    child = subprocess.Popen(command, env=environment, stderr=stderr, stdout=stderr)
    stderr.close()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: child.send_signal(number))
    sources = selectors.DefaultSelector()
    sources.register(notify, selectors.EVENT_READ, ("notify", lambda data: data.decode().strip().replace("\n", "|")))
    sources.register(journal, selectors.EVENT_READ, ("journal", entry))
    sources.register(ours, selectors.EVENT_READ, ("stream", lambda data: data.decode().rstrip("\n")))
    files = {name: open(f"{folder}/{name}", "a", buffering=1) for name in ("notify", "journal", "stream")}
    is_open = True
    while is_open:
        for key, _ in sources.select():
            name, form = key.data
            data = key.fileobj.recv(1 << 16)
            if data:
                print(form(data), file=files[name])
            elif name == "stream":  # all processes have ended
                is_open = False
    sys.exit(child.wait())


if __name__ == "__main__":
    main()

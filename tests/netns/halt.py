#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
halt: stops one thread of a process, and no other, for as long as this runs (ptrace). Says "halted" when it stands.

usage: halt.py THREAD-ID
"""
import ctypes
import os
import signal
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000  # os has no name for it


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        sys.exit(f"halt: ptrace: {os.strerror(ctypes.get_errno())}")


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
tid = int(sys.argv[1])
ptrace(PTRACE_SEIZE, tid)
ptrace(PTRACE_INTERRUPT, tid)
os.waitpid(tid, WALL)
print("halted", flush=True)
signal.pause()  # who ends a tracer lets the traced go on

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""outer: runs a command under a filter of system calls as a service manager puts it around a unit.

usage: outer.py COMMAND…

What `SystemCallFilter=@system-service` of systemd 252 leaves out ends the process, seccomp(2) and Landlock among it: the list here is of
those that a daemon could come upon. Goes on with no_new_privs.
"""
import ctypes
import os
import sys

LEFT_OUT = """
seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
chroot pivot_root mount umount2 open_tree move_mount fsopen fsmount fsconfig fspick mount_setattr
bpf perf_event_open ptrace pidfd_getfd
init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff
clock_settime settimeofday adjtimex clock_adjtime iopl ioperm acct quotactl
open_by_handle_at fanotify_init vhangup sethostname setdomainname
""".split()
KILL_PROCESS, ALLOW, UNKNOWN = 0x80000000, 0x7FFF0000, -1


def main():
    lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    context = lib.seccomp_init(ALLOW)
    for name in LEFT_OUT:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number != UNKNOWN and lib.seccomp_rule_add_array(context, KILL_PROCESS, number, 0, None) != 0:
            sys.exit(f"outer: can't filter {name}")
    if lib.seccomp_load(context) != 0:
        sys.exit("outer: can't load the filter")
    os.execvp(sys.argv[1], sys.argv[1:])


main()

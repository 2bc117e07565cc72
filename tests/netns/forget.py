#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
forget: the NAT of a namespace forgets all flows: it deletes the connection tracking's entries, as conntrack -F does.
"""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import l2  # noqa: E402

NETLINK_NETFILTER = 12
CTNETLINK_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2


def main():
    l2.enter(sys.argv[1])
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((0, 0))
    # An nlmsghdr, and an nfgenmsg for all families; without attributes all entries are meant.
    sock.send(struct.pack("=IHHII", 20, CTNETLINK_DELETE, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + struct.pack("!BBH", socket.AF_UNSPEC, 0, 0))
    answer = sock.recv(4096)
    _, kind, _, _, _, error = struct.unpack("=IHHIIi", answer[:20])
    if kind != NLMSG_ERROR or error != 0:
        print("forget:", os.strerror(-error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

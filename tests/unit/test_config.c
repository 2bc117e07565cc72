// SPDX-License-Identifier: MIT
/*
 * test_config: each key, each message, and that no message ever holds a piece of a secret. The keys are Bob's of RFC 7748 section 6.1, and
 * another pair.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/config/ini.h"
#include "ethercord/aead.h"
#include "ethercord/config.h"
#include "ethercord/frame.h"

enum { MESSAGES_CAP = CONFIG_MESSAGES_MAX * CONFIG_MESSAGE_CAP, N_MUTATIONS = 100000, TEXT_CAP = 4096 };

#define PRIVATE "XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os="
#define OWN_PUBLIC "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define PUBLIC "KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8="
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define LOW_ORDER "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// Line 1, 2; 3, 4. What is put behind begins on line 3 or 5.
#define NODE "[Node]\nPrivateKey = " PRIVATE "\n"
#define PEER "[Peer]\nPublicKey = " PUBLIC "\n"
#define SHORTCUT "[Shortcut]\nAddress = 10.9.0.251/24\n"

#define KEY_FORM "expected a key: 44 characters of base64\n"
#define KEY_FILE_FORM "expected the name of a file with a key in it\n"
#define PORT_FORM "ListenPort: expected a UDP port, 0 to 65535 (0 = any)\n"
#define CIPHER_FORM "Cipher: expected auto, aes-256-gcm or chacha20-poly1305\n"
#define MARK_FORM "FwMark: expected a number of 32 bits, decimal or with 0x (0 = none)\n"
#define INTERFACE_FORM ": expected the name of a network interface: 1 to 15 characters\n"
#define SOURCE_FORM "SourceAddress: expected an IPv4 or IPv6 address of this machine, without prefix or port\n"
#define LEVEL_FORM "LogLevel: expected error, warning, info or debug\n"
#define TAP_OFFLOAD_FORM "TapOffload: expected full, checksum or off\n"
#define UDP_OFFLOAD_FORM "UdpOffload: expected on or off\n"
#define MEMORY_FORM "ReassemblyMemory: expected a number of KiB, 128 to 65535\n"
#define TIMEOUT_FORM "ReassemblyTimeout: expected milliseconds, 10 to 60000\n"
#define GROUP_FORM "ControlGroup: expected the name of a group\n"
#define USER_FORM "User: expected the name of an unprivileged user\n"
#define MTU_FORM "MTU: expected a number, 576 to 9000\n"
#define QUEUE_FORM "QueueLength: expected a number of frames, 1 to 65535\n"
#define CIDRS "expected up to 8 addresses of hosts, with commas between them, as 10.9.0.1/24, fd00:9::1/64\n"
#define ENDPOINT_FORM "Endpoint: expected name:port, address:port or [IPv6 address]:port, port 1 to 65535 (without one: 36160)\n"
#define KEEPALIVE_FORM "PersistentKeepalive: expected seconds, 1 to 65535, or off\n"
#define PATH_MTU_FORM "PathMTU: expected a number, 576 to 9216, or auto\n"
#define SECTIONS "expected [Node], [Tap], [Shortcut], [Metrics] or [Peer NAME]\n"
#define LISTEN_FORM "Listen: expected an IPv4 address:port or [IPv6 address]:port, port 1 to 65535 (without one: 9036)\n"
#define REMOTE_FORM                                                                                                                        \
    "Listen: not only this machine can reach that address; expected a loopback address, as 127.0.0.1:9036, or AllowRemote = yes besides\n"
#define PEER_NAME_FORM "the peer's name is no name; expected 1 to 31 letters, digits, dots, dashes and underscores\n"

// One line behind a section that is otherwise right, and what is said of it.
#define IN_NODE(line, message)                                                                                                             \
    {                                                                                                                                      \
        NODE line "\n" PEER, "t.conf:3: " message                                                                                          \
    }
#define GOOD_IN_NODE(line)                                                                                                                 \
    {                                                                                                                                      \
        NODE line "\n" PEER, ""                                                                                                            \
    }
#define GOOD_IN_PEER(line)                                                                                                                 \
    {                                                                                                                                      \
        NODE PEER line "\n", ""                                                                                                            \
    }
#define GOOD_IN_TAP(line)                                                                                                                  \
    {                                                                                                                                      \
        NODE PEER "[Tap]\n" line "\n", ""                                                                                                  \
    }
#define GOOD_IN_SHORTCUT(line)                                                                                                             \
    {                                                                                                                                      \
        NODE PEER "[Shortcut]\n" line "\n", ""                                                                                             \
    }
#define GOOD_IN_METRICS(line)                                                                                                              \
    {                                                                                                                                      \
        NODE PEER "[Metrics]\n" line "\n", ""                                                                                              \
    }
#define IN_METRICS(line, message)                                                                                                          \
    {                                                                                                                                      \
        NODE PEER "[Metrics]\n" line "\n", "t.conf:6: " message                                                                            \
    }
#define IN_PEER(line, message)                                                                                                             \
    {                                                                                                                                      \
        NODE PEER line "\n", "t.conf:5: " message                                                                                          \
    }
#define IN_TAP(line, message)                                                                                                              \
    {                                                                                                                                      \
        NODE PEER "[Tap]\n" line "\n", "t.conf:6: " message                                                                                \
    }
#define IN_SHORTCUT(line, message)                                                                                                         \
    {                                                                                                                                      \
        NODE PEER "[Shortcut]\n" line "\n", "t.conf:6: " message                                                                           \
    }
#define NINE "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9"

struct text_row {
    const char *text;
    const char *messages; // "" = it is right
};

static const struct text_row rows[] = {
    {NODE PEER, ""},
    {NODE SHORTCUT, ""},
    {"", "t.conf: the node has no key; expected PrivateKeyFile or PrivateKey in [Node]\n"
         "t.conf: nothing to do; expected a [Peer], or an Address in [Shortcut]\n"},
    {NODE, "t.conf: nothing to do; expected a [Peer], or an Address in [Shortcut]\n"},
    {NODE "[Shortcut]\nAnswer = always\n", "t.conf: nothing to do; expected a [Peer], or an Address in [Shortcut]\n"},
    {PEER "[Node]\n", "t.conf:3: the node has no key; expected PrivateKeyFile or PrivateKey in [Node]\n"},
    {NODE "[Peer]\n", "t.conf:3: the peer has no key; expected PublicKey in [Peer]\n"},
    {NODE PEER "x\n", "t.conf:5: expected Key = value\n"},
    {"ListenPort = 1\n" NODE PEER, "t.conf:1: a key before the first section; " SECTIONS},
    // sections
    {NODE PEER "[Tapp]\nfoo = bar\n", "t.conf:5: unknown section [Tapp]; did you mean [Tap]?\n"},
    {NODE PEER "[shotrcut]\n", "t.conf:5: unknown section [shotrcut]; did you mean [Shortcut]?\n"},
    {NODE PEER "[Interface]\n", "t.conf:5: unknown section [Interface]; " SECTIONS},
    {NODE PEER "[" PRIVATE "]\n", "t.conf:5: unknown section; " SECTIONS},
    {NODE PEER "[Node]\nfoo = bar\n", "t.conf:5: [Node] is there twice; the first one is on line 1\n"},
    {NODE PEER "[tap]\n[TAP]\n", "t.conf:6: [Tap] is there twice; the first one is on line 5\n"},
    {NODE PEER "[Peer b]\nfoo = bar\n", "t.conf:5: only one [Peer] is supported yet; the first one is on line 3\n"},
    {NODE PEER "[Tap x]\n", "t.conf:5: [Tap] takes no name; expected [Tap]\n"},
    {NODE "[Peer a b]\nPublicKey = " PUBLIC "\n", "t.conf:3: " PEER_NAME_FORM},
    {NODE "[Peer a/b]\nPublicKey = " PUBLIC "\n", "t.conf:3: " PEER_NAME_FORM},
    {NODE "[Peer 12345678901234567890123456789012]\nPublicKey = " PUBLIC "\n", "t.conf:3: " PEER_NAME_FORM},
    {NODE "[pEER 1234567890123456789012345678901]\nPublicKey = " PUBLIC "\n", ""},
    // keys
    IN_NODE("ListenPrt = 1", "unknown key ListenPrt in [Node]; did you mean ListenPort?\n"),
    IN_NODE("listenprot = 1", "unknown key listenprot in [Node]; did you mean ListenPort?\n"),
    IN_NODE("Foo = 1", "unknown key Foo in [Node]\n"),
    IN_NODE("MTU = 1500", "MTU is no key of [Node]; it belongs in [Tap]\n"),
    IN_NODE(PRIVATE, "unknown key in [Node]\n"),
    IN_NODE("PrivateKye = " PRIVATE, "unknown key PrivateKye in [Node]; did you mean PrivateKey?\n"),
    IN_NODE("privatekey = " PRIVATE, "PrivateKey is there twice; the first one is on line 2\n"),
    {NODE PEER "PresharedKey = " PUBLIC "\npresharedkey = x\n", "t.conf:6: PresharedKey is there twice; the first one is on line 5\n"},
    // [Node]
    {"[Node]\nPrivateKey = x\n" PEER, "t.conf:2: PrivateKey: " KEY_FORM},
    {"[Node]\nPrivateKey =\n" PEER, "t.conf:2: PrivateKey: " KEY_FORM},
    {"[Node]\nPrivateKey = " ZERO "\n" PEER, "t.conf:2: PrivateKey: the key is all zeros; " KEY_FORM},
    {"[Node]\nPrivateKeyFile =\n" PEER, "t.conf:2: PrivateKeyFile: " KEY_FILE_FORM},
    {"[Node]\nPrivateKeyFile = " PRIVATE "\n" PEER, "t.conf:2: PrivateKeyFile: this looks like a key itself; " KEY_FILE_FORM},
    GOOD_IN_NODE("ListenPort = 0"),
    GOOD_IN_NODE("ListenPort = 65535"),
    IN_NODE("ListenPort = 65536", PORT_FORM),
    IN_NODE("ListenPort = -1", PORT_FORM),
    IN_NODE("ListenPort = 1x", PORT_FORM),
    IN_NODE("ListenPort = 99999999999999999999", PORT_FORM),
    IN_NODE("ListenPort =", PORT_FORM),
    IN_NODE("Cipher = none", CIPHER_FORM),
    IN_NODE("Cipher =", CIPHER_FORM),
    GOOD_IN_NODE("FwMark = 4294967295"),
    IN_NODE("FwMark = 4294967296", MARK_FORM),
    GOOD_IN_NODE("FwMark = 0xFFFFffff"),
    IN_NODE("FwMark = 0x100000000", MARK_FORM),
    IN_NODE("FwMark = 0x", MARK_FORM),
    IN_NODE("FwMark = ff", MARK_FORM),
    IN_NODE("BindInterface =", "BindInterface" INTERFACE_FORM),
    IN_NODE("BindInterface = eth0/1", "BindInterface" INTERFACE_FORM),
    IN_NODE("BindInterface = cord0", "BindInterface: this is the TAP itself; expected an interface of the underlay\n"),
    {NODE "BindInterface = br0\n" PEER "[Tap]\nBridge = br0\n",
     "t.conf:3: BindInterface: this is the TAP's bridge; expected an interface of the underlay\n"},
    IN_NODE("SourceAddress = 192.0.2.1:1", SOURCE_FORM),
    IN_NODE("SourceAddress = 0.0.0.0", SOURCE_FORM),
    IN_NODE("SourceAddress = ::", SOURCE_FORM),
    IN_NODE("SourceAddress = 224.0.0.1", SOURCE_FORM),
    IN_NODE("SourceAddress = ff02::1", SOURCE_FORM),
    IN_NODE("SourceAddress = example.net", SOURCE_FORM),
    IN_NODE("LogLevel = loud", LEVEL_FORM),
    GOOD_IN_NODE("TapOffload = full"),
    GOOD_IN_NODE("TapOffload = Checksum"),
    GOOD_IN_NODE("tapoffload = OFF"),
    IN_NODE("TapOffload = on", TAP_OFFLOAD_FORM),
    IN_NODE("TapOffload = fully", TAP_OFFLOAD_FORM),
    IN_NODE("TapOffload =", TAP_OFFLOAD_FORM),
    GOOD_IN_NODE("UdpOffload = on"),
    GOOD_IN_NODE("udpoffload = Off"),
    IN_NODE("UdpOffload = full", UDP_OFFLOAD_FORM),
    IN_NODE("UdpOffload = 1", UDP_OFFLOAD_FORM),
    IN_NODE("UdpOffload =", UDP_OFFLOAD_FORM),
    IN_NODE("UdpOfload = on", "unknown key UdpOfload in [Node]; did you mean UdpOffload?\n"),
    IN_PEER("UdpOffload = on", "UdpOffload is no key of [Peer]; it belongs in [Node]\n"),
    IN_TAP("TapOffload = off", "TapOffload is no key of [Tap]; it belongs in [Node]\n"),
    GOOD_IN_NODE("ReassemblyMemory = 128"),
    GOOD_IN_NODE("reassemblymemory = 65535"),
    IN_NODE("ReassemblyMemory = 127", MEMORY_FORM),
    IN_NODE("ReassemblyMemory = 65536", MEMORY_FORM),
    IN_NODE("ReassemblyMemory = 1 MiB", MEMORY_FORM),
    IN_NODE("ReassemblyMemory = off", MEMORY_FORM),
    IN_NODE("ReassemblyMemory =", MEMORY_FORM),
    IN_NODE("ReasemblyMemory = 1024", "unknown key ReasemblyMemory in [Node]; did you mean ReassemblyMemory?\n"),
    IN_PEER("ReassemblyMemory = 1024", "ReassemblyMemory is no key of [Peer]; it belongs in [Node]\n"),
    GOOD_IN_NODE("ReassemblyTimeout = 10"),
    GOOD_IN_NODE("reassemblytimeout = 60000"),
    IN_NODE("ReassemblyTimeout = 9", TIMEOUT_FORM),
    IN_NODE("ReassemblyTimeout = 60001", TIMEOUT_FORM),
    IN_NODE("ReassemblyTimeout = 1s", TIMEOUT_FORM),
    IN_NODE("ReassemblyTimeout = -1", TIMEOUT_FORM),
    IN_NODE("ReassemblyTimeout =", TIMEOUT_FORM),
    IN_TAP("ReassemblyTimeout = 100", "ReassemblyTimeout is no key of [Tap]; it belongs in [Node]\n"),
    IN_NODE("User = root", USER_FORM),
    IN_NODE("User = 1000", USER_FORM),
    IN_NODE("User = -x", USER_FORM),
    IN_NODE("User = a b", USER_FORM),
    IN_NODE("User =", USER_FORM),
    GOOD_IN_NODE("User = abcdefghijklmnopqrstuvwxyz123456"),
    IN_NODE("User = abcdefghijklmnopqrstuvwxyz1234567", USER_FORM),
    IN_NODE("ControlGroup = 100", GROUP_FORM),
    IN_NODE("ControlGroup = -x", GROUP_FORM),
    IN_NODE("ControlGroup = a/b", GROUP_FORM),
    GOOD_IN_NODE("ControlGroup = root"),
    // [Tap]
    GOOD_IN_TAP("Name = 123456789012345"),
    IN_TAP("Name = 1234567890123456", "Name" INTERFACE_FORM),
    IN_TAP("Name = cord%d", "Name" INTERFACE_FORM),
    IN_TAP("Name = ..", "Name" INTERFACE_FORM),
    IN_TAP("Name = a:b", "Name" INTERFACE_FORM),
    IN_TAP("Name = \"a b\"", "Name" INTERFACE_FORM),
    IN_TAP("MTU = 575", MTU_FORM),
    GOOD_IN_TAP("MTU = 576"),
    GOOD_IN_TAP("MTU = 9000"),
    IN_TAP("MTU = 9001", MTU_FORM),
    GOOD_IN_TAP("QueueLength = 1"),
    GOOD_IN_TAP("QueueLength = 65535"),
    IN_TAP("QueueLength = 0", QUEUE_FORM),
    IN_TAP("QueueLength = 65536", QUEUE_FORM),
    IN_TAP("QueueLength = off", QUEUE_FORM),
    IN_TAP("QueueLength =", QUEUE_FORM),
    IN_TAP("Bridge = .", "Bridge" INTERFACE_FORM),
    IN_TAP("Bridge = cord0", "Bridge: this is the TAP itself; expected another interface\n"),
    IN_TAP("Address = 10.9.0.0/24", "Address: 10.9.0.0/24 is the address of the network itself; " CIDRS),
    IN_TAP("Carrier = maybe", "Carrier: expected always or peer-up\n"),
    // [Shortcut]
    IN_SHORTCUT("Address = 10.9.0.255/24", "Address: 10.9.0.255/24 is the network's broadcast address; " CIDRS),
    GOOD_IN_SHORTCUT("Address = 10.9.0.0/31, 10.9.0.1/31, 10.9.0.2"),
    GOOD_IN_SHORTCUT("Address = 10.9.0.255/23, 10.9.1.0/23"),
    IN_SHORTCUT("Address = 224.0.0.1/4", "Address: 224.0.0.1/4 is no unicast address; " CIDRS),
    IN_SHORTCUT("Address = 255.255.255.255", "Address: 255.255.255.255/32 is no unicast address; " CIDRS),
    IN_SHORTCUT("Address = 0.0.0.0", "Address: 0.0.0.0/32 is no unicast address; " CIDRS),
    IN_SHORTCUT("Address = 127.0.0.1/8", "Address: 127.0.0.1/8 is a loopback address; " CIDRS),
    IN_SHORTCUT("Address = ::/64", "Address: ::/64 is no unicast address; " CIDRS),
    IN_SHORTCUT("Address = ::1", "Address: ::1/128 is a loopback address; " CIDRS),
    IN_SHORTCUT("Address = ff02::1", "Address: ff02::1/128 is no unicast address; " CIDRS),
    IN_SHORTCUT("Address = fd00::/64", "Address: fd00::/64 is the address of the network itself; " CIDRS),
    GOOD_IN_SHORTCUT("Address = fd00::/127, fd00::ffff:ffff:ffff:ffff/64"),
    IN_SHORTCUT("Address = 10.0.0.1/24, 10.0.0.1/8", "Address: 10.0.0.1/8 is in the list twice; " CIDRS),
    IN_SHORTCUT("Address = " NINE, "Address: 10.0.0.9/32 is one more than there is room for; " CIDRS),
    IN_SHORTCUT("Address = 10.0.0.1/33", "Address: " CIDRS),
    IN_SHORTCUT("Address = 10.0.0.1,", "Address: " CIDRS),
    IN_SHORTCUT("Address = ,", "Address: " CIDRS),
    IN_SHORTCUT("Address =", "Address: " CIDRS),
    IN_SHORTCUT("Address = 10.0.0.1 10.0.0.2", "Address: " CIDRS),
    {NODE SHORTCUT "[Tap]\nAddress = 10.9.0.251/16\n",
     "t.conf:4: Address: 10.9.0.251/24 is an Address in [Tap] too; expected one that nobody else has\n"},
    IN_SHORTCUT("Answer = never", "Answer: expected always or peer-up\n"),
    // [Metrics]
    GOOD_IN_METRICS("Listen = 127.0.0.1:9036"),
    GOOD_IN_METRICS("Listen = 127.8.0.1"),
    GOOD_IN_METRICS("Listen = [::1]"),
    GOOD_IN_METRICS("Listen = [::1]:65535"),
    GOOD_IN_METRICS("Listen = 192.0.2.1:80\nAllowRemote = yes"),
    GOOD_IN_METRICS("AllowRemote = YES\nListen = 0.0.0.0"),
    GOOD_IN_METRICS("Listen = [::]:9036\nAllowRemote = yes\nHostName = router.example.net"),
    IN_METRICS("Listen =", LISTEN_FORM),
    IN_METRICS("Listen = 127.0.0.1:0", LISTEN_FORM),
    IN_METRICS("Listen = 127.0.0.1:65536", LISTEN_FORM),
    IN_METRICS("Listen = localhost:9036", LISTEN_FORM),
    IN_METRICS("Listen = ::1", LISTEN_FORM),
    IN_METRICS("Listen = [127.0.0.1]:9036", LISTEN_FORM),
    IN_METRICS("Listen = [::ffff:127.0.0.1]:9036", LISTEN_FORM),
    IN_METRICS("Listen = 127.0.0.1:9036 x", LISTEN_FORM),
    IN_METRICS("Listen = 224.0.0.1", LISTEN_FORM),
    IN_METRICS("Listen = 0.0.0.1", LISTEN_FORM),
    IN_METRICS("Listen = 192.0.2.1:9036", REMOTE_FORM),
    IN_METRICS("Listen = 0.0.0.0:9036", REMOTE_FORM),
    IN_METRICS("Listen = [::]", REMOTE_FORM),
    IN_METRICS("Listen = [fd00::1]\nAllowRemote = no", REMOTE_FORM),
    {NODE PEER "[Metrics]\nListen = 127.0.0.1\nHostName = a/b\n",
     "t.conf:7: HostName: expected a name of this machine, as browsers are told it\n"},
    {NODE PEER "[Metrics]\nListen = 127.0.0.1\nAllowRemote = 1\n", "t.conf:7: AllowRemote: expected yes or no\n"},
    {NODE PEER "[Metrics]\nAllowRemote = yes\n",
     "t.conf:5: nothing to listen at; expected Listen in [Metrics], as Listen = 127.0.0.1:9036\n"},
    // [Peer]
    {NODE "[Peer]\nPublicKey = x\n", "t.conf:4: PublicKey: " KEY_FORM},
    {NODE "[Peer]\nPublicKey = " ZERO "\n", "t.conf:4: PublicKey: the key is all zeros; " KEY_FORM},
    {NODE "[Peer]\nPublicKey = " OWN_PUBLIC "\n", "t.conf:4: PublicKey: this is the node's own key; expected the peer's\n"},
    {NODE "[Peer]\nPublicKey = " LOW_ORDER "\n",
     "t.conf:4: PublicKey: this can't be anybody's key (a point of low order); expected the peer's\n"},
    IN_PEER("PresharedKey = x", "PresharedKey: " KEY_FORM),
    IN_PEER("PresharedKey = " ZERO, "PresharedKey: the key is all zeros; " KEY_FORM),
    IN_PEER("PresharedKeyFile =", "PresharedKeyFile: " KEY_FILE_FORM),
    IN_PEER("Endpoint =", ENDPOINT_FORM),
    IN_PEER("Endpoint = :1", ENDPOINT_FORM),
    IN_PEER("Endpoint = a:", ENDPOINT_FORM),
    IN_PEER("Endpoint = a:0", ENDPOINT_FORM),
    IN_PEER("Endpoint = a:65536", ENDPOINT_FORM),
    IN_PEER("Endpoint = a:1:2", ENDPOINT_FORM),
    IN_PEER("Endpoint = a b:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = a..b:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = -a:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = .:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = 10.1:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = 192.0.2.256:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = 224.0.0.1:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = 2001:db8::1", ENDPOINT_FORM),
    IN_PEER("Endpoint = [2001:db8::1", ENDPOINT_FORM),
    IN_PEER("Endpoint = [2001:db8::1]x", ENDPOINT_FORM),
    IN_PEER("Endpoint = [192.0.2.1]:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = [ff02::1]:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = [fe80::1%]:1", ENDPOINT_FORM),
    IN_PEER("Endpoint = []:1", ENDPOINT_FORM),
    GOOD_IN_PEER("PersistentKeepalive = 65535"),
    IN_PEER("PersistentKeepalive = 65536", KEEPALIVE_FORM),
    IN_PEER("PersistentKeepalive = on", KEEPALIVE_FORM),
    IN_PEER("PathMTU = 575", PATH_MTU_FORM),
    GOOD_IN_PEER("PathMTU = 576"),
    GOOD_IN_PEER("PathMTU = 9216"),
    IN_PEER("PathMTU = 9217", PATH_MTU_FORM),
    IN_PEER("PathMTU = 0", PATH_MTU_FORM),
    GOOD_IN_PEER("PathMTU = auto"),
    GOOD_IN_PEER("PathMTU = Auto"),
    IN_PEER("PathMTU = automatic", PATH_MTU_FORM),
};

static char folder[] = "/tmp/ethercord-config-XXXXXX";
static struct config config;
static struct config_errors errors;
static char messages[MESSAGES_CAP];

static int make_folder(void **state)
{
    (void)state;
    return sodium_init() < 0 || !mkdtemp(folder) ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name, char path[static 128])
{
    snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    char path[128];
    int fd = open(in_folder(name, path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void remove_file(const char *name)
{
    char path[128];
    assert_int_equal(unlink(in_folder(name, path)), 0);
}

static const char *joined_messages(void)
{
    size_t at = 0;
    messages[0] = '\0';
    for (size_t i = 0; i < errors.n_messages; i++)
        at += (size_t)snprintf(messages + at, sizeof(messages) - at, "%s\n", errors.messages[i].text);
    return messages;
}

static bool parse(const char *text)
{
    return config_parse_text(text, strlen(text), "t.conf", &config, &errors);
}

static void assert_wiped(void)
{
    assert_true(sodium_is_zero((const unsigned char *)&config, sizeof(config)));
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_good = parse(rows[i].text);
        if (strcmp(joined_messages(), rows[i].messages) != 0)
            fail_msg("row %zu:\n%s\nsays:     %s\nexpected: %s", i, rows[i].text, messages, rows[i].messages);
        assert_int_equal(is_good, rows[i].messages[0] == '\0');
        if (!is_good)
            assert_wiped();
    }
}

static void test_defaults(void **state)
{
    struct mac_address mac;
    char text[KEY_TEXT_CAP];
    (void)state;
    assert_true(parse(NODE PEER));
    assert_string_equal(config.name, "t");
    key_encode(text, config.public_key);
    assert_string_equal(text, OWN_PUBLIC);
    assert_int_equal(config.ciphers, ciphers_available());
    assert_int_equal(config.udp.port, 36160);
    assert_int_equal(config.udp.family, AF_UNSPEC);
    assert_int_equal(config.udp.fwmark, 0);
    assert_int_equal(config.udp.offload, UDP_OFFLOAD_ON);
    assert_int_equal(config.tap.offload, TAP_OFFLOAD_FULL);
    assert_int_equal(config.reassembly_memory_kib, 1024);
    assert_int_equal(config.reassembly_timeout_ms, 1000);
    assert_string_equal(config.udp.interface, "");
    assert_int_equal(config.log_level, LOG_LEVEL_INFO);
    assert_string_equal(config.user, "nobody");
    assert_string_equal(config.control_group, "");
    assert_string_equal(config.tap.name, "cord0");
    assert_int_equal(config.tap.mtu, 1500);
    assert_int_equal(config.tap.carrier, TAP_CARRIER_ALWAYS);
    assert_int_equal(config.tap.queue_len, 256);
    assert_string_equal(config.tap.bridge, "");
    assert_int_equal(config.tap.n_addresses, 0);
    assert_int_equal(config.shortcut.n_addresses, 0);
    assert_int_equal(config.shortcut.answer, SHORTCUT_ANSWER_ALWAYS);
    assert_int_equal(config.shortcut.mtu, 1500);
    mac_derive(&mac, config.public_key);
    assert_memory_equal(&mac, &config.shortcut.mac, sizeof(mac));
    assert_int_equal(config.metrics.listen.family, AF_UNSPEC);
    assert_true(config.peer.is_present);
    assert_false(config.peer.has_psk || config.peer.has_endpoint);
    assert_string_equal(config.peer.name, "peer");
    assert_int_equal(config.peer.persistent_keepalive_s, 0);
    assert_int_equal(config.peer.path_mtu, 0); // to be found
    assert_true(parse(NODE SHORTCUT));
    assert_false(config.peer.is_present);
    config_deinit(&config);
    assert_wiped();
}

static const char full_text[] =
    "# all keys\r\n[node]\r\n"
    "PRIVATEKEY = \"" PRIVATE "\"\r\n\tListenPort=1 ; c\r\nCipher = chacha20-poly1305\r\nFwMark = 0x2a\r\n"
    "BindInterface = eth0\r\nSourceAddress = 2001:db8::1\r\nLogLevel = Debug\r\nUser = _cord\r\nControlGroup = adm\r\n"
    "TapOffload = checksum\r\nUdpOffload = off\r\nReassemblyMemory = 256\r\nReassemblyTimeout = 250\r\n"
    "[Tap]\nName = tap7\nMTU = 9000\nBridge = br0\nAddress = 10.9.0.1/24 , fd00:9::1/64\nCarrier = Peer-Up\n"
    "QueueLength = 1000\n"
    "[Shortcut]\nAddress = 10.9.0.251/24,fd00:9::251/64\nAnswer = peer-up\n"
    "[Peer site-b]\nPublicKey = " PUBLIC "\nPresharedKey = " LOW_ORDER "\nEndpoint = b.example.net:9\n"
    "PersistentKeepalive = 25\nPathMTU = 1280\n";

static void test_all_keys(void **state)
{
    char text[CIDR_TEXT_CAP];
    char key[KEY_TEXT_CAP];
    (void)state;
    assert_true(parse(full_text));
    key_encode(key, config.private_key);
    assert_string_equal(key, PRIVATE);
    assert_int_equal(config.udp.port, 1);
    assert_int_equal(config.ciphers, 1 << CIPHER_CHACHA20_POLY1305);
    assert_int_equal(config.udp.fwmark, 42);
    assert_string_equal(config.udp.interface, "eth0");
    assert_int_equal(config.udp.family, AF_INET6);
    assert_int_equal(config.udp.source.family, AF_INET6);
    assert_int_equal(config.udp.source.ip[15], 1);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(config.user, "_cord");
    assert_string_equal(config.control_group, "adm");
    assert_int_equal(config.tap.offload, TAP_OFFLOAD_CHECKSUM);
    assert_int_equal(config.udp.offload, UDP_OFFLOAD_OFF);
    assert_int_equal(config.reassembly_memory_kib, 256);
    assert_int_equal(config.reassembly_timeout_ms, 250);
    assert_string_equal(config.tap.name, "tap7");
    assert_int_equal(config.tap.mtu, 9000);
    assert_int_equal(config.shortcut.mtu, 9000);
    assert_string_equal(config.tap.bridge, "br0");
    assert_int_equal(config.tap.n_addresses, 2);
    assert_string_equal(cidr_format(&config.tap.addresses[0], text), "10.9.0.1/24");
    assert_string_equal(cidr_format(&config.tap.addresses[1], text), "fd00:9::1/64");
    assert_int_equal(config.tap.carrier, TAP_CARRIER_PEER_UP);
    assert_int_equal(config.tap.queue_len, 1000);
    assert_int_equal(config.shortcut.n_addresses, 2);
    assert_string_equal(cidr_format(&config.shortcut.addresses[1], text), "fd00:9::251/64");
    assert_int_equal(config.shortcut.answer, SHORTCUT_ANSWER_PEER_UP);
    assert_string_equal(config.peer.name, "site-b");
    key_encode(key, config.peer.public_key);
    assert_string_equal(key, PUBLIC);
    assert_true(config.peer.has_psk);
    assert_int_equal(config.peer.psk[0], 1);
    assert_true(config.peer.has_endpoint);
    assert_int_equal(config.peer.persistent_keepalive_s, 25);
    assert_int_equal(config.peer.path_mtu, 1280);
    config_deinit(&config);
}

static void test_endpoints(void **state)
{
    static const struct {
        const char *value;
        const char *host;
        uint16_t port;
    } endpoints[] = {
        {"b.example.net:9", "b.example.net", 9}, {"b.example.net.", "b.example.net.", 36160},
        {"localhost:65535", "localhost", 65535}, {"1a.2b:1", "1a.2b", 1},
        {"192.0.2.1", "192.0.2.1", 36160},       {"192.0.2.1:1", "192.0.2.1", 1},
        {"[2001:db8::1]", "2001:db8::1", 36160}, {"[2001:db8::1]:7", "2001:db8::1", 7},
        {"[fe80::1%eth0]:7", "fe80::1%eth0", 7},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
        snprintf(text, sizeof(text), NODE PEER "Endpoint = %s\n", endpoints[i].value);
        assert_true(parse(text));
        assert_true(config.peer.has_endpoint);
        assert_string_equal(config.peer.endpoint_host, endpoints[i].host);
        assert_int_equal(config.peer.endpoint_port, endpoints[i].port);
    }
    assert_true(parse(NODE PEER "PersistentKeepalive = OFF\n"));
    assert_int_equal(config.peer.persistent_keepalive_s, 0);
}

static void test_offloads(void **state)
{
    static const struct {
        const char *lines;
        enum tap_offload tap;
        enum udp_offload udp;
    } offloads[] = {
        {"TapOffload = off", TAP_OFFLOAD_OFF, UDP_OFFLOAD_ON},
        {"TapOffload = CheckSum\nUdpOffload = ON", TAP_OFFLOAD_CHECKSUM, UDP_OFFLOAD_ON},
        {"TapOffload = full\nUdpOffload = off", TAP_OFFLOAD_FULL, UDP_OFFLOAD_OFF},
        {"UdpOffload = off\nTapOffload = off", TAP_OFFLOAD_OFF, UDP_OFFLOAD_OFF},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
        snprintf(text, sizeof(text), NODE "%s\n" PEER, offloads[i].lines);
        assert_true(parse(text));
        assert_int_equal(config.tap.offload, offloads[i].tap);
        assert_int_equal(config.udp.offload, offloads[i].udp);
    }
}

static void test_ciphers(void **state)
{
    bool has_aes = cipher_is_available(CIPHER_AES_256_GCM);
    (void)state;
    assert_true(parse(NODE "Cipher = AUTO\n" PEER));
    assert_int_equal(config.ciphers, ciphers_available());
    assert_int_equal(parse(NODE "Cipher = aes-256-gcm\n" PEER), has_aes);
    if (has_aes)
        assert_int_equal(config.ciphers, 1 << CIPHER_AES_256_GCM);
    else
        assert_string_equal(joined_messages(), "t.conf:3: Cipher: this CPU has no instructions for aes-256-gcm; expected auto or "
                                               "chacha20-poly1305\n");
}

static void test_instance_names(void **state)
{
    static const char bad[] = "t: the file's name names the instance; expected 1 to 63 letters, digits, dots, dashes and underscores, then "
                              ".conf\n";
    static const char text[] = NODE PEER;
    char long_name[80];
    (void)state;
    assert_true(config_parse_text(text, strlen(text), "/etc/ethercord/site-a.conf", &config, &errors));
    assert_string_equal(config.name, "site-a");
    assert_true(config_parse_text(text, strlen(text), "x.y", &config, &errors));
    assert_string_equal(config.name, "x.y");
    assert_false(config_parse_text(text, strlen(text), ".conf", &config, &errors));
    assert_string_equal(strstr(joined_messages(), ": the file") + 1, bad + 2);
    assert_false(config_parse_text(text, strlen(text), "a b.conf", &config, &errors));
    assert_false(config_parse_text(text, strlen(text), "-a.conf", &config, &errors));
    memset(long_name, 'a', sizeof(long_name));
    long_name[64] = '\0';
    assert_false(config_parse_text(text, strlen(text), long_name, &config, &errors));
    long_name[63] = '\0';
    assert_true(config_parse_text(text, strlen(text), long_name, &config, &errors));
    assert_string_equal(config.name, long_name);
}

static void test_limits(void **state)
{
    static char large[INI_TEXT_MAX + 1];
    (void)state;
    memset(large, '\n', sizeof(large));
    memcpy(large, NODE PEER, strlen(NODE PEER));
    assert_true(config_parse_text(large, INI_TEXT_MAX, "t.conf", &config, &errors));
    assert_false(config_parse_text(large, INI_TEXT_MAX + 1, "t.conf", &config, &errors));
    assert_string_equal(joined_messages(), "t.conf: the file is too large; expected at most 1 MiB\n");
    memset(large, 'x', 100);
    for (size_t i = 1; i < 100; i += 2)
        large[i] = '\n';
    assert_false(config_parse_text(large, 100, "t.conf", &config, &errors));
    assert_int_equal(errors.n_messages, CONFIG_MESSAGES_MAX);
    assert_int_equal(errors.n_errors, 52);
    assert_wiped();
}

static void assert_says(const char *text, const char *message_format)
{
    char path[128], expected[CONFIG_MESSAGE_CAP];
    put_file("f.conf", text, 0600);
    (void)!config_parse_file(in_folder("f.conf", path), &config, &errors);
    snprintf(expected, sizeof(expected), message_format, path, folder);
    assert_string_equal(joined_messages(), *message_format ? expected : "");
}

#define WITH_FILE "[Node]\nPrivateKeyFile = k\n" PEER

static void test_key_files(void **state)
{
    char path[128], text[512];
    (void)state;
    assert_says(WITH_FILE, "%s:2: PrivateKeyFile: %s/k can't be read: No such file or directory\n");
    put_file("k", PRIVATE "\n", 0600);
    assert_says(WITH_FILE, "");
    assert_int_equal(errors.n_errors, 0);
    assert_true(config.peer.is_present);
    snprintf(text, sizeof(text), "[Node]\nPrivateKeyFile = %s # absolute\n" PEER "PresharedKeyFile = k\n", in_folder("k", path));
    assert_says(text, "");
    assert_true(config.peer.has_psk);
    put_file("k", PRIVATE "\n", 0640);
    assert_says(WITH_FILE, "%s:2: PrivateKeyFile: others than the owner have access to %s/k (mode 0640); expected mode 0600\n");
    assert_int_equal(errors.n_errors, 0);
    assert_int_equal(errors.n_warnings, 1);
    assert_true(errors.messages[0].is_warning);
    put_file("k", PRIVATE PRIVATE "\n", 0600);
    assert_says(WITH_FILE, "%s:2: PrivateKeyFile: %s/k holds no key; expected one line of 44 characters of base64\n");
    put_file("k", ZERO "\n", 0600);
    assert_says(WITH_FILE, "%s:2: PrivateKeyFile: the key is all zeros; " KEY_FILE_FORM);
    put_file("k", PRIVATE "\n", 0600);
    assert_says("[Node]\nPrivateKeyFile = k\nPrivateKey = " PRIVATE "\n" PEER,
                "%s:3: both PrivateKey and PrivateKeyFile are there; expected one of them\n");
    assert_says(NODE PEER "PresharedKey = " PUBLIC "\nPresharedKeyFile = k\n",
                "%s:6: both PresharedKey and PresharedKeyFile are there; expected one of them\n");
    remove_file("k");
    remove_file("f.conf");
}

static void test_files(void **state)
{
    char path[128], expected[256];
    (void)state;
    assert_false(config_parse_file(in_folder("none.conf", path), &config, &errors));
    snprintf(expected, sizeof(expected), "%s: can't be read: No such file or directory\n", path);
    assert_string_equal(joined_messages(), expected);
    assert_wiped();
    assert_false(config_parse_file(folder, &config, &errors));
    snprintf(expected, sizeof(expected), "%s: can't be read: Is a directory\n", folder);
    assert_string_equal(joined_messages(), expected);
    assert_false(config_parse_file("/dev/zero", &config, &errors));
    assert_string_equal(joined_messages(), "/dev/zero: the file is too large; expected at most 1 MiB\n");

    put_file("w.conf", NODE PEER, 0644);
    assert_true(config_parse_file(in_folder("w.conf", path), &config, &errors));
    snprintf(expected, sizeof(expected),
             "%s: the file holds a key and others than the owner have access to it (mode 0644); expected mode 0600\n", path);
    assert_string_equal(joined_messages(), expected);
    assert_int_equal(errors.n_warnings, 1);
    remove_file("w.conf");
}

// Whether a message holds six characters in a row of the secret.
static void assert_no_secret(const char *text)
{
    char piece[7] = "";
    (void)joined_messages();
    for (size_t i = 0; i + 6 <= strlen(PRIVATE); i++) {
        memcpy(piece, &PRIVATE[i], 6);
        if (strstr(messages, piece))
            fail_msg("%s\nsays: %s", text, messages);
    }
}

static void test_secrets_stay_out(void **state)
{
    static const char *const forms[] = {
        "%s%s",        "[%s%s]",        "[Node %s%s]", "[Peer %s%s]", "%s%s = 1",    "x = %s%s",    "\"%s%s",
        "%s = \"%s",   "%s = \"%s\" x", "%s = %s/x",   "%s = /x/%s",  "%s = %s:1",   "%s = [%s]:1", "%s = %s",
        "%s = %s\x01", "%s: %s",        "%s = %sA",    "%s = ./%s",   "%s = %s, %s",
    };
    static const char *const sections[] = {"", "[Node]\n", "[Tap]\n", "[Shortcut]\n", "[Metrics]\n", "[Peer]\n"};
    static const char *const keys[] = {
        "PrivateKey",   "PrivateKeyFile", "PrivateKye",       "ListenPort",  "Cipher",
        "FwMark",       "BindInterface",  "SourceAddress",    "LogLevel",    "User",
        "ControlGroup", "Name",           "TapOffload",       "UdpOffload",  "MTU",
        "Bridge",       "Address",        "Carrier",          "QueueLength", "Answer",
        "Listen",       "AllowRemote",    "HostName",         "PublicKey",   "PresharedKey",
        "Preshared",    "Presharedkey",   "PresharedKeyFile", "Endpoint",    "PersistentKeepalive",
        "PathMTU",
    };
    char line[512], text[1024];
    (void)state;
    for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(line, sizeof(line), forms[f], f < 7 ? "" : keys[k], PRIVATE, PRIVATE);
#pragma GCC diagnostic pop
                snprintf(text, sizeof(text), "%s%s\n", sections[s], line);
                assert_false(parse(text));
                assert_no_secret(text);
            }
        }
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t mutate(char *text, size_t len, uint64_t *seed)
{
    static const char *const words[] = {"\n", "[", "]",    "=",        "\"",           "#",          ";", ",",  "/",
                                        ":",  "%", "\r\n", "[Peer]\n", "\n[Tap]\n",    "Address = ", " ", "0x", "-",
                                        ".",  "0", "255",  "off",      "MTU = 1500\n", "::"};
    uint64_t random = next_random(seed);
    size_t at = (size_t)(random >> 8) % len;
    const char *word = words[(random >> 40) % (sizeof(words) / sizeof(words[0]))];
    size_t n = 1 + (random >> 50) % 32;
    switch (random % 5) {
    case 0:
        text[at] = (char)(random >> 32);
        return len;
    case 1:
        n = n < len - at ? n : len - at - 1;
        memmove(text + at, text + at + n, len - at - n);
        return len - n;
    case 2:
        n = strlen(word);
        break;
    case 3:
        n = n < len - at ? n : len - at;
        word = text + at;
        break;
    default:
        return random >> 60 == 0 && at > 0 ? at : len;
    }
    if (len + n > TEXT_CAP)
        return len;
    memmove(text + at + n, text + at, len - at);
    memmove(text + at, word, n);
    return len + n;
}

// What holds for any text at all.
static void check_result(bool is_good, const char *text)
{
    assert_true(errors.n_messages <= CONFIG_MESSAGES_MAX);
    if (!is_good) {
        assert_true(errors.n_errors > 0);
        assert_wiped();
        return;
    }
    if (errors.n_errors > 0)
        fail_msg("good with errors:\n%s", text);
    assert_in_range(config.tap.mtu, TAP_MTU_MIN, TAP_MTU_MAX);
    assert_true(config.peer.path_mtu == 0 || (config.peer.path_mtu >= PATH_MTU_MIN && config.peer.path_mtu <= PATH_MTU_MAX));
    assert_in_range(config.tap.n_addresses, 0, TAP_ADDRESSES_MAX);
    assert_in_range(config.shortcut.n_addresses, 0, SHORTCUT_ADDRESSES_MAX);
    assert_true(config.peer.is_present || config.shortcut.n_addresses > 0);
    assert_in_range(strlen(config.tap.name), 1, IFNAMSIZ - 1);
    assert_true(config.ciphers != 0);
    assert_in_range(config.tap.offload, TAP_OFFLOAD_OFF, TAP_OFFLOAD_FULL);
    assert_in_range(config.udp.offload, UDP_OFFLOAD_ON, UDP_OFFLOAD_OFF);
}

static void test_mutations(void **state)
{
    static char text[TEXT_CAP + 1];
    uint64_t seed = 36160;
    size_t n_good = 0;
    (void)state;
    for (int i = 0; i < N_MUTATIONS; i++) {
        size_t len = sizeof(full_text) - 1;
        memcpy(text, full_text, len);
        for (uint64_t n = 1 + next_random(&seed) % 4; n > 0; n--)
            len = mutate(text, len, &seed);
        // An exact heap copy, so that AddressSanitizer sees the first byte too many.
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, text, len);
        bool is_good = config_parse_text(copy, len, "t.conf", &config, &errors);
        free(copy);
        text[len] = '\0';
        check_result(is_good, text);
        n_good += is_good;
    }
    assert_true(n_good > N_MUTATIONS / 100); // else nothing was tested but the first error
}

static void test_answer(void **state)
{
    struct config_answer answer = {.tap = "tap0", .addresses = "10.9.0.1/24,fd00::1"};
    (void)state;
    assert_true(config_make_answer(&answer, &config, &errors));
    assert_string_equal(config.name, "tap0");
    assert_string_equal(config.tap.name, "tap0");
    assert_int_equal(config.tap.mtu, 1500);
    assert_int_equal(config.shortcut.n_addresses, 2);
    assert_false(config.peer.is_present);
    assert_false(key_is_zero(config.private_key));
    assert_false(key_is_zero(config.public_key));
    answer = (struct config_answer){.tap = "a@b", .addresses = "10.9.0.0/24", .mtu = "1"};
    assert_false(config_make_answer(&answer, &config, &errors));
    assert_string_equal(joined_messages(),
                        "answer: Name: the TAP names the instance; expected letters, digits, dots, dashes and "
                        "underscores\nanswer: Address: 10.9.0.0/24 is the address of the network itself; " CIDRS "answer: " MTU_FORM);
    assert_wiped();
}

static void put_key(const char *name)
{
    uint8_t key[KEY_LEN];
    char text[KEY_TEXT_CAP];
    key_new_private(key);
    key_encode(text, key);
    put_file(name, text, 0600);
}

static void check_example(const char *name)
{
    static char text[TEXT_CAP];
    const char *tests = getenv("ETHERCORD_TESTS");
    char path[1024];
    snprintf(path, sizeof(path), "%s%sexamples/%s", tests ? tests : "", tests ? "/../" : "", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    bool is_good = config_parse_text(text, len, in_folder(name, path), &config, &errors);
    assert_string_equal(joined_messages(), "");
    assert_true(is_good);
    assert_true(config.peer.has_psk);
    assert_int_equal(config.shortcut.n_addresses, 2);
}

// The examples have no keys of their own: whoever took them would share them with everybody.
static void test_examples(void **state)
{
    (void)state;
    put_key("site-a.key");
    put_key("site-b.key");
    put_key("cord.psk");
    check_example("site-a.conf");
    assert_true(config.peer.has_endpoint);
    check_example("site-b.conf");
    remove_file("site-a.key");
    remove_file("site-b.key");
    remove_file("cord.psk");
}

static void test_help_names_all_keys(void **state)
{
    char *text = NULL;
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    config_print_keys(out);
    fclose(out);
    assert_non_null(strstr(text, "[Node]\n  PrivateKey "));
    assert_non_null(strstr(text, "\n  TapOffload "));
    assert_non_null(strstr(text, "\n  UdpOffload "));
    assert_non_null(strstr(text, "\n[Peer NAME]\n  PublicKey "));
    assert_non_null(strstr(
        text,
        "PathMTU              largest IP packet that passes to the peer; auto: find it, and notice when it changes (default auto)\n"));
    free(text);
}

static void test_new(void **state)
{
    struct config *heap = config_new();
    (void)state;
    assert_non_null(heap);
    assert_true(sodium_is_zero((const unsigned char *)heap, sizeof(*heap)));
    config_free(heap);
    config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_offloads),
        cmocka_unit_test(test_ciphers),
        cmocka_unit_test(test_instance_names),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_secrets_stay_out),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_help_names_all_keys),
        cmocka_unit_test(test_new),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

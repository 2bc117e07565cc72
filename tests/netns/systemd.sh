#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# systemd: makes the machine of systemd.test and becomes its process 1. Runs in namespaces of its own (mount, pid, cgroup, net, uts, ipc).
# Everything that it changes is in a tmpfs, which goes away with it. $WORK/out is the only way out; "no" there says why it can't be.
set -u

no() {
    echo "$*" >"$WORK/out/no"
    exit 1
}

# All of this machine that does anything by itself is left out: what stays is the journal.
MASKED=(systemd-udevd.service systemd-udev-trigger.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service
    systemd-logind.service systemd-remount-fs.service systemd-modules-load.service systemd-sysctl.service systemd-random-seed.service
    systemd-binfmt.service systemd-firstboot.service systemd-hwdb-update.service systemd-machine-id-commit.service
    systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service dbus.service dbus.socket kmod-static-nodes.service
    systemd-update-utmp.service systemd-pstore.service networking.service apparmor.service systemd-boot-system-token.service
    systemd-repart.service systemd-sysext.service dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount systemd-udevd-control.socket
    systemd-udevd-kernel.socket systemd-initctl.socket)

copy_on_write() {
    mount --make-rprivate / || return
    mkdir "$ROOT" "$WORK/layers"
    mount -t tmpfs none "$WORK/layers" && mkdir "$WORK/layers/upper" "$WORK/layers/work" &&
        mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/layers/upper,workdir=$WORK/layers/work" "$ROOT"
}

control_groups() {
    local dir=$ROOT/sys/fs/cgroup
    if ! grep -q '^[1-9]' /proc/self/cgroup; then
        mount -t cgroup2 cgroup2 "$dir"
        return
    fi
    mount -t tmpfs -o mode=755 none "$dir" && mkdir "$dir/systemd" && mount -t cgroup -o none,name=systemd cgroup "$dir/systemd" || return
    mkdir "$dir/devices" && mount -t cgroup -o devices cgroup "$dir/devices" || return
    mount -o remount,ro none "$dir" # else it would mount all others
}

# Not this machine's console, and the modes that udev would give.
devices() {
    local name major minor
    mount -t tmpfs -o mode=755 none "$ROOT/dev" && mkdir "$ROOT/dev/net" "$ROOT/dev/shm" "$ROOT/dev/pts" || return
    while read -r name major minor; do
        mknod -m 666 "$ROOT/dev/$name" c "$major" "$minor" || return
    done <<<$'null 1 3\nzero 1 5\nfull 1 7\nrandom 1 8\nurandom 1 9\ntty 5 0\nnet/tun 10 200'
}

file_systems() {
    mount -t proc proc "$ROOT/proc" && mount -t sysfs sysfs "$ROOT/sys" && mount -t tmpfs none "$ROOT/run" && devices || return
    mount --bind "$WORK/out" "$ROOT$WORK/out"
}

units() {
    local dir=$ROOT/etc/systemd/system unit
    rm -rf "$dir"
    mkdir -p "$dir" "$ROOT/etc/ethercord" "$ROOT/var/log/journal"
    : >"$ROOT/etc/fstab"
    for unit in "${MASKED[@]}"; do ln -s /dev/null "$dir/$unit"; done
    printf '[Unit]\nRequires=inside.service\nAfter=inside.service\n' >"$dir/inside.target"
    cat >"$dir/inside.service" <<END
[Unit]
After=sysinit.target systemd-journald.service
[Service]
Type=oneshot
Environment=WORK=$WORK ETHERCORD=/usr/sbin/ethercord TMPDIR=/tmp
ExecStart=$NETNS_DIR/systemd_inside.sh
StandardOutput=append:$WORK/out/inside
StandardError=append:$WORK/out/inside
ExecStopPost=/bin/sh -c "exec systemctl --force --force poweroff >/dev/null 2>&1"
END
}

install_ethercord() {
    # -o: it is built already, and with whatever flags that was, it is what is tested.
    make -s -C "$NETNS_DIR/../.." -o "$ETHERCORD" BUILD="$(dirname "$ETHERCORD")" PREFIX=/usr DESTDIR="$ROOT" install
}

[[ -x $SYSTEMD ]] || no "no systemd here"
copy_on_write || no "no overlay file system may be mounted here"
file_systems || no "no proc, sysfs or tmpfs may be mounted here"
control_groups || no "no control groups may be mounted here"
install_ethercord || exit 1
units
cd "$ROOT" && mkdir -p old && pivot_root . old && umount -l /old || exit 1
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin "$SYSTEMD" --system --log-level=notice --show-status=0 --unit=inside.target

#!/bin/bash
# Boots systemd on the directory LOWER, with all it writes in UPPER, in namespaces of its own; becomes the process that ends
# with it: boot.sh NETWORK LOWER UPPER IMAGES
set -euo pipefail
controllers=(cpu cpuacct cpuset memory devices freezer blkio pids)

if [ "${5:-}" != inside ]; then
    # A control group of its own, which is the root of what it sees.
    for name in "${controllers[@]}" systemd; do
        group=/sys/fs/cgroup/$name/pinflow-host
        mkdir -p "$group"
        if [ "$name" = cpuset ]; then
            cat /sys/fs/cgroup/cpuset/cpuset.cpus >"$group/cpuset.cpus"
            cat /sys/fs/cgroup/cpuset/cpuset.mems >"$group/cpuset.mems"
        fi
        echo $$ >"$group/cgroup.procs"
    done
    exec ip netns exec "$1" unshare --mount --pid --fork --uts --ipc --cgroup --kill-child "$0" "$@" inside
fi

root=$3/root
mkdir -p "$root" "$3/files" "$3/work"
mount --make-rprivate /
mount -t overlay -o "lowerdir=$2,upperdir=$3/files,workdir=$3/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
for name in "${controllers[@]}"; do
    mkdir "$root/sys/fs/cgroup/$name"
    mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name"
done
mkdir "$root/sys/fs/cgroup/systemd"
mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
# The images that this machine has: elsewhere they are pulled.
mkdir -p "$root/var/lib/docker"
mount --bind "$4" "$root/var/lib/docker"
cd "$root"
mkdir -p .old
pivot_root . .old
umount -l /.old
exec env -i container=lxc PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=null

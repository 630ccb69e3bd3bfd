#!/bin/sh
# Make rootfs.tar in the given folder: Debian's smallest root, without documentation and package lists.
set -eu
command -v debootstrap >/dev/null ||
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends debootstrap; }
debootstrap --variant=minbase bookworm "$1/root" http://deb.debian.org/debian
cd "$1/root"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/man/* usr/share/locale/*
find usr/share/doc -type f ! -name copyright -delete
tar --create --file "$1/rootfs.tar" --one-file-system --exclude './dev/*' .
cd /
rm -rf "$1/root"

#!/bin/sh
# Make in the given folder root.tar, what Debian's own image for EC2 holds as far as a host under test needs it, and
# docker.deb, Debian's engine.
set -eu
sources=$(readlink -f "$(dirname "$0")/../../images/debian/debian.sources")
command -v debootstrap >/dev/null ||
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends debootstrap; }
debootstrap --variant=minbase --include=systemd-sysv,dbus,cloud-init,ca-certificates,curl,iproute2,openssl,procps,python3,python3-cffi-backend \
    bookworm "$1/root" http://deb.debian.org/debian
cd "$1/root"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/man/* usr/share/locale/*
cp "$sources" etc/apt/sources.list.d/
rm -f etc/apt/sources.list
# By this file of the hypervisor cloud-init knows EC2, and asks its metadata service in the way that wants a token.
echo ec2e1916-9099-7caf-fd21-012345abcdef >etc/cloud/hypervisor-uuid
sed -i 's#/sys/hypervisor/uuid#/etc/cloud/hypervisor-uuid#' usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py
# The network is there before it starts, and nobody there answers DHCP.
ln -sf /bin/false usr/sbin/dhclient
cat >etc/cloud/cloud.cfg.d/99-under-test.cfg <<'CONFIG'
datasource_list: [Ec2]
datasource: {Ec2: {strict_id: false, max_wait: 20, timeout: 5}}
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: false
CONFIG
echo 'datasource: Ec2' >etc/cloud/ds-identify.cfg
(cd "$1" && { apt-get -qq download docker.io || { apt-get -qq update && apt-get -qq download docker.io; }; } && mv docker.io*.deb docker.deb)
tar --create --file "$1/root.tar" --one-file-system --exclude './dev/*' .
cd /
rm -rf "$1/root"

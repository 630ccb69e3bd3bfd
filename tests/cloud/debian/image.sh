#!/bin/sh
# Make in the given folder
#   bare.tar    what Debian's own image for EC2 holds, as far as a host under test needs it
#   later.tar   the same with the packages that user data install first: for hosts whose test begins after them
#   docker.deb  Debian's engine
set -eu
# What is mounted below the folder is gone with this script, however it ends: whoever clears the folder finds no device there.
[ "${2:-}" = inside ] || exec unshare --mount sh "$0" "$1" inside
sources=$(readlink -f "$(dirname "$0")/../../images/debian/debian.sources")
command -v debootstrap >/dev/null ||
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends debootstrap; }
cd "$1"
apt-get -qq download docker.io || { apt-get -qq update && apt-get -qq download docker.io; }
mv docker.io*.deb docker.deb

packages=systemd-sysv,dbus,cloud-init,ca-certificates,curl,iproute2,openssl,procps,python3,python3-cffi-backend
debootstrap --variant=minbase --include="$packages" bookworm root http://deb.debian.org/debian
rm -rf root/var/cache/apt/*.bin root/var/lib/apt/lists/* root/var/log/* root/usr/share/man/* root/usr/share/locale/*
cp "$sources" root/etc/apt/sources.list.d/
rm -f root/etc/apt/sources.list
# What it writes need not outlive a power failure.
echo force-unsafe-io >root/etc/dpkg/dpkg.cfg.d/under-test
# By this file of the hypervisor cloud-init knows EC2, and asks its metadata service in the way that wants a token.
echo ec2e1916-9099-7caf-fd21-012345abcdef >root/etc/cloud/hypervisor-uuid
sed -i 's#/sys/hypervisor/uuid#/etc/cloud/hypervisor-uuid#' root/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py
# The network is there before it starts, and nobody there answers DHCP.
ln -sf /bin/false root/usr/sbin/dhclient
cat >root/etc/cloud/cloud.cfg.d/99-under-test.cfg <<'CONFIG'
datasource_list: [Ec2]
datasource: {Ec2: {strict_id: false, max_wait: 20, timeout: 5}}
network: {config: disabled}
apt: {preserve_sources_list: true}
locale: false
CONFIG
echo 'datasource: Ec2' >root/etc/cloud/ds-identify.cfg
tar --create --file bare.tar --directory root --exclude './dev/*' .

mount --bind /dev root/dev
mount -t proc proc root/proc
chroot root sh -c 'apt-get -qq update && apt-get -qq install --yes --no-install-recommends awscli git'
umount root/dev root/proc
rm -rf root/var/cache/apt/archives/*.deb root/var/lib/apt/lists/* root/usr/share/man/*
tar --create --file later.tar --directory root --exclude './dev/*' .
rm -rf root

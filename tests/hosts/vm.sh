# What a virtual machine has beyond a container: a kernel, and an initial RAM disk with no more than its disk needs.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
cp /mnt/resolv.conf /etc/resolv.conf
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/initramfs-tools/conf.d
printf 'MODULES=list\nCOMPRESS=gzip\n' > /etc/initramfs-tools/conf.d/tests
printf 'virtio_pci\nvirtio_blk\next4\n' > /etc/initramfs-tools/modules
apt-get -qq update
apt-get -qq install -y -o Dpkg::Options::=--force-confold --no-install-recommends \
    linux-image-cloud-amd64 initramfs-tools zstd > /dev/null
apt-get clean
rm -rf /usr/sbin/policy-rc.d /var/lib/apt/lists/*
: > /etc/resolv.conf
cp /boot/vmlinuz-* /boot/kernel
cp /boot/initrd.img-* /boot/initrd
systemctl -q mask networkd-dispatcher.service systemd-timesyncd.service
printf 'LABEL=root / ext4 defaults 0 1\n' > /etc/fstab
systemctl -q disable getty@tty1.service
systemctl -q mask serial-getty@ttyS0.service

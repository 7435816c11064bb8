#!/bin/sh
# Runs a command in a tree made of layers; what it writes becomes a new layer.
# layer.sh LOWER UPPER BROUGHT COMMAND…: BROUGHT, a folder of the outside, is seen as /mnt. Runs in its own mount
# namespace, so that no mount outlives it.
set -eu
lower=$1 upper=$2 brought=$3
shift 3
work=$(mktemp -d "$upper.work.XXXXXX")
trap 'umount -l "$work/root" 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/root" "$work/work"
mount -t overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work/work" overlay "$work/root"
mount -t proc proc "$work/root/proc"
mount --bind "$brought" "$work/root/mnt"
env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$work/root" "$@"
umount "$work/root/mnt" "$work/root/proc"

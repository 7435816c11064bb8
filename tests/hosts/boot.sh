#!/bin/sh
# Boots one container and stays as long as it runs. Its parent gave it a mount and a process namespace of its own:
# whatever ends it, even kill -9, ends all of the container and unmounts everything.
# boot.sh NAME FOLDER LOWER ADDRESS: FOLDER is where its tree is put together; ADDRESS the outside end's, as a.b.c.d/n.
set -eu
name=$1 folder=$2 lower=$3 address=$4
for hierarchy in /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$name"
    echo $$ > "$hierarchy/$name/cgroup.procs"
    break
done
mount -t tmpfs -o mode=0755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"

give_address() {
    tries=0
    until ip address add "$address" dev "ve-$name" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || exit 1
        sleep 0.01
    done
    ip link set "ve-$name" up
}

export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
while :; do
    give_address &
    code=0
    systemd-nspawn -q -D "$folder/root" --machine="$name" --hostname="$name" --register=no --keep-unit --boot \
        --network-veth --link-journal=no --resolv-conf=off --timezone=off --console=read-only < /dev/null || code=$?
    # 133: it wants to be started again, with all that it wrote.
    [ $code = 133 ] || exit $code
done

#!/bin/sh
# Runs in a fresh Debian tree: what every test host has beyond its packages. $1: the public key of the tests.
set -eu
cat > /etc/systemd/network/20-machine.network <<END
[Match]
Name=en*
[Network]
DHCP=yes
END
systemctl -q enable systemd-networkd.service ssh.service
# Debian's supervisord is there for the tests that want it, and starts only when they say so.
systemctl -q disable supervisor.service
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service
# Each daemon-reload runs the generators, and none of these has anything to do here.
mkdir -p /etc/systemd/system-generators
for generator in cryptsetup debug getty gpt-auto hibernate-resume integritysetup rc-local run system-update veritysetup; do
    ln -s /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done
# An operator as Ansible knows one: no root, but sudo.
useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin
chmod 0440 /etc/sudoers.d/admin
for home in /root /home/admin; do
    mkdir -p "$home/.ssh"
    chmod 0700 "$home/.ssh"
    echo "$1" > "$home/.ssh/authorized_keys"
    chmod 0600 "$home/.ssh/authorized_keys"
done
chown -R admin:admin /home/admin/.ssh
rm -f /etc/ssh/ssh_host_* /etc/hostname
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
# A shell by SSH does not look names up, and nobody logs in at the console.
echo 'UseDNS no' > /etc/ssh/sshd_config.d/tests.conf
echo 'LANG=C.UTF-8' > /etc/default/locale
# There is no name server, and asking for names fails at once.
: > /etc/resolv.conf

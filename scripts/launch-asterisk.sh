#!/bin/sh
# Becomes Asterisk. Run by prosa/asterisk.py in a mount namespace of its own (unshare --mount), so that everything mounted
# here is seen by this process only and goes away with it.
#
#   launch-asterisk.sh ROOT USER STATE FOLDER...
#
# ROOT is "/" or a private root folder; STATE holds etc/ (the rendered configuration) and is one of the FOLDERs, which are
# what Asterisk may see of the host, at the same absolute paths. The folders on the way there are covered by empty ones
# that USER can walk through: a repository in /root, or a state folder in a private /tmp, works without loosening
# anything on the host.
set -eu
root=${1%/} user=$2 state=$3
shift 3

as_user() { setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }

# Hold on to the folders before anything on the way to them is covered.
held=$state/held
mount -t tmpfs -o mode=700 tmpfs "$held"
number=0
for folder; do
  number=$((number + 1))
  mkdir "$held/$number"
  mount --bind "$folder" "$held/$number"
done

# Covers the first folder on the way to $1 that the user may not walk through (in a private root: the first that is ours).
cover() {
  path='' rest=${1#/}
  while [ "$rest" != "${rest#*/}" ]; do
    path=$path/${rest%%/*} rest=${rest#*/}
    case $path in /usr | /var | /etc | /opt | /srv | /home | /usr/local | /var/lib) continue ;; esac
    if [ -n "$root" ] || ! as_user test -x "$path"; then
      mkdir -p "$root$path"
      mountpoint -q "$root$path" || mount -t tmpfs -o mode=755 tmpfs "$root$path"
      return
    fi
  done
}

exec 3<"$held"
for folder; do cover "$folder"; done
number=0
for folder; do
  number=$((number + 1))
  mkdir -p "$root$folder"
  mount --bind "/proc/self/fd/3/$number" "$root$folder"
done
exec 3<&-

# Names resolve from a file with our own name in it, and nowhere else: without DNS Asterisk must not wait for it.
for file in hosts resolv.conf; do mount --bind "$root$state/etc/$file" "$root/etc/$file"; done
mkdir -p "$root/run/asterisk"
mount -t tmpfs -o mode=755 tmpfs "$root/run/asterisk"
chown "$(stat -c %u:%g "$root$state/log")" "$root/run/asterisk"
ulimit -c 0
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"

if [ -n "$root" ]; then
  mount --bind /proc "$root/proc"
  mount --rbind /dev "$root/dev"
  exec chroot --userspec="$user:$user" "$root" /usr/sbin/asterisk -f -C "$state/etc/asterisk.conf"
fi
exec setpriv --reuid="$user" --regid="$user" --init-groups asterisk -f -C "$state/etc/asterisk.conf"

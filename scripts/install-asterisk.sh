#!/usr/bin/env bash
# Finds Asterisk 20 or later, or installs it. The last line on standard output is the folder it lives under:
# "/" for the system itself, else a private root folder. Progress goes to standard error.
#
#   scripts/install-asterisk.sh [DIR]      DIR: where a private root folder goes, default ${PROSA_STATE_DIR:-var}/asterisk-root
#
# Order: an Asterisk already on PATH; a private root folder made earlier; the distribution's package (Ubuntu 24.04); a new
# private root folder with Debian sid (Debian 12 and 13 package no Asterisk). Nothing is installed twice, and a run that was
# interrupted leaves nothing half done: the folder is built as DIR.new and renamed when it is complete.
set -euo pipefail

WANTED=20
HERE=$(cd "$(dirname "$0")/.." && pwd)
DIR=$(realpath -m "${1:-${PROSA_STATE_DIR:-$HERE/var}/asterisk-root}")
PACKAGES=(asterisk sip-tester python3 tzdata)
APT=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

STARTED=$SECONDS
say() { printf 'asterisk: %s (%d s)\n' "$*" $((SECONDS - STARTED)) >&2; }
die() { printf 'asterisk: %s\n' "$*" >&2; exit 1; }

# Runs a command quietly; what it printed is shown only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then rm -f "$log"; return 0; fi
  tail -n 30 "$log" >&2
  rm -f "$log"
  return 1
}

major() { sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p' | head -n 1; }
recent() { [ "${1:-0}" -ge "$WANTED" ] 2>/dev/null; }

found() {
  say "$2"
  echo "$1"
  exit 0
}

PATH=$PATH:/usr/sbin:/sbin
if command -v asterisk >/dev/null && recent "$(asterisk -V | major)"; then
  found / "$(asterisk -V) is installed"
fi
if [ -x "$DIR/usr/sbin/asterisk" ]; then
  found "$DIR" "private root folder is there: $DIR"
fi

[ "$(id -u)" = 0 ] || die "no Asterisk $WANTED or later here, and only root can install it. Run: sudo scripts/install-asterisk.sh"
command -v apt-get >/dev/null || die "no Asterisk $WANTED or later here, and no apt-get to install it with. Install Asterisk $WANTED or later."

say "reading the package lists"
quietly "${APT[@]}" update || say "the package lists could not be read; going on with those that are here"

# Packages start their services when they are installed; ours is started by prosa, with its own configuration.
keep_services_off() {
  local policy=$1/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; echo "$policy"; }
}

offered=$(apt-cache policy asterisk 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}//p' | major)
if recent "$offered"; then
  say "installing the distribution's Asterisk $offered"
  policy=$(keep_services_off "")
  trap '[ -z "$policy" ] || rm -f "$policy"' EXIT
  quietly "${APT[@]}" install -y --no-install-recommends "${PACKAGES[@]}" || die "apt-get could not install ${PACKAGES[*]}"
  if [ -d /run/systemd/system ]; then quietly systemctl disable --now asterisk || true; fi
  found / "$(asterisk -V) installed"
fi

# Asterisk in a private root folder is installed and run in a mount namespace; without that, say so before the long steps.
unshare --mount --propagation private mount -t tmpfs tmpfs /mnt 2>/dev/null \
  || die "no Asterisk $WANTED or later here, no package of it, and a private root folder needs mount namespaces, which this" \
    "container or chroot does not allow. Take a privileged container, a virtual machine, or a system with Asterisk $WANTED or later."

if ! command -v debootstrap >/dev/null; then
  say "installing debootstrap"
  quietly "${APT[@]}" install -y --no-install-recommends debootstrap || die "apt-get could not install debootstrap"
fi

NEW=$DIR.new
mkdir -p "$(dirname "$DIR")"
exec 9>"$DIR.lock"
flock -n 9 || { say "another run is building $DIR; waiting for it"; flock 9; }
if [ -x "$DIR/usr/sbin/asterisk" ]; then
  found "$DIR" "private root folder is there: $DIR"
fi
if grep -q " $NEW/" /proc/mounts; then umount "$NEW/proc" || die "$NEW/proc is still mounted; unmount it and run this again"; fi
rm -rf "$NEW"

say "1/3 making a small Debian root folder in $DIR, about 40 s"
quietly debootstrap --variant=minbase sid "$NEW" || die "debootstrap failed. Is there a way to the package mirror of Debian?"

say "2/3 installing ${PACKAGES[*]} there, about 30 s"
cat >"$NEW/etc/dpkg/dpkg.cfg.d/lean" <<'LEAN'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
force-unsafe-io
LEAN
# A mirror that is a snapshot has a Release file past its date; debootstrap does not look, apt does.
echo 'Acquire::Check-Valid-Until "false";' >"$NEW/etc/apt/apt.conf.d/99snapshot"
keep_services_off "$NEW" >/dev/null
cp /etc/resolv.conf "$NEW/etc/resolv.conf" 2>/dev/null || true
# A user number that no package of the host takes: files of this Asterisk must not belong to, say, the host's PostgreSQL.
quietly chroot "$NEW" groupadd --gid 5060 asterisk
quietly chroot "$NEW" useradd --no-create-home --uid 5060 --gid 5060 --home-dir /var/lib/asterisk --shell /usr/sbin/nologin asterisk
# In a mount namespace of its own: /proc goes away with it, whatever happens here.
# shellcheck disable=SC2016  # expanded by the inner shell
quietly unshare --mount --propagation private sh -c '
  set -e; root=$1; shift
  mount --bind /proc "$root/proc"
  chroot "$root" apt-get -qq -o Acquire::Retries=3 update
  chroot "$root" apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends "$@"
' sh "$NEW" "${PACKAGES[@]}" || die "apt-get could not install ${PACKAGES[*]} in $NEW"

say "3/3 tidying"
rm -rf "$NEW"/var/cache/apt/*.bin "$NEW"/var/cache/apt/archives/*.deb "$NEW"/var/lib/apt/lists/* \
  "$NEW"/usr/share/doc/* "$NEW"/usr/share/man/* "$NEW"/usr/share/locale/* "$NEW"/usr/share/info/*
recent "$(chroot "$NEW" asterisk -V | major)" || die "the Asterisk in $NEW is too old: $(chroot "$NEW" asterisk -V)"
mv -T "$NEW" "$DIR"
found "$DIR" "$(chroot "$DIR" asterisk -V) installed in $DIR"

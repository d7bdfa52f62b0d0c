#!/usr/bin/env bash
# Sets up what `make run` and `make test` need, and does nothing when it is there.
#
#   scripts/bootstrap.sh run      .venv with the pinned requirements, Asterisk
#   scripts/bootstrap.sh test     the same, and PostgreSQL, MariaDB, FreeRADIUS, Chromium, espeak-ng, SIPp and the test tools
#
# For Debian 12, 13 and Ubuntu 24.04 as root; as another user everything that apt-get would bring must be there already.
# PYTHON=… chooses the interpreter (3.11 or later).
set -euo pipefail
cd "$(dirname "$0")/.."
WHAT=${1:-run}
VENV=.venv
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

case $WHAT in
  run) REQUIREMENTS=(base caller) ;;
  test) REQUIREMENTS=(base caller test) ;;
  *) echo "usage: scripts/bootstrap.sh run|test" >&2; exit 2 ;;
esac

STARTED=$SECONDS
say() { printf 'set-up: %s (%d s)\n' "$*" $((SECONDS - STARTED)) >&2; }
die() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# Runs a command quietly; what it printed is shown only when it fails. Every ten seconds a line says that it still runs:
# a download can take minutes, and silence looks like a machine that hangs.
quietly() {
  local log beat status=0
  log=$(mktemp)
  # It ends with us, and its sleep holds no terminal or pipe open.
  while sleep "${HEARTBEAT_S:-10}" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do say "… still at it"; done &
  beat=$!
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  [ "$status" = 0 ] || tail -n 30 "$log" >&2
  rm -f "$log"
  return "$status"
}

# --- packages of the distribution -----------------------------------------------------------------------------------

LISTS_READ=no
apt_install() {
  command -v apt-get >/dev/null || die "$* is missing, and there is no apt-get to install it with"
  [ "$(id -u)" = 0 ] || die "$* is missing, and only root can install it. Run: sudo apt-get install $*"
  if [ "$LISTS_READ" = no ]; then
    say "reading the package lists"
    quietly apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 update || true
    LISTS_READ=yes
  fi
  say "installing $*"
  quietly apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 install -y --no-install-recommends "$@" \
    || die "apt-get could not install $*"
}

good_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if good_python "$name"; then "$name" -c 'import sys; print(sys.executable)'; return 0; fi
  done
  return 1
}

# PostgreSQL's package would start a server of its own; the tests start a private one.
install_postgresql() {
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  apt_install postgresql
}

# FreeRADIUS's package would start a server of its own; the tests start a private one. MariaDB's `-core` has no service.
install_radius() {
  local deny=/usr/sbin/policy-rc.d
  if [ ! -e $deny ] && [ "$(id -u)" = 0 ]; then
    trap "rm -f $deny" EXIT
    printf '#!/bin/sh\nexit 101\n' >$deny
    chmod 755 $deny
  fi
  apt_install freeradius freeradius-postgresql freeradius-mysql mariadb-server-core mariadb-client-core
}

# --- Python ---------------------------------------------------------------------------------------------------------

if [ ! -x $VENV/bin/python ] || ! good_python $VENV/bin/python; then
  python=$(find_python) || { apt_install python3 python3-venv; python=$(find_python); } \
    || die "Python 3.11 or later is needed. Install it, or say where it is: PYTHON=/path/to/python3 $0 $WHAT"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || apt_install "$(basename "$(readlink -f "$python")")-venv"
  say "making $VENV with $("$python" -V)"
  rm -rf $VENV
  "$python" -m venv $VENV
fi

# PJSIP has no wheel for Python 3.13 and later. There the softphone, a program of its own, runs on an older Python.
SOFTPHONE=$VENV/softphone
if $VENV/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
  REQUIREMENTS=(base)
  [ "$WHAT" = run ] || REQUIREMENTS+=("$WHAT")
else
  SOFTPHONE=
fi

# One stamp for each set: the hash of what it was made from.
FILES=(requirements/build.txt)
for name in "${REQUIREMENTS[@]}"; do FILES+=("requirements/$name.txt"); done
stamp=$(cat "${FILES[@]}" | sha256sum)
if [ "$(cat "$VENV/.set-up-$WHAT" 2>/dev/null)" != "$stamp" ]; then
  say "installing the Python packages: ${REQUIREMENTS[*]}"
  quietly $VENV/bin/python -m pip install -q --require-hashes -r requirements/build.txt \
    || die "pip could not install requirements/build.txt. Is there a way to a package index?"
  arguments=()
  for name in "${REQUIREMENTS[@]}"; do arguments+=(-r "requirements/$name.txt"); done
  quietly $VENV/bin/uv pip install -q --python $VENV/bin/python --require-hashes "${arguments[@]}" \
    || { say "uv could not; trying pip, which takes longer"; quietly $VENV/bin/python -m pip install -q --require-hashes "${arguments[@]}"; } \
    || die "the Python packages could not be installed. Is there a way to a package index?"
  echo "$stamp" >"$VENV/.set-up-$WHAT"
fi

stamp=$(sha256sum <pyproject.toml)
if [ "$(cat $VENV/.set-up-prosa 2>/dev/null)" != "$stamp" ]; then
  say "installing the command prosa"
  quietly $VENV/bin/python -m pip install -q --no-deps --no-build-isolation --no-index -e . || die "pip could not install the project"
  echo "$stamp" >$VENV/.set-up-prosa
fi

# The Python of Debian 12, unpacked and not installed: 3 packages, 24 MB.
unpack_python() {
  local to=$1 apt deb options mirror
  apt=$(mktemp -d)
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  touch "$apt/status"
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sed -n 1p) # the one this machine uses
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$apt/sources.list"
  options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
    -o "Dir::State::Status=$apt/status" -o "Dir::Cache=$apt" -o APT::Sandbox::User=root -o Acquire::Retries=3)
  (
    cd "$apt"
    apt-get "${options[@]}" update
    apt-get "${options[@]}" download python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
  ) && for deb in "$apt"/*.deb; do dpkg-deb -x "$deb" "$to" || return 1; done
  rm -rf "$apt"
  "$to/usr/bin/python3.11" -V
}

make_softphone() {
  local python='' name
  for name in python3.12 python3.11; do
    if good_python "$name"; then python=$(command -v "$name"); break; fi
  done
  if [ -z "$python" ]; then
    say "getting Python 3.11 for the softphone"
    quietly unpack_python "$VENV/python3.11" \
      || die "the softphone needs Python 3.11 or 3.12, and Debian's could not be had. Install it: python3.11 or python3.12"
    python=$PWD/$VENV/python3.11/usr/bin/python3.11
  fi
  rm -rf "$SOFTPHONE"
  quietly $VENV/bin/uv venv -q --python "$python" "$SOFTPHONE" || die "uv could not make $SOFTPHONE with $python"
  { sed -n '/^numpy==/,/[^\\]$/p' requirements/base.txt; cat requirements/caller.txt; } >"$SOFTPHONE/requirements.txt"
  quietly $VENV/bin/uv pip install -q --python "$SOFTPHONE/bin/python" --require-hashes -r "$SOFTPHONE/requirements.txt" \
    || die "the softphone's packages could not be installed. Is there a way to a package index?"
  for name in "$SOFTPHONE"/lib/python3.*/site-packages; do echo "$PWD" >"$name/prosa.pth"; done
}

if [ -n "$SOFTPHONE" ]; then
  stamp=$(cat requirements/base.txt requirements/caller.txt | sha256sum)
  if [ "$(cat "$SOFTPHONE/.set-up" 2>/dev/null)" != "$stamp" ]; then
    make_softphone
    echo "$stamp" >"$SOFTPHONE/.set-up"
  fi
fi

# What makes the API's client (scripts/make-client.sh), and what asks it at random (tests/fuzz.py).
if [ "$WHAT" = test ]; then
  for name in client fuzz; do
    stamp=$(sha256sum <requirements/$name.txt)
    [ "$(cat "$VENV/$name/.set-up" 2>/dev/null)" != "$stamp" ] || continue
    say "installing requirements/$name.txt"
    quietly $VENV/bin/uv venv -q --clear --python $VENV/bin/python "$VENV/$name" || die "uv could not make $VENV/$name"
    quietly $VENV/bin/uv pip install -q --python "$VENV/$name/bin/python" --require-hashes -r requirements/$name.txt \
      || die "requirements/$name.txt could not be installed. Is there a way to a package index?"
    echo "$stamp" >"$VENV/$name/.set-up"
  done
fi

# --- programs -------------------------------------------------------------------------------------------------------

if [ "$WHAT" = test ]; then
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || install_postgresql
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || apt_install chromium
  command -v espeak-ng >/dev/null || apt_install espeak-ng
  command -v sipp >/dev/null || apt_install sip-tester
  { command -v freeradius && command -v mariadbd && command -v my_print_defaults; } >/dev/null || install_radius
fi

# The place where prosa/asterisk.py looks, too: the setting, the state folder, var.
if [ -n "${PROSA_ASTERISK_DIR:-}" ]; then
  scripts/install-asterisk.sh "$PROSA_ASTERISK_DIR" >/dev/null
elif [ -x var/asterisk-root/usr/sbin/asterisk ]; then
  scripts/install-asterisk.sh var/asterisk-root >/dev/null
else
  scripts/install-asterisk.sh >/dev/null
fi

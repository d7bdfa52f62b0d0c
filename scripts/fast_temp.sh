#!/bin/sh
# Makes an empty folder for tests and prints it: in memory, where that has room and lets programs run; else on the disk.
set -eu
shared=/dev/shm
enough_kb=4000000
free_kb=$(df -kP "$shared" 2>/dev/null | awk 'NR == 2 { print $4 }')
memory_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
where=${TMPDIR:-/tmp}
if [ -w "$shared" ] && [ "${free_kb:-0}" -gt $enough_kb ] && [ "${memory_kb:-0}" -gt $enough_kb ] &&
  ! grep -q "^[^ ]* $shared [^ ]* [^ ]*noexec" /proc/mounts; then
  where=$shared
fi
folder=$(mktemp -d "$where/prosa-tests-XXXX")
chmod 1777 "$folder" # PostgreSQL runs as somebody else
echo "$folder"

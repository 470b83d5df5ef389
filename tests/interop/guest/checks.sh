# SPDX-License-Identifier: Apache-2.0
# Sourced by every guest job: named checks, mounting, and the closing RESULT line.
# SERVER, PORT, VERS and SHARE come from the job's environment. Lines the host understands: `OK name`, `FAIL name reason`,
# `NOTRUN name reason`, `MARK word`, `RESULT failures`.
FAILED=0
M=/mnt/nfs

ok() { echo "OK $1"; }
fail() { FAILED=$((FAILED + 1)); echo "FAIL $*"; }
mark() { echo "MARK $1"; }

check() { # name, command...: the command's output is shown only when it fails
  check_name=$1; shift
  if "$@" > /run/out 2>&1; then ok "$check_name"; else fail "$check_name" "$(tail -n 4 /run/out | cut -c 1-300 | tr '\n' ' ')"; fi
}

run_program() { # program, arguments...: it prints OK and FAIL lines itself and exits with the number of the latter
  "$@"
  program_failures=$?
  if [ "$program_failures" -gt 100 ]; then fail "$(basename "$1")" "ended with status $program_failures"; return; fi
  FAILED=$((FAILED + program_failures))
}

refused() { ! "$@"; }

nfs_options() { echo "vers=$VERS,proto=tcp,port=$PORT,sec=sys,timeo=600,retry=0${MOUNT_EXTRA:+,$MOUNT_EXTRA}"; }

mount_at() { # share path, directory
  mkdir -p "$2"
  timeout 100 mount.nfs4 "$SERVER:$1" "$2" -o "$(nfs_options)"
}

mount_share() { # a mount that fails ends the job: nothing after it would say anything
  if ! mount_at "/$SHARE" "$M" > /run/out 2>&1; then
    fail mount "$(tail -n 3 /run/out | tr '\n' ' ')"
    finish
  fi
  grep -q " $M nfs4 .*vers=$VERS" /proc/mounts || fail mount_version "$(grep " $M " /proc/mounts)"
}

drop_caches() { echo 3 > /proc/sys/vm/drop_caches; }

remount_share() {
  cd /
  umount "$M" || fail umount
  drop_caches
  mount_share
}

wait_for_host() { # word: until the host says so
  until [ -e "/run/host/$1" ]; do sleep 0.1; done
}

MEETING=0
wait_for_both() { # until the job on the other client is here too
  MEETING=$((MEETING + 1))
  mark "meeting $MEETING"
  wait_for_host "meeting-$MEETING"
}

finish() {
  cd /
  grep -q " $M nfs4 " /proc/mounts && { umount "$M" > /run/out 2>&1 || fail umount "$(cat /run/out)"; }
  echo "RESULT $FAILED"
  exit 0
}

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: RAID
# description: Linux software RAID arrays and ZFS pools
# version: 1.0
# schedule: *:0/5
# timeout: 30

# Reads world-readable files of the kernel (/sys/block/md*, /proc/spl/kstat/zfs), so it needs neither privileges nor devices.
# WARNING while an array or pool is degraded or being rebuilt, FAILURE if one does not work. An array that was not assembled,
# or a pool that was not imported, is not visible: list required arrays and pools in EXPECTED.

# --- Configuration ---
DEGRADED_STATUS=WARNING
EXPECTED=()             # for example (md0 tank)
SYSFS_BLOCK=/sys/block
ZFS_KSTAT=/proc/spl/kstat/zfs

# --- Check ---
set -uo pipefail
export LC_ALL=C

report() {
        printf '%s, %s, %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$1" "$2"
        exit 0
}

cannot() {
        printf 'Cannot check: %s\n' "$1" >&2
        exit 1
}

# problem STATUS TEXT
problem() {
        [[ $status == FAILURE ]] || status=$1
        bad+=("$2")
}

# attribute NAME: a file of the array that may not exist (RAID 0 cannot be degraded).
attribute() {
        local value=
        [[ -e $array/md/$1 ]] && { read -r value <"$array/md/$1" || cannot "$array/md/$1 cannot be read"; }
        printf '%s' "$value"
}

status=OK
found=() bad=()
shopt -s nullglob

for array in "$SYSFS_BLOCK"/md*; do
        [[ -e $array/md/array_state ]] || continue
        name=${array##*/}
        found+=("$name")
        state=$(attribute array_state) && level=$(attribute level) && degraded=$(attribute degraded) &&
                action=$(attribute sync_action) && progress=$(attribute sync_completed) || exit 1
        case $state in
                clean | active | active-idle | write-pending | readonly | read-auto) ;;
                *) problem FAILURE "$name ($level) is ${state:-in an unknown state}"; continue ;;
        esac
        done_=
        if [[ $progress =~ ^([0-9]+)\ /\ ([0-9]+)$ ]] && ((BASH_REMATCH[2] > 0)); then
                done_=", $((BASH_REMATCH[1] * 100 / BASH_REMATCH[2]))% done"
        fi
        if [[ $action == @(recover|resync|reshape) ]]; then
                problem WARNING "$name ($level): $action in progress$done_"
        fi
        if ((${degraded:-0} > 0)); then
                problem "$DEGRADED_STATUS" "$name ($level) is missing $degraded of $(attribute raid_disks) disks"
        fi
done

for pool in "$ZFS_KSTAT"/*/state; do
        name=${pool%/state}
        name=${name##*/}
        found+=("$name")
        read -r state <"$pool" || cannot "$pool cannot be read"
        case $state in
                ONLINE) ;;
                DEGRADED) problem "$DEGRADED_STATUS" "pool $name is degraded" ;;
                *) problem FAILURE "pool $name is ${state:-in an unknown state}" ;;
        esac
done

for name in ${EXPECTED[@]+"${EXPECTED[@]}"}; do
        [[ " ${found[*]} " == *" $name "* ]] || problem FAILURE "$name does not exist"
done

if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}")
        report "$status" "${message%; }"
fi
((${#found[@]})) || cannot "there is no RAID array or ZFS pool"
report OK "Healthy: ${found[*]}"

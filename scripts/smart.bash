#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Disk Health
# description: Health of disks, as reported by SMART
# version: 1.0
# schedule: *-*-* 0/4:00
# timeout: 5min
# user: root
# sandbox: off

# The check runs as root and without the sandbox because smartctl sends commands to the raw disks: the sandbox has no devices,
# and only root can open both SATA and NVMe disks. The check only reads; it starts no self-tests.
# FAILURE if a disk reports that it is failing, or an attribute exceeds the vendor's limit. WARNING for unreadable or replaced
# sectors, and for worn flash. A sleeping disk is not woken up; the message names it.

# --- Configuration ---
# Devices as for smartctl, for example ('/dev/sda' '/dev/bus/0 -d megaraid,1'); empty: those found by smartctl --scan.
DEVICES=()
IGNORE=()                    # names of devices to ignore
WARNING_BAD_SECTORS=1        # replaced, pending or uncorrectable sectors
WARNING_WORN_PERCENT=90
WAKE=no                      # yes: spin up sleeping disks

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

command -v smartctl >/dev/null || cannot "smartctl is not installed (smartmontools)"

if ((${#DEVICES[@]} == 0)); then
        scan=$(smartctl --scan) || cannot "smartctl --scan failed with status $?"
        mapfile -t DEVICES < <(sed -n 's/ *#.*//; s/ *$//; /^\/dev\//p' <<<"$scan")
fi

ignored() {
        local name
        for name in ${IGNORE[@]+"${IGNORE[@]}"}; do
                [[ $name == "$1" ]] && return 0
        done
        return 1
}

# problem STATUS TEXT
problem() {
        [[ $status == FAILURE ]] || status=$1
        bad+=("$2")
}

status=OK
healthy=0
bad=() asleep=() unknown=()
for device in ${DEVICES[@]+"${DEVICES[@]}"}; do
        read -ra arguments <<<"$device"
        name=${arguments[0]}
        ((${#arguments[@]} > 2)) && [[ $name == /dev/bus/* ]] && name=$device
        ignored "$name" && continue
        [[ $WAKE == yes ]] || arguments+=("--nocheck=standby,0")
        answer=$(smartctl --health --attributes "${arguments[@]}")
        code=$?
        if [[ $answer == *"in STANDBY"* || $answer == *"in SLEEP"* ]]; then
                asleep+=("$name")
                continue
        fi
        # See smartctl(8): 1 command line, 2 device did not open, 8 disk is failing, 16 attribute beyond its limit.
        if ((code & 3)); then
                unknown+=("$name does not respond")
                continue
        fi
        if ((code & 8)) || [[ $answer == *"test result: FAILED"* ]]; then
                problem FAILURE "$name reports that it is failing"
                continue
        fi
        if ((code & 16)); then
                problem FAILURE "$name has an attribute beyond its limit"
                continue
        fi
        if [[ $answer != *"test result: PASSED"* && $answer != *"SMART Health Status: OK"* ]]; then
                unknown+=("$name does not report its health")
                continue
        fi

        read -r sectors worn errors < <(awk '
                $1 ~ /^(5|197|198)$/ && NF >= 10 { sectors += $10 }
                /^Elements in grown defect list:/ { sectors += $NF }
                /^Percentage Used:/ { worn = $NF + 0 }
                /^Percentage used endurance indicator:/ { worn = $NF + 0 }
                /^Media and Data Integrity Errors:/ { gsub(/,/, ""); errors = $NF }
                END { printf "%d %d %d\n", sectors, worn, errors }' <<<"$answer")
        if ((sectors >= WARNING_BAD_SECTORS)); then
                problem WARNING "$name has $sectors bad sectors"
        elif ((errors > 0)); then
                problem WARNING "$name has $errors integrity errors"
        elif ((worn >= WARNING_WORN_PERCENT)); then
                problem WARNING "$name is $worn% worn"
        else
                healthy=$((healthy + 1))
        fi
done

((${#unknown[@]})) && printf '%s\n' "${unknown[@]}" >&2
if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}" ${unknown[@]+"${unknown[@]}"})
        report "$status" "${message%; }"
fi
((${#unknown[@]})) && cannot "${unknown[0]}"
((healthy > 0)) || cannot "no disk is present and awake (asleep: ${asleep[*]:-none})"
message="$healthy healthy"
((${#asleep[@]})) && message+=", asleep: ${asleep[*]}"
report OK "$message"

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Failed Units
# description: systemd units that have failed
# version: 1.0
# schedule: *:0/2
# timeout: 30
# user: ssi-script

# It runs as a static user because dbus-daemon turns dynamic ones away, and systemctl asks over the bus.
# FAILURE when any unit is in the state "failed", and the message names them. `systemctl reset-failed UNIT` clears one
# that has been looked after.
# A service-script that broke is a failed unit as well, but SSI reports that itself, as an execution error of that check:
# by default it is not counted here a second time. SSI's own daemons are.

# --- Configuration ---
# Shell patterns of units to leave out, for example ('user@*.service' 'man-db.service').
IGNORE=('ssi-!(uplinkd|serverd|postgres).service')
NAMES_MAX=10    # how many units the message names

# --- Check ---
set -uo pipefail
export LC_ALL=C

report() {
        printf '%s, %s, %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$1" "$2"
        exit 0
}

cannot() {
        printf 'Cannot tell: %s\n' "$1" >&2
        exit 1
}

ignored() {
        local pattern
        for pattern in ${IGNORE[@]+"${IGNORE[@]}"}; do
                # shellcheck disable=SC2053 # a pattern is what it is
                [[ $1 == $pattern ]] && return 0
        done
        return 1
}

list=$(systemctl list-units --all --state=failed --plain --no-legend --no-pager) ||
        cannot "systemctl cannot ask systemd (status $?)"

failed=()
while read -r unit _; do
        [[ $unit ]] || continue
        ignored "$unit" || failed+=("$unit")
done <<<"$list"

if ((${#failed[@]} == 0)); then
        units=$(systemctl list-units --plain --no-legend --no-pager | wc -l) || cannot "systemctl cannot ask systemd"
        report OK "No failed unit among $units"
fi
message="${failed[*]:0:NAMES_MAX}"
((${#failed[@]} > NAMES_MAX)) && message+=" and $((${#failed[@]} - NAMES_MAX)) more"
report FAILURE "${#failed[@]} failed: $message"

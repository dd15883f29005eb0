#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Failed Units
# description: systemd units that have failed
# version: 1.0
# schedule: *:0/2
# timeout: 30
# user: ssi-script

# FAILURE if any unit is in the state "failed"; the message names these units. `systemctl reset-failed UNIT` clears one that
# has been dealt with.
# The check runs as a static user because systemctl uses the system bus, and dbus-daemon rejects dynamic users.
# A service-script that breaks is a failed unit too, but SSI already reports it as an execution error of that check. By
# default, such units are not counted here again. SSI's own daemons are.

# --- Configuration ---
# Shell patterns of units to ignore, for example ('user@*.service' 'man-db.service').
IGNORE=('ssi-!(uplinkd|serverd|postgres).service')
NAMES_MAX=10    # maximum number of units named in the message

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

ignored() {
        local pattern
        for pattern in ${IGNORE[@]+"${IGNORE[@]}"}; do
                # shellcheck disable=SC2053 # a pattern is what it is
                [[ $1 == $pattern ]] && return 0
        done
        return 1
}

list=$(systemctl list-units --all --state=failed --plain --no-legend --no-pager) ||
        cannot "systemctl cannot reach systemd (status $?)"

failed=()
while read -r unit _; do
        [[ $unit ]] || continue
        ignored "$unit" || failed+=("$unit")
done <<<"$list"

if ((${#failed[@]} == 0)); then
        units=$(systemctl list-units --plain --no-legend --no-pager | wc -l) || cannot "systemctl cannot reach systemd"
        report OK "No failed units among $units"
fi
message="${failed[*]:0:NAMES_MAX}"
((${#failed[@]} > NAMES_MAX)) && message+=" and $((${#failed[@]} - NAMES_MAX)) more"
report FAILURE "${#failed[@]} failed: $message"

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Swap
# description: Swap in use, and swapping rate
# version: 1.0
# schedule: *:0/5
# timeout: 30

# Full swap leaves no reserve; busy swap slows everything down, however little of it is used. The rate is measured during the
# check. A system without swap is OK unless REQUIRE_SWAP=yes.

# --- Configuration ---
WARNING_USED_PERCENT=60
FAILURE_USED_PERCENT=95
WARNING_PAGES_PER_SECOND=1000   # swapped in and out
SAMPLE_SECONDS=3
REQUIRE_SWAP=no
MEMINFO=/proc/meminfo
VMSTAT=/proc/vmstat

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

pages() {
        awk '$1 == "pswpin" || $1 == "pswpout" { sum += $2; n++ } END { if (n != 2) exit 1; printf "%d\n", sum }' "$VMSTAT" ||
                cannot "$VMSTAT does not contain pswpin and pswpout"
}

read -r total free < <(awk '$1 == "SwapTotal:" { t = $2 } $1 == "SwapFree:" { f = $2 } END { print t, f }' "$MEMINFO")
[[ ${total:-} =~ ^[0-9]+$ && ${free:-} =~ ^[0-9]+$ ]] || cannot "$MEMINFO does not contain SwapTotal and SwapFree"
if ((total == 0)); then
        [[ $REQUIRE_SWAP == yes ]] && report WARNING "There is no swap"
        report OK "There is no swap"
fi

before=$(pages) || exit 1
sleep "$SAMPLE_SECONDS" || cannot "sleep failed"
after=$(pages) || exit 1
rate=$(((after - before) / SAMPLE_SECONDS))

percent=$(((total - free) * 100 / total))
message="$percent% of $((total / 1024)) MiB in use, $rate pages/s"

((percent >= FAILURE_USED_PERCENT)) && report FAILURE "$message"
((percent >= WARNING_USED_PERCENT || rate >= WARNING_PAGES_PER_SECOND)) && report WARNING "$message"
report OK "$message"

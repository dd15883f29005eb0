#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Memory
# description: Available memory, and swap in use
# version: 1.0
# schedule: *:0/5
# timeout: 10

# "Available" is the kernel's own estimate of the memory that can be used without swapping (MemAvailable in /proc/meminfo). If the
# page cache fills the rest, that is normal.

# --- Configuration ---
WARNING_AVAILABLE_PERCENT=10    # less available memory than this is a WARNING
FAILURE_AVAILABLE_PERCENT=4     # less than this is a FAILURE
WARNING_SWAP_USED_PERCENT=80    # more swap in use than this is a WARNING

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

declare -A kib=()
while read -r key value _; do
        kib[${key%:}]=$value
done </proc/meminfo || cannot "/proc/meminfo cannot be read"

total=${kib[MemTotal]:-0}
available=${kib[MemAvailable]:-}
[[ $available && $total != 0 ]] || cannot "/proc/meminfo does not contain MemTotal and MemAvailable"

percent=$((available * 100 / total))
message="$percent% of $((total / 1024)) MiB available"

swap_percent=0
if ((${kib[SwapTotal]:-0} > 0)); then
        swap_percent=$(((kib[SwapTotal] - kib[SwapFree]) * 100 / kib[SwapTotal]))
        message+=", $swap_percent% of $((kib[SwapTotal] / 1024)) MiB swap in use"
fi

((percent < FAILURE_AVAILABLE_PERCENT)) && report FAILURE "$message"
((percent < WARNING_AVAILABLE_PERCENT)) && report WARNING "$message"
((swap_percent > WARNING_SWAP_USED_PERCENT)) && report WARNING "$message"
report OK "$message"

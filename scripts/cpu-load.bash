#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: CPU Load
# description: Load average of the last five minutes, per processor
# version: 1.0
# schedule: *:0/1
# timeout: 10

# The load average counts the tasks that are running, or waiting for a processor or for storage. The limits are per processor,
# in hundredths: 150 means one and a half tasks per processor.

# --- Configuration ---
WARNING_LOAD=150
FAILURE_LOAD=400

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

read -r one five fifteen _ </proc/loadavg || cannot "/proc/loadavg cannot be read"
# All of the machine's processors: a limit on the check itself says nothing about the machine.
cpus=$(nproc --all) || cannot "nproc failed"
[[ $five =~ ^[0-9]+\.[0-9][0-9]$ ]] || cannot "unexpected contents of /proc/loadavg: '$one $five $fifteen'"

hundredths=$((10#${five/./} / cpus))
processors="$cpus processors"
((cpus == 1)) && processors="1 processor"
message="Load $one, $five, $fifteen on $processors"

((hundredths >= FAILURE_LOAD)) && report FAILURE "$message"
((hundredths >= WARNING_LOAD)) && report WARNING "$message"
report OK "$message"

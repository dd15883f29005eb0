#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Time Synchronization
# description: Whether the clock is synchronized, and by how much it is off
# version: 1.0
# schedule: *:0/10
# timeout: 30
# user: ssi-script

# It asks chrony where that runs, because it tells the offset, else systemd what the kernel's clock says (any service that
# disciplines it will do). It runs as a static user because dbus-daemon turns dynamic ones away, and timedatectl asks over
# the bus; it needs no other right.

# --- Configuration ---
UNSYNCHRONIZED_STATUS=WARNING
WARNING_OFFSET_MS=100      # known with chrony only
FAILURE_OFFSET_MS=5000

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

if tracking=$(chronyc -c tracking 2>/dev/null); then
        # Reference, address, stratum, time, offset, …, leap status.
        IFS=, read -r _ source stratum _ offset _ _ _ _ _ _ _ _ leap <<<"$tracking"
        [[ $offset =~ ^-?[0-9]+\.[0-9]+$ && $leap ]] || cannot "chronyc says '$tracking'"
        [[ $leap == "Not synchronised" ]] && report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized (chrony)"
        ms=$(awk -v s="$offset" 'BEGIN { printf "%d", (s < 0 ? -s : s) * 1000 }')
        message="Off by $ms ms, synchronized with $source (stratum $stratum)"
        ((ms >= FAILURE_OFFSET_MS)) && report FAILURE "$message"
        ((ms >= WARNING_OFFSET_MS)) && report WARNING "$message"
        report OK "$message"
fi

answer=$(timedatectl show --property=NTP --property=NTPSynchronized) || cannot "timedatectl cannot ask systemd (status $?)"
case $answer in
        *NTPSynchronized=yes*) report OK "The clock is synchronized" ;;
        *NTPSynchronized=no*) ;;
        *) cannot "timedatectl says '$answer'" ;;
esac
[[ $answer == *NTP=yes* ]] && report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized, though a time service is enabled"
report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized, and no time service that systemd knows is enabled"

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Time Synchronization
# description: Whether the clock is synchronized, and its offset
# version: 1.0
# schedule: *:0/10
# timeout: 30
# user: ssi-script

# Queries chrony if it is running, because it reports the offset; otherwise queries systemd for the state of the kernel's clock,
# which any synchronization service may set. The check runs as a static user because timedatectl uses the system bus, and
# dbus-daemon rejects dynamic users. It needs no other rights.

# --- Configuration ---
UNSYNCHRONIZED_STATUS=WARNING
WARNING_OFFSET_MS=100      # available with chrony only
FAILURE_OFFSET_MS=5000

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

if tracking=$(chronyc -c tracking 2>/dev/null); then
        # Reference, address, stratum, time, offset, …, leap status.
        IFS=, read -r _ source stratum _ offset _ _ _ _ _ _ _ _ leap <<<"$tracking"
        [[ $offset =~ ^-?[0-9]+\.[0-9]+$ && $leap ]] || cannot "unexpected output of chronyc: '$tracking'"
        [[ $leap == "Not synchronised" ]] && report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized (chrony)"
        ms=$(awk -v s="$offset" 'BEGIN { printf "%d", (s < 0 ? -s : s) * 1000 }')
        message="Off by $ms ms, synchronized with $source (stratum $stratum)"
        ((ms >= FAILURE_OFFSET_MS)) && report FAILURE "$message"
        ((ms >= WARNING_OFFSET_MS)) && report WARNING "$message"
        report OK "$message"
fi

answer=$(timedatectl show --property=NTP --property=NTPSynchronized) || cannot "timedatectl cannot reach systemd (status $?)"
case $answer in
        *NTPSynchronized=yes*) report OK "The clock is synchronized" ;;
        *NTPSynchronized=no*) ;;
        *) cannot "unexpected output of timedatectl: '$answer'" ;;
esac
[[ $answer == *NTP=yes* ]] && report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized, though a time service is enabled"
report "$UNSYNCHRONIZED_STATUS" "The clock is not synchronized, and no time service that systemd knows is enabled"

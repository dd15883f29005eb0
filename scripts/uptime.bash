#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Uptime
# description: Uptime, and whether a reboot is required
# version: 1.0
# schedule: *:0/15
# timeout: 1min

# UPDATE if a reboot is required: a package requested one (/run/reboot-required), needs-restarting from dnf-utils reports it, the
# running kernel is not the newest one installed, or it was replaced since boot. A container has no kernel of its own, so
# the kernel is not checked there.

# --- Configuration ---
REBOOT_STATUS=UPDATE
WARNING_UPTIME_MINUTES=0    # up for less than this is a WARNING; 0: never
WARNING_UPTIME_DAYS=0       # up for longer than this is a WARNING; 0: never
REBOOT_REQUIRED=/run/reboot-required
BOOT=/boot
UPTIME=/proc/uptime

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

read -r up _ <"$UPTIME" || cannot "$UPTIME cannot be read"
[[ $up =~ ^[0-9]+\.[0-9]+$ ]] || cannot "unexpected contents of $UPTIME: '$up'"
up=${up%.*}
if ((up >= 86400)); then
        text="Up for $((up / 86400)) d $((up % 86400 / 3600)) h"
else
        text="Up for $((up / 3600)) h $((up % 3600 / 60)) min"
fi

why=
if [[ -e $REBOOT_REQUIRED ]]; then
        why="requested by packages"
        if [[ -r $REBOOT_REQUIRED.pkgs ]]; then
                why=$(sort -u "$REBOOT_REQUIRED.pkgs" | head -n 5 | paste -sd ' ')
        fi
fi

if [[ ! $why ]] && command -v needs-restarting >/dev/null; then
        needs-restarting -r >/dev/null
        case $? in
                0) ;;
                1) why="updated core packages" ;;
                *) cannot "needs-restarting -r failed" ;;
        esac
fi

if [[ ! $why ]] && ! systemd-detect-virt --quiet --container; then
        running=$(uname -r) || cannot "uname failed"
        [[ -r $BOOT ]] || cannot "$BOOT cannot be read"
        newest=$(find "$BOOT" -maxdepth 1 -type f -name 'vmlinuz-*' ! -name '*.old' ! -name '*rescue*' -printf '%f\n' |
                sed 's/^vmlinuz-//' | sort -V | tail -n 1) || cannot "$BOOT cannot be searched"
        [[ $newest ]] || cannot "there is no kernel in $BOOT to compare with the running one"
        booted=$(($(date +%s) - up))
        if [[ $newest != "$running" ]]; then
                why="kernel $newest is installed, $running is running"
        elif (($(stat -c %Y "$BOOT/vmlinuz-$newest") > booted)); then
                why="kernel $newest was replaced since boot"
        fi
fi

[[ $why ]] && report "$REBOOT_STATUS" "Reboot required ($why); ${text,}"
((WARNING_UPTIME_MINUTES > 0 && up < WARNING_UPTIME_MINUTES * 60)) && report WARNING "$text only"
((WARNING_UPTIME_DAYS > 0 && up > WARNING_UPTIME_DAYS * 86400)) && report WARNING "$text"
report OK "$text, no reboot required"

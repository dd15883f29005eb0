#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Disk Space
# description: Space and inodes used on local file systems
# version: 1.0
# schedule: *:0/5
# timeout: 30

# The status is that of the fullest file system, by space or by inodes. The message names it, and all others over a limit.
# Network file systems are skipped: an unreachable server would block the check until its timeout.

# --- Configuration ---
WARNING_PERCENT=80
FAILURE_PERCENT=95
# File systems that are not storage, or full by design.
SKIP_TYPES=(tmpfs devtmpfs squashfs overlay iso9660 udf efivarfs ramfs fuse.snapfuse)
# Mount points to skip, for example (/mnt/backup).
SKIP_MOUNTS=()

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

skip_mount() {
        local m
        for m in ${SKIP_MOUNTS[@]+"${SKIP_MOUNTS[@]}"}; do
                [[ $m == "$1" ]] && return 0
        done
        return 1
}

skip=()
for type in "${SKIP_TYPES[@]}"; do
        skip+=(--exclude-type="$type")
done

# df fails when one file system of many cannot be asked (another user's FUSE mount), and still lists the rest.
table=$(df --local --output=source,pcent,ipcent,avail,target --block-size=1M "${skip[@]}" 2>/dev/null)
# A machine may have its root on one of the skipped types (a container, a live system): its root counts all the same.
if ! awk 'NR > 1 && $5 == "/" { found = 1 } END { exit !found }' <<<"$table"; then
        root=$(df --output=source,pcent,ipcent,avail,target --block-size=1M / | tail -n 1) || cannot "df cannot read /"
        table+=$'\n'$root
fi

worst=-1
worst_text=
over=()
declare -A seen=()
while read -r source space inodes avail target; do
        [[ $target == /* ]] || continue
        skip_mount "$target" && continue
        # Containers have single files of their host mounted.
        [[ -f $target ]] && continue
        # Bind mounts show one device many times.
        [[ $source == /dev/* && ${seen[$source]:-} ]] && continue
        seen[$source]=1

        space=${space%\%} inodes=${inodes%\%}
        [[ $space =~ ^[0-9]+$ ]] || continue
        [[ $inodes =~ ^[0-9]+$ ]] || inodes=0 # file systems without a fixed number of inodes
        used=$space
        text="$target is $space% full ($avail MiB free)"
        if ((inodes > space)); then
                used=$inodes
                text="$target has used $inodes% of its inodes"
        fi
        ((used >= WARNING_PERCENT)) && over+=("$text")
        if ((used > worst)); then
                worst=$used
                worst_text=$text
        fi
done <<<"$table"

((worst >= 0)) || cannot "df lists no local file system"
if ((worst < WARNING_PERCENT)); then
        report OK "$worst_text"
fi
message=$(printf '%s; ' "${over[@]}")
message=${message%; }
((worst >= FAILURE_PERCENT)) && report FAILURE "$message"
report WARNING "$message"

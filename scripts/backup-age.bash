#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Backup Age
# description: Age and size of the newest file of each backup
# version: 1.0
# schedule: *:0/30
# timeout: 2min

# For each backup the newest file counts; one that is too old, too small or not there is what is told. Set BACKUPS first:
# until then the check cannot tell anything.
# The check runs as a user of its own that only sees what everyone may see, and no home folder. For backups that others
# may not list, add a line "user:" to the header with the user that owns them; root is not needed.

# --- Configuration ---
# Folders (or files) that backups are written to, for example (/srv/backup/database /srv/backup/files).
BACKUPS=()
WARNING_HOURS=26
FAILURE_HOURS=50
MIN_BYTES=1       # a newest file smaller than this is a FAILURE
DEPTH=3           # how deep below each folder to look

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

((${#BACKUPS[@]})) || cannot "BACKUPS is empty: name the folders in the script's configuration"

now=$(date +%s) || cannot "date failed"
status=OK
bad=() good=()
for backup in "${BACKUPS[@]}"; do
        [[ -e $backup ]] || cannot "$backup is not there, or hidden from this check"
        # A folder that cannot be listed may hold the newest file.
        list=$(find "$backup" -maxdepth "$DEPTH" -type f -printf '%T@ %s %f\n') || cannot "$backup cannot be searched"
        if [[ ! $list ]]; then
                status=FAILURE bad+=("nothing in $backup")
                continue
        fi
        read -r time size name < <(sort -rn <<<"$list")
        age=$(((now - ${time%.*}) / 3600))
        text="$backup is $age h old ($name, $size bytes)"
        if ((age >= FAILURE_HOURS)); then
                status=FAILURE bad+=("$text")
        elif ((size < MIN_BYTES)); then
                status=FAILURE bad+=("$text: too small")
        elif ((age >= WARNING_HOURS)); then
                [[ $status == OK ]] && status=WARNING
                bad+=("$text")
        else
                good+=("$text")
        fi
done

[[ $status == OK ]] || good=("${bad[@]}")
message=$(printf '%s; ' "${good[@]}")
report "$status" "${message%; }"

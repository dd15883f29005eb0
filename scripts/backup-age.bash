#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Backup Age
# description: Age and size of the newest file of each backup
# version: 1.0
# schedule: *:0/30
# timeout: 2min

# Checks the newest file of each backup, and reports it if it is too old, too small or missing. Set BACKUPS first: until then
# the check cannot report anything.
# The check runs as an unprivileged user that sees only world-readable files, and no home directories. If others may not list
# the backups, add a "user:" line to the header with the user that owns them; root is not needed.

# --- Configuration ---
# Directories (or files) that backups are written to, for example (/srv/backup/database /srv/backup/files).
BACKUPS=()
WARNING_HOURS=26
FAILURE_HOURS=50
MIN_BYTES=1       # a newest file smaller than this is a FAILURE
DEPTH=3           # how many levels below each directory to search

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

((${#BACKUPS[@]})) || cannot "BACKUPS is empty: list directories in the script's configuration"

now=$(date +%s) || cannot "date failed"
status=OK
bad=() good=()
for backup in "${BACKUPS[@]}"; do
        [[ -e $backup ]] || cannot "$backup does not exist or is not accessible to this check"
        # A directory that cannot be listed may contain the newest file.
        list=$(find "$backup" -maxdepth "$DEPTH" -type f -printf '%T@ %s %f\n') || cannot "$backup cannot be searched"
        if [[ ! $list ]]; then
                status=FAILURE bad+=("no files in $backup")
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

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Journal Errors
# description: Number of logged errors, and their sources
# version: 1.0
# schedule: *:0/5
# timeout: 1min
# user: ssi-journal

# Counts the journal entries of priority "err" and worse, and names the programs that log most of them. It runs as a user whose
# only right is to read the journal (group systemd-journal); a dynamic user would see no entries.

# --- Configuration ---
MINUTES=15
WARNING_ERRORS=10
FAILURE_ERRORS=200
PRIORITY=err
# Shell patterns of identifiers (the name before the colon in journalctl) to ignore, for example ('sshd' 'gnome-*').
IGNORE=()
ENTRIES_MAX=10000    # maximum number of entries to read
JOURNALS=(/var/log/journal /run/log/journal)

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

# To users who may not read the system journal, journalctl shows an empty one.
readable=0
for folder in "${JOURNALS[@]}"; do
        for file in "$folder"/*/system.journal; do
                [[ -r $file ]] && readable=1
        done
done
((readable)) || cannot "user $(id -un) cannot read the system journal"

# One line an entry, which plain text would not be; the identifier comes as JSON.
entries=$(journalctl --quiet --no-pager --priority="$PRIORITY" --since="-${MINUTES}min" --lines="$ENTRIES_MAX" --output=json \
        --output-fields=SYSLOG_IDENTIFIER,_COMM) || cannot "journalctl failed with status $?"

declare -A count=()
total=0
while IFS= read -r entry; do
        [[ $entry ]] || continue
        who=unknown
        if [[ $entry =~ \"SYSLOG_IDENTIFIER\":\"([^\"\\]*)\" ]] || [[ $entry =~ \"_COMM\":\"([^\"\\]*)\" ]]; then
                who=${BASH_REMATCH[1]:-unknown}
        fi
        ignored "$who" && continue
        count[$who]=$((${count[$who]:-0} + 1))
        total=$((total + 1))
done <<<"$entries"

errors=errors
((total == 1)) && errors=error
message="$total $errors in $MINUTES min"
if ((total > 0)); then
        message+=": $(for who in "${!count[@]}"; do printf '%d %s\n' "${count[$who]}" "$who"; done | sort -k1,1nr -k2 | head -n 3 |
                awk '{ n = $1; sub(/^[0-9]+ /, ""); printf "%s%s %d", (NR > 1 ? ", " : ""), $0, n }')"
fi

((total >= FAILURE_ERRORS)) && report FAILURE "$message"
((total >= WARNING_ERRORS)) && report WARNING "$message"
report OK "$message"

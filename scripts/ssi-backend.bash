#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: SSI Backend
# description: Whether this host's SSI backend stores results and sends notifications in time
# version: 1.1
# schedule: *:0/1
# timeout: 30s

# FAILURE if the backend does not respond, is not ready (its database is unreachable), or cannot store results (its database
# rejects writes). Otherwise the status depends on its /metrics: how long results wait for their commit, how many are waiting,
# how long the oldest notification has been waiting, the free space on the database's disk (if it is on this host), the age of its
# transactions, and whether the read replica is used. "ssictl server check" looks closer. The dashboard cannot show that its own backend is down: use ssictl
# on this host, or the check "endpoint" on a host that reports to another backend.

# --- Configuration ---
URL=http://127.0.0.1:8080
TIMEOUT_SECONDS=10
WARNING_LAG_SECONDS=5
FAILURE_LAG_SECONDS=30
WARNING_QUEUE=10000             # results; reading from agents pauses at 20,000
WARNING_OUTBOX_SECONDS=300
FAILURE_OUTBOX_SECONDS=3600
WARNING_FREE_PERCENT=10
FAILURE_FREE_PERCENT=2

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

# ask PATH: the body, with the HTTP status as its last line.
ask() {
        curl --silent --show-error --max-time "$TIMEOUT_SECONDS" --max-filesize 10000000 --write-out '\n%{http_code}' -- "$URL$1" 2>&1
}

# metric NAME: its value, or nothing.
metric() {
        sed -n "s/^$1 //p" <<<"$metrics"
}

# at_least A B: compares decimal numbers.
at_least() {
        awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'
}

# problem STATUS TEXT
problem() {
        [[ $status == FAILURE ]] || status=$1
        bad+=("$2")
}

# judge VALUE WARNING FAILURE TEXT: FAILURE may be empty.
judge() {
        if [[ $3 ]] && at_least "$1" "$3"; then
                problem FAILURE "$4"
        elif at_least "$1" "$2"; then
                problem WARNING "$4"
        fi
}

command -v curl >/dev/null || cannot "curl is not installed"
answer=$(ask /readyz) || report FAILURE "The backend does not respond at $URL: ${answer%%$'\n'*}"
code=${answer##*$'\n'}
if [[ $code == 503 ]]; then
        detail=$(sed -n 's/.*"detail": *"\([^"]*\)".*/\1/p' <<<"$answer")
        report FAILURE "The backend is not ready: ${detail:-HTTP status 503}"
fi
[[ $code == 200 ]] || cannot "$URL/readyz returned HTTP status $code: this is not an SSI backend"
metrics=$(ask /metrics) || cannot "$URL/metrics does not respond"
[[ $(metric ssi_database_up) ]] || cannot "$URL/metrics does not contain the backend's metrics; is it requested from another host?"

status=OK
bad=()
[[ $(metric ssi_database_writable) == 0 ]] && problem FAILURE "the database rejects writes"
lag=$(metric ssi_ingest_lag_seconds)
queue=$(metric ssi_ingest_queue_items)
judge "${lag:-0}" "$WARNING_LAG_SECONDS" "$FAILURE_LAG_SECONDS" "a result has waited ${lag:-0} s for its commit"
judge "${queue:-0}" "$WARNING_QUEUE" '' "${queue:-0} results are waiting"
outbox=$(metric ssi_notification_outbox_items)
age=$(metric ssi_notification_outbox_age_seconds)
age=${age%%.*}
judge "${age:-0}" "$WARNING_OUTBOX_SECONDS" "$FAILURE_OUTBOX_SECONDS" "${outbox:-0} notifications are waiting, the oldest for ${age:-0} s"
free=$(metric ssi_database_disk_free_bytes)
size=$(metric ssi_database_disk_bytes)
if [[ $free && $size ]] && ((size > 0)); then
        percent=$((free * 100 / size))
        judge "$((100 - percent))" "$((100 - WARNING_FREE_PERCENT + 1))" "$((100 - FAILURE_FREE_PERCENT + 1))" \
                "only $percent % of the database's disk are free"
fi
age=$(metric ssi_database_transaction_age)
limit=$(metric ssi_database_transaction_age_limit)
if [[ $age && $limit ]]; then
        judge "$age" "$((limit * 3 / 2))" 1500000000 "the oldest row is $age transactions old: VACUUM does not keep up"
fi
[[ $(metric ssi_read_replica_used) == 0 ]] && problem WARNING "the read replica is not used"

if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}")
        message=${message%; }
        report "$status" "${message^}"
fi
report OK "$(metric ssi_agent_sessions) agents, ${queue:-0} results waiting (${lag:-0} s), ${outbox:-0} notifications waiting"

#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: PostgreSQL
# description: Whether PostgreSQL responds, and how close it is to its limits
# version: 1.0
# schedule: *:0/1
# timeout: 30
# user: ssi-script

# The check runs as a static user, so that PostgreSQL can identify it over its local socket. It needs a role that has only
# monitoring rights. Create it once, as the database administrator:
#     CREATE ROLE "ssi-script" LOGIN IN ROLE pg_monitor;
# FAILURE if the server does not accept connections. WARNING or FAILURE depending on the connections in use, the age of
# transaction IDs (at 100 % the server rejects writes), and the delay of a standby. WARNING for a transaction that has been open
# for a long time, because it blocks vacuum.

# --- Configuration ---
# For libpq (see "Environment Variables" in PostgreSQL's manual). Empty means the local socket.
export PGHOST=
export PGPORT=
export PGDATABASE=postgres
WARNING_CONNECTIONS_PERCENT=80
FAILURE_CONNECTIONS_PERCENT=95
WARNING_WRAPAROUND_PERCENT=50
FAILURE_WRAPAROUND_PERCENT=80
WARNING_TRANSACTION_MINUTES=60
WARNING_REPLAY_SECONDS=60      # delay of a standby
FAILURE_REPLAY_SECONDS=600
TIMEOUT_SECONDS=10

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

[[ $PGHOST ]] || unset PGHOST
[[ $PGPORT ]] || unset PGPORT
export PGCONNECT_TIMEOUT=$TIMEOUT_SECONDS PGOPTIONS="-c statement_timeout=${TIMEOUT_SECONDS}s"

answer=$(pg_isready --timeout="$TIMEOUT_SECONDS" 2>&1)
case $? in
        0) ;;
        1) report FAILURE "The server rejects connections: ${answer##* - }" ;;
        2) report FAILURE "The server does not answer" ;;
        *) cannot "pg_isready failed: $answer" ;;
esac

# The ages are those of transaction IDs; "multixacts" have the same limit.
row=$(psql --no-psqlrc --no-password --quiet --tuples-only --no-align --field-separator=' ' --set=ON_ERROR_STOP=1 2>&1 <<'SQL'
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections'),
       (SELECT max(greatest(age(datfrozenxid), mxid_age(datminmxid))) * 100 / 2147483647::bigint FROM pg_database),
       (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::bigint / 60
          FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)::bigint END,
       CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END,
       current_setting('server_version_num')::int / 10000;
SQL
) || cannot "psql cannot query the server: $row"
read -r connections limit wraparound minutes delay role version <<<"$row"
for n in "$connections" "$limit" "$wraparound" "$minutes" "$delay" "$version"; do
        [[ $n =~ ^[0-9]+$ ]] || cannot "unexpected output of psql: '$row'"
done

# judge VALUE WARNING FAILURE TEXT
status=OK
bad=()
judge() {
        if (($1 >= $3)); then
                status=FAILURE bad+=("$4")
        elif (($1 >= $2)); then
                [[ $status == OK ]] && status=WARNING
                bad+=("$4")
        fi
}

judge $((connections * 100 / limit)) "$WARNING_CONNECTIONS_PERCENT" "$FAILURE_CONNECTIONS_PERCENT" "$connections of $limit connections in use"
judge "$wraparound" "$WARNING_WRAPAROUND_PERCENT" "$FAILURE_WRAPAROUND_PERCENT" "$wraparound% of the transaction IDs used: vacuum is behind"
judge "$delay" "$WARNING_REPLAY_SECONDS" "$FAILURE_REPLAY_SECONDS" "replay is $delay s behind"
if ((minutes >= WARNING_TRANSACTION_MINUTES)); then
        judge 1 1 2 "a transaction has been open for $minutes min"
fi

if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}")
        report "$status" "${message%; }"
fi
report OK "PostgreSQL $version, $role, $connections of $limit connections in use"

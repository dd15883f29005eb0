#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Endpoint
# description: Availability and response times of TCP and HTTP endpoints
# version: 1.0
# schedule: *:0/1
# timeout: 2min

# FAILURE if an endpoint does not respond as it should, for any reason: refused connection, timeout, unresolvable name,
# untrusted certificate, HTTP status of 400 or above, text missing from the page. WARNING if an endpoint is slow.
# Set TARGETS first: until then the check cannot report anything. Endpoints are checked one after the other.

# --- Configuration ---
# tcp://HOST:PORT, or an http:// or https:// address, optionally followed by a space and a text that the page must contain,
# for example ('tcp://localhost:22' 'https://example.org/health "status":"up"').
TARGETS=()
TIMEOUT_SECONDS=10
WARNING_MS=2000
CURL_OPTIONS=()          # for example (--cacert /etc/ssl/own-ca.pem)

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

# problem STATUS TEXT
problem() {
        [[ $status == FAILURE ]] || status=$1
        bad+=("$2")
}

# Milliseconds since an EPOCHREALTIME.
since() {
        local now=$EPOCHREALTIME
        printf '%d' $(((${now/./} - ${1/./}) / 1000))
}

# try_tcp TARGET: sets error, or ms.
try_tcp() {
        local address=${1#tcp://} begin=$EPOCHREALTIME code=0

        # shellcheck disable=SC2016
        timeout "$TIMEOUT_SECONDS" bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "${address%:*}" "${address##*:}" 2>"$tmp/error" || code=$?
        ms=$(since "$begin")
        case $code in
                0) ;;
                124) error="no answer within $TIMEOUT_SECONDS s" ;;
                *) error=$(sed -n '$s/.*: //p' "$tmp/error") ;;
        esac
        ((code == 0)) || error=${error:-cannot be reached}
}

# try_http URL TEXT: the same.
try_http() {
        local code=0 answer

        answer=$(curl --silent --show-error --location --max-time "$TIMEOUT_SECONDS" --max-filesize 10000000 --output "$tmp/page" \
                --write-out '%{http_code} %{time_total}' ${CURL_OPTIONS[@]+"${CURL_OPTIONS[@]}"} -- "$1" 2>"$tmp/error") || code=$?
        case $code in
                0) ;;
                1 | 2 | 3 | 4 | 27 | 126 | 127) cannot "curl cannot request $1 (status $code): $(head -n 1 "$tmp/error")" ;;
                *) error=$(sed -n '1s/^curl: ([0-9]*) //p' "$tmp/error"); error=${error:-curl failed with status $code}; return ;;
        esac
        ms=$(awk -v s="${answer#* }" 'BEGIN { printf "%d", s * 1000 }')
        if ((10#${answer%% *} < 200 || 10#${answer%% *} >= 400)); then
                error="HTTP status ${answer%% *}"
        elif [[ $2 ]] && ! grep -qF -- "$2" "$tmp/page"; then
                error="the page does not contain '$2'"
        fi
}

((${#TARGETS[@]})) || cannot "TARGETS is empty: list endpoints in the script's configuration"
tmp=$(mktemp -d) || cannot "cannot create a temporary directory"
trap 'rm -rf "$tmp"' EXIT

status=OK
bad=()
slowest=0
for target in "${TARGETS[@]}"; do
        error='' ms=0
        address=${target%% *}
        text=${target#"$address"}
        : >"$tmp/page"
        case $address in
                tcp://*:*) try_tcp "$address" ;;
                http://* | https://*) try_http "$address" "${text# }" ;;
                *) cannot "'$target' is not a valid endpoint" ;;
        esac
        if [[ $error ]]; then
                problem FAILURE "$address: $error"
        elif ((ms >= WARNING_MS)); then
                problem WARNING "$address took $ms ms"
        fi
        ((ms > slowest)) && slowest=$ms
done

if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}")
        report "$status" "${message%; }"
fi
message="${#TARGETS[@]} endpoints answer, the slowest in $slowest ms"
((${#TARGETS[@]} == 1)) && message="${TARGETS[0]%% *} answers in $slowest ms"
report OK "$message"

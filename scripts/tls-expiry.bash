#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: TLS Certificates
# description: Days until certificates expire
# version: 1.0
# schedule: *-*-* 0/6:00
# timeout: 2min

# Checks the certificates that servers present, and those in files. If a file contains several, only the first one is checked,
# which is the server's own. Set ENDPOINTS or FILES first: until then the check cannot report anything. It does not check
# whether a certificate is trusted (endpoint.bash does, for HTTPS).
# The check runs as an unprivileged user, so files must be world-readable, as certificates may be (their keys may not).

# --- Configuration ---
# HOST:PORT, or HOST:PORT/PROTOCOL for STARTTLS, for example (example.org:443 mail.example.org:25/smtp '[::1]:8443').
ENDPOINTS=()
FILES=()
WARNING_DAYS=21
FAILURE_DAYS=7
TIMEOUT_SECONDS=10    # for each endpoint

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

status=OK
bad=() unknown=()
least=
least_text=

# certificate NAME: reads a certificate in PEM.
certificate() {
        local end seconds days text

        if ! end=$(openssl x509 -noout -enddate 2>/dev/null) || ! seconds=$(date -d "${end#notAfter=}" +%s); then
                unknown+=("$1 provides no certificate")
                return
        fi
        seconds=$((seconds - now))
        days=$((seconds / 86400))
        text="$1 expires in $days days"
        ((days == 1)) && text="$1 expires in 1 day"
        ((seconds < 0)) && text="$1 has expired"
        if ((seconds < FAILURE_DAYS * 86400)); then
                status=FAILURE bad+=("$text")
        elif ((seconds < WARNING_DAYS * 86400)); then
                [[ $status == OK ]] && status=WARNING
                bad+=("$text")
        fi
        if [[ ! $least ]] || ((days < least)); then
                least=$days least_text=$text
        fi
}

((${#ENDPOINTS[@]} + ${#FILES[@]})) || cannot "ENDPOINTS and FILES are empty: set them in the script's configuration"
command -v openssl >/dev/null || cannot "openssl is not installed"
now=$(date +%s) || cannot "date failed"

for endpoint in ${ENDPOINTS[@]+"${ENDPOINTS[@]}"}; do
        address=${endpoint%%/*}
        host=${address%:*}
        options=(-connect "$address")
        [[ $endpoint == */* ]] && options+=(-starttls "${endpoint#*/}")
        # An IP address is not a server name.
        [[ $host =~ ^[0-9.]+$ || $host == \[* ]] || options+=(-servername "$host")
        certificate "$address" < <(timeout "$TIMEOUT_SECONDS" openssl s_client "${options[@]}" </dev/null 2>/dev/null)
done
for file in ${FILES[@]+"${FILES[@]}"}; do
        if [[ -r $file ]]; then
                certificate "$file" < <(cat "$file")
        else
                unknown+=("$file cannot be read")
        fi
done

((${#unknown[@]})) && printf '%s\n' "${unknown[@]}" >&2
if [[ $status != OK ]]; then
        message=$(printf '%s; ' "${bad[@]}" ${unknown[@]+"${unknown[@]}"})
        report "$status" "${message%; }"
fi
((${#unknown[@]})) && cannot "${unknown[0]}"
report OK "$least_text, the first of $((${#ENDPOINTS[@]} + ${#FILES[@]}))"

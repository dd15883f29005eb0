# SPDX-License-Identifier: LGPL-2.1-or-later
# Read by every service-script before its first line (BASH_ENV of its unit); see ssi-service-script(7).
# shellcheck shell=bash

# Programs that a script starts are not service-scripts.
unset BASH_ENV

# Prints a status line; the last one of a run is its result. Line breaks in the message become spaces.
_ssi_report() {
        local message=${*:2}

        message=${message//[$'\r\n']/ }
        printf '%(%Y-%m-%d %H:%M:%S)T, %s, %s\n' -1 "$1" "$message"
}

ssi_ok() { _ssi_report OK "$@"; }
ssi_update() { _ssi_report UPDATE "$@"; }
ssi_warning() { _ssi_report WARNING "$@"; }
ssi_failure() { _ssi_report FAILURE "$@"; }

# ssi_nagios PLUGIN [ARGUMENT…]: runs a Nagios-compatible plugin and reports its result with the first line of its output, without
# performance data. Exit status 3 (unknown) and all others make the run an execution error.
ssi_nagios() {
        local output status=0 line

        output=$("$@" 2>&1) || status=$?
        line=${output%%$'\n'*}
        line=${line%%|*}
        line=${line%"${line##*[![:space:]]}"}
        case $status in
                0) ssi_ok "$line" ;;
                1) ssi_warning "$line" ;;
                2) ssi_failure "$line" ;;
                *)
                        printf '%s ended with status %d: %s\n' "$1" "$status" "$output" >&2
                        exit 3
                        ;;
        esac
}

# ssi_unit_active UNIT: succeeds if the unit is active according to systemd. If systemd cannot be reached or does not know the unit,
# the run ends as an execution error, because the check could not look. Requires "# user: ssi-script" or another user that the
# system bus knows.
ssi_unit_active() {
        local output line active='' loaded='' reason

        # A pattern would match units that were not named.
        if (($# != 1)) || [[ -z $1 || $1 == *[*?[]* ]]; then
                reason='expected the name of a single unit'
        elif ! output=$(systemctl show --property=LoadState,ActiveState -- "$1" 2>&1); then
                reason="cannot reach systemd: ${output%%$'\n'*}"
                # Dynamic users are in this range (systemd.exec(5)).
                ((UID >= 61184 && UID <= 65519)) && reason+=' (this requires "# user: ssi-script" in the header)'
        else
                while IFS= read -r line; do
                        case $line in
                                ActiveState=*) active=${line#*=} ;;
                                LoadState=*) loaded=${line#*=} ;;
                        esac
                done <<<"$output"
                case $active in
                        active | reloading | refreshing) return 0 ;;
                esac
                [[ -z $active || -z $loaded || $loaded == not-found ]] || return 1
                reason='no such unit'
        fi
        printf 'ssi_unit_active %s: %s\n' "$*" "$reason" >&2
        exit 3
}

# Reports where a command failed, for `ssictl log`. It has no other effect. A script's own ERR trap replaces it.
trap 'printf "%s: line %d: \"%s\" ended with status %d\n" "${0##*/}" "$LINENO" "$BASH_COMMAND" "$?" >&2' ERR

# SPDX-License-Identifier: LGPL-2.1-or-later
# Read by every service-script before its first line (BASH_ENV of its unit); see ssi-service-script(7).
# shellcheck shell=bash

# Programs that a script starts are not service-scripts.
unset BASH_ENV

# One status line; the last one of a run is its result. Line breaks in the message become spaces.
_ssi_report() {
        local message=${*:2}

        message=${message//[$'\r\n']/ }
        printf '%(%Y-%m-%d %H:%M:%S)T, %s, %s\n' -1 "$1" "$message"
}

ssi_ok() { _ssi_report OK "$@"; }
ssi_update() { _ssi_report UPDATE "$@"; }
ssi_warning() { _ssi_report WARNING "$@"; }
ssi_failure() { _ssi_report FAILURE "$@"; }

# ssi_nagios PLUGIN [ARGUMENT…]: runs a plugin of the monitoring-plugins convention and reports what it found: the first
# line of its output, without performance data. 3 (unknown) and anything else make the run an execution error.
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

# ssi_unit_active UNIT: whether the unit is active, as systemd says. Where systemd cannot be asked, or knows no such unit, the
# run ends as an execution error: who could not look says nothing. In a script with "# user: ssi-script", or another that
# the system bus knows.
ssi_unit_active() {
        local output line active='' loaded='' reason

        # A pattern would be answered by units that nobody named.
        if (($# != 1)) || [[ -z $1 || $1 == *[*?[]* ]]; then
                reason='it takes the name of one unit'
        elif ! output=$(systemctl show --property=LoadState,ActiveState -- "$1" 2>&1); then
                reason="systemd cannot be asked: ${output%%$'\n'*}"
                # Dynamic users are in this range (systemd.exec(5)).
                ((UID >= 61184 && UID <= 65519)) && reason+=' (it takes "# user: ssi-script" in the header)'
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
                reason='there is no such unit'
        fi
        printf 'ssi_unit_active %s: %s\n' "$*" "$reason" >&2
        exit 3
}

# Says where a command failed, for `ssictl log`; it changes nothing else. A script's own ERR trap replaces it.
trap 'printf "%s: line %d: \"%s\" ended with status %d\n" "${0##*/}" "$LINENO" "$BASH_COMMAND" "$?" >&2' ERR

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

# Says where a command failed, for `ssictl log`; it changes nothing else. A script's own ERR trap replaces it.
trap 'printf "%s: line %d: \"%s\" ended with status %d\n" "${0##*/}" "$LINENO" "$BASH_COMMAND" "$?" >&2' ERR

# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes a script end at the first command that fails, and say which one that was; to be sourced at its top. A command that may
# fail, or whose failure is told in better words, is followed by "||". One inside of ( ) or a function is named from the
# inside out.
set -Eeuo pipefail

# fail_at STATUS LINE COMMAND
fail_at() {
        # In $( ), bash goes on after a failure: only the outcome counts, and that is told outside.
        [[ $- == *e* ]] || return 0
        local source=${BASH_SOURCE[1]}
        printf '%s: line %d failed with status %d: %s\n' "${source##*/}" "$2" "$1" "${3%%$'\n'*}" >&2
}

trap 'fail_at "$?" "$LINENO" "$BASH_COMMAND"' ERR

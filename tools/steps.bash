# SPDX-License-Identifier: LGPL-2.1-or-later
# For scripts that run long steps and must leave nothing behind however they end; to be sourced. The script defines
# tidy_up(), which removes what the steps have made, and calls steps_begin before the first.

steps_pid=
steps_patient=0

steps_begin() {
        trap steps_end EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
}

# Ends the step that runs, if any, then tidies up. The terminal may be gone, so nothing here depends on output.
steps_end() {
        local code=$? i

        trap - EXIT
        trap '' INT TERM HUP PIPE
        if [[ $steps_pid ]] && ((steps_patient)); then
                # Packages that are half-installed are worse than a moment's wait.
                printf '\nLet the packages be installed to the end…\n' 2>/dev/null
                wait "$steps_pid"
        elif [[ $steps_pid ]]; then
                # Most programs tidy up after themselves on SIGINT, unless whoever started us has it ignored.
                kill -INT -- "-$steps_pid" 2>/dev/null
                for ((i = 0; i < 200; i++)); do
                        kill -0 -- "-$steps_pid" 2>/dev/null || break
                        ((i == 100)) && kill -TERM -- "-$steps_pid" 2>/dev/null
                        sleep 0.1
                done
                kill -KILL -- "-$steps_pid" 2>/dev/null
        fi
        steps_pid=
        tidy_up
        exit "$code"
}

# Runs a command and gives its exit code. It has a process group of its own, so that one signal reaches all of it and
# none reaches it by accident; bash handles signals at once while it waits.
step() {
        local code

        set -m
        "$@" </dev/null &
        steps_pid=$!
        set +m
        wait "$steps_pid"
        code=$?
        # What a finished step has left running has no business any more.
        kill -KILL -- "-$steps_pid" 2>/dev/null
        steps_pid=
        return "$code"
}

# The same for a command that must not be interrupted.
patient_step() {
        local code

        steps_patient=1
        step "$@"
        code=$?
        steps_patient=0
        return "$code"
}

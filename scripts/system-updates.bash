#!/bin/bash
# SPDX-License-Identifier: MIT-0

# name: Package Updates
# description: Updates available from APT or DNF
# version: 1.1
# schedule: *:0/15
# timeout: 2min

# UPDATE if packages can be upgraded; the message includes the number of security updates.
# WARNING if the package lists are so old that "no updates" would mean nothing, or if packages are only partly installed.
# If APT or DNF fails, this is an execution error: the check never reports OK without having looked.
# The check downloads nothing. Something else refreshes the lists (on Debian apt-daily.timer, on Fedora and its derivatives
# dnf-makecache.timer).

# --- Configuration ---
LISTS_MAX_AGE_DAYS=7      # older package lists are a WARNING
DNF_CACHE=/var/cache/dnf
SECURITY_STATUS=UPDATE    # the status if there are security updates; or WARNING

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

count() {
        if (($1 == 1)); then
                printf '1 %s' "$2"
        else
                printf '%d %ss' "$1" "$2"
        fi
}

# tell TIME TOTAL SECURITY: TIME is the time of the newest list.
tell() {
        local age=$((($(date +%s) - $1) / 86400))

        if ((age > LISTS_MAX_AGE_DAYS)); then
                report WARNING "The package lists are $age days old; they list $(count "$2" update), $3 for security"
        fi
        (($3 > 0)) && report "$SECURITY_STATUS" "$(count "$2" "available update"), $3 for security"
        (($2 > 0)) && report UPDATE "$(count "$2" "available update")"
        report OK "All packages are up to date"
}

ask_dnf() {
        local newest list code total security
        # The system's own cache, read-only. The log goes where a sandboxed check may write.
        local dnf=(dnf --quiet --cacheonly --setopt=cachedir="$DNF_CACHE" --setopt=logdir=/tmp)

        newest=$(find "$DNF_CACHE" -type f -name repomd.xml -printf '%T@\n' | sort -n | tail -n 1) ||
                cannot "the package lists in $DNF_CACHE cannot be read"
        [[ $newest ]] || report WARNING "No package lists: dnf makecache has never run"

        # 100 means that there are updates.
        list=$("${dnf[@]}" check-update)
        code=$?
        ((code == 0 || code == 100)) || cannot "dnf check-update failed with status $code"
        # One line per package, up to the list of obsoleted packages.
        total=$(awk '/^Obsoleting/ { exit } NF == 3 && $1 ~ /\./ { n++ } END { print n + 0 }' <<<"$list")
        ((code == 0 || total > 0)) || cannot "dnf reports updates but lists none"
        list=$("${dnf[@]}" updateinfo list --updates security) || cannot "dnf updateinfo failed with status $?"
        security=$(awk 'NF == 3 && $3 ~ /\./ && !seen[$3]++ { n++ } END { print n + 0 }' <<<"$list")
        tell "${newest%.*}" "$total" "$security"
}

if ! command -v apt-get >/dev/null; then
        command -v dnf >/dev/null || cannot "there is neither apt-get nor dnf on this system"
        ask_dnf
fi

# The time of the newest list. An empty directory means that `apt-get update` has never run.
newest=$(find /var/lib/apt/lists -maxdepth 1 -type f -name '*_*' -printf '%T@\n' | sort -n | tail -n 1) ||
        cannot "the package lists in /var/lib/apt/lists cannot be read"
[[ $newest ]] || report WARNING "No package lists: apt-get update has never run"

# No caches: they would be written below /var, which a sandboxed check cannot and need not do.
plan=$(apt-get --simulate --quiet -o Debug::NoLocking=1 -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= dist-upgrade) ||
        cannot "apt-get --simulate dist-upgrade failed with status $?"
read -r total security < <(awk '
        $1 == "Inst" { total++; if (tolower($0) ~ /-security[^a-z]/) security++ }
        END { print total + 0, security + 0 }' <<<"$plan")

broken=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' |
        awk '$1 ~ /^(unpacked|half-configured|half-installed|triggers-awaited)$/ { print $2 }') ||
        cannot "dpkg-query failed"
if [[ $broken ]]; then
        report WARNING "Not fully installed: $(tr '\n' ' ' <<<"$broken")(dpkg --configure -a)"
fi

tell "${newest%.*}" "$total" "$security"

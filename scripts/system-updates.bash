#!/bin/bash

# name: Package Updates
# description: Updates that APT would install, on Debian and its relatives
# version: 1.0
# schedule: *:0/15
# timeout: 2min

# UPDATE when packages can be upgraded, with how many of them are security updates.
# WARNING when the package lists are so old that "no updates" would mean nothing, or when packages are half-installed.
# When APT cannot answer at all this is an execution error: it never says OK without having looked.
# Nothing is downloaded: something else runs `apt-get update` (on Debian, apt-daily.timer when it is told to).

# --- Configuration ---
LISTS_MAX_AGE_DAYS=7      # older package lists are a WARNING
SECURITY_STATUS=UPDATE    # the status when security updates are among them; WARNING is a choice, too

# --- Check ---
set -uo pipefail
export LC_ALL=C

report() {
        printf '%s, %s, %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$1" "$2"
        exit 0
}

cannot() {
        printf 'Cannot tell: %s\n' "$1" >&2
        exit 1
}

count() {
        if (($1 == 1)); then
                printf '1 %s' "$2"
        else
                printf '%d %ss' "$1" "$2"
        fi
}

command -v apt-get >/dev/null || cannot "there is no apt-get on this system"

# The time of the newest list. An empty folder means that `apt-get update` never ran.
newest=$(find /var/lib/apt/lists -maxdepth 1 -type f -name '*_*' -printf '%T@\n' | sort -n | tail -n 1) ||
        cannot "the package lists in /var/lib/apt/lists cannot be read"
[[ $newest ]] || report WARNING "No package lists: apt-get update has never run"

# The caches would be written below /var, which a sandboxed check cannot and need not do.
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

age=$((($(date +%s) - ${newest%.*}) / 86400))
if ((age > LISTS_MAX_AGE_DAYS)); then
        report WARNING "The package lists are $age days old; by them $(count "$total" update), $security of security"
fi
((security > 0)) && report "$SECURITY_STATUS" "$(count "$total" "available update"), $security of security"
((total > 0)) && report UPDATE "$(count "$total" "available update")"
report OK "All packages are up to date"

# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of ssictl(1) for bash.                                                              -*- shell-script -*-

# The installed services. Other hosts are not queried, so that completion never waits for ssh.
__ssictl_services() {
        [[ $1 == -H ]] && return
        ssictl "$@" --no-ask-password --json list 2>/dev/null | sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p'
}

# The properties of the given service, or of the agent.
__ssictl_properties() {
        [[ $1 == -H ]] && return
        ssictl "$@" --no-ask-password 2>/dev/null | sed -n 's/^\([A-Za-z]*\)=.*/\1/p'
}

_ssictl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local verbs='add install remove uninstall list status show cat validate test run enable disable log history
                watch register unregister rotate-key uplink server'
        local server_verbs='setup sign-up invite invitations withdraw-invitation check stats instances join-token join-tokens
                withdraw-join-token join leave users add-user passwd set-email remove-user grant-admin revoke-admin lock unlock
                reset-password quota list servers add-server token
                remove-server duplicates keep-host announce announcements withdraw-announcement audit backup restore'
        local events='account acknowledgement administration administrator announcement api-token backup channel email email-change instance invitation
                login login-code logout mail mail-link notifications password public-page push quota restore server session sign-up
                silence team'
        local quotas='servers services results storage mails requests channels browsers silences tokens'
        local options='--help --version --host --machine --no-ask-password --json'
        local verb='' name='' word i n=0 where=() words=()

        # "--option=value" arrives as three words.
        if [[ $cur == = ]]; then
                cur=''
        elif [[ $prev == = ]]; then
                prev=${COMP_WORDS[COMP_CWORD - 2]}
        fi

        for ((i = 1; i < COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]}
                case $word in
                        -H | --host)
                                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
                                ((i++))
                                where=(-H) ;;
                        -M | --machine)
                                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
                                ((i++))
                                where=(-M "${COMP_WORDS[i]}") ;;
                        -n | -p | --lines | --property | --ca | --token-file | --user | --label | --sign-up | --expires | --pin | --since | --until | --account | --event)
                                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
                                ((i++)) ;;
                        -*) ;;
                        *) if [[ $verb ]]; then name=$word words+=("$word"); ((n++)); else verb=$word; fi ;;
                esac
        done

        case $prev in
                -H | --host)
                        declare -F _known_hosts_real >/dev/null && _known_hosts_real -- "$cur"
                        return ;;
                -M | --machine)
                        mapfile -t COMPREPLY < <(compgen -W "$(machinectl list --no-legend --no-pager 2>/dev/null |
                                while read -r word _; do printf '%s\n' "$word"; done)" -- "$cur")
                        return ;;
                --ca | --token-file)
                        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                        return ;;
                -p | --property)
                        mapfile -t COMPREPLY < <(compgen -W "$(__ssictl_properties "${where[@]}" show ${name:+"$name"})" \
                                -- "$cur")
                        return ;;
                --sign-up)
                        mapfile -t COMPREPLY < <(compgen -W 'closed invite open' -- "$cur")
                        return ;;
                --event)
                        mapfile -t COMPREPLY < <(compgen -W "$events" -- "$cur")
                        return ;;
                -n | --lines | --user | --label | --pin | --expires | --since | --until | --account) return ;;
        esac

        case $verb in
                add | install) options+=' --replace --run' ;;
                run) options+=' --no-wait' ;;
                log) options+=' --lines --follow' ;;
                status | history) options+=' --lines' ;;
                show) options+=' --property --value' ;;
                register) options+=' --ca --token-file' ;;
                server)
                        case ${words[0]} in
                                setup) options+=' --sign-up' ;;
                                invite | join-token | announce) options+=' --expires' ;;
                                join) options+=' --pin --token-file' ;;
                                check) options+=' --deep' ;;
                                add-server) options+=' --user --label' ;;
                                audit) options+=' --lines --since --until --account --event' ;;
                                remove-user | remove-server | restore) options+=' --yes' ;;
                        esac ;;
        esac
        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
                return
        fi

        case $verb in
                '') mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur") ;;
                server)
                        if ((n == 0)); then
                                mapfile -t COMPREPLY < <(compgen -W "$server_verbs" -- "$cur")
                        elif [[ ${words[0]} == sign-up ]]; then
                                ((n == 1)) && mapfile -t COMPREPLY < <(compgen -W 'closed invite open' -- "$cur")
                        elif [[ ${words[0]} == keep-host ]]; then
                                ((n == 2)) && mapfile -t COMPREPLY < <(compgen -W 'accepted refused' -- "$cur")
                        elif [[ ${words[0]} == quota && " $quotas " == *" $prev "* ]]; then
                                mapfile -t COMPREPLY < <(compgen -W 'unlimited default' -- "$cur")
                        elif [[ ${words[0]} == quota ]]; then
                                compopt -o nospace 2>/dev/null
                                ((n > 1)) && mapfile -t COMPREPLY < <(compgen -S = -W "$quotas" -- "$cur")
                        elif [[ ${words[0]} == backup || ${words[0]} == restore ]]; then
                                compopt -o filenames 2>/dev/null
                                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                        fi ;;
                add | install | validate | test)
                        compopt -o filenames 2>/dev/null
                        mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
                log | history)
                        ((n == 0)) && mapfile -t COMPREPLY < <(compgen -W "$(__ssictl_services "${where[@]}")" -- "$cur") ;;
                remove | uninstall | status | show | cat | run | enable | disable | watch)
                        mapfile -t COMPREPLY < <(compgen -W "$(__ssictl_services "${where[@]}")" -- "$cur") ;;
        esac
}

complete -F _ssictl ssictl

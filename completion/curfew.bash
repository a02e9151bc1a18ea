# Made by scripts/manual: bash completion for curfew.
_curfew() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'serve reload ready top calls advise check fleet explain faulty help version --help --version' -- "$cur")
        return
    fi
    case ${COMP_WORDS[1]}/$prev in
    serve/-c | serve/--config | reload/-c | reload/--config | ready/-c | ready/--config | top/-c | top/--config | calls/-c | calls/--config | advise/-c | advise/--config | check/-c | check/--config | fleet/-c | fleet/--config | explain/-c | explain/--config | faulty/--cert | faulty/--key | faulty/--ca-out | faulty/--client-ca)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return ;;
    reload/-a | reload/--admin | ready/-a | ready/--admin | top/-a | top/--admin | top/-d | top/--delay | calls/-a | calls/--admin | calls/-o | calls/--older | calls/-u | calls/--upstream | calls/-p | calls/--phase | calls/-n | calls/--limit | calls/-s | calls/--sort | calls/-x | calls/--cut | advise/-a | advise/--admin | advise/-u | advise/--upstream | advise/-f | advise/--false-timeouts | check/-a | check/--admin | check/--descriptors | check/--memory | check/--stop-timeout | explain/-H | explain/--header | explain/-u | explain/--upstream | faulty/--listen | faulty/--proxy | faulty/--proxy-behind | faulty/--h2-goaway | faulty/--h2-streams | faulty/--h2-window | faulty/--seed) return ;;
    esac
    case ${COMP_WORDS[1]}/$cur in
    serve/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -h --help' -- "$cur") ;;
    reload/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -a --admin -h --help' -- "$cur") ;;
    ready/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -a --admin -h --help' -- "$cur") ;;
    top/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -a --admin -d --delay --once -h --help' -- "$cur") ;;
    calls/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -a --admin -o --older -u --upstream -p --phase -n --limit -s --sort -j --json -x --cut -h --help' -- "$cur") ;;
    advise/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -a --admin -u --upstream -f --false-timeouts -j --json -h --help' -- "$cur") ;;
    check/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -j --json -a --admin --offline --store --strict --descriptors --memory --stop-timeout -h --help' -- "$cur") ;;
    fleet/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -h --help' -- "$cur") ;;
    explain/-*)
        mapfile -t COMPREPLY < <(compgen -W '-c --config -H --header -u --upstream -h --help' -- "$cur") ;;
    faulty/-*)
        mapfile -t COMPREPLY < <(compgen -W '--listen --tls --cert --key --ca-out --client-ca --tls-stall --proxy --proxy-behind --http2 --h2-goaway --h2-streams --h2-window --h2-no-settings --h2-no-pongs --seed -h --help' -- "$cur") ;;
    serve/* | reload/* | ready/* | top/* | calls/* | advise/* | check/* | fleet/* | explain/*)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    esac
}
complete -F _curfew curfew

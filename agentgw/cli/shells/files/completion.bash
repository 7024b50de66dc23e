# Completion of agentgw for bash: eval "$(agentgw completion bash)"
_agentgw() {
    # By the line and not by COMP_WORDS, which bash cuts at colons too. `kept` is as much of the word as bash leaves alone.
    local line=${COMP_LINE:0:COMP_POINT} word='' quote='' one value
    local -a words=()
    local -i at kept=0 begun=0
    for ((at = 0; at < ${#line}; at++)); do
        one=${line:at:1}
        if [[ $quote == \' && $one != \' ]]; then
            word+=$one
        elif [[ $one == \\ && ($quote != \" || ${line:at+1:1} == [\"\\\$\`]) ]]; then
            at+=1 begun=1
            word+=${line:at:1}
        elif [[ -n $quote && $one == "$quote" ]]; then
            quote=''
        elif [[ -z $quote && $one == [\"\'] ]]; then
            quote=$one begun=1 kept=${#word}
        elif [[ -z $quote && $one == [[:space:]] ]]; then
            ((begun)) && words+=("$word")
            word='' begun=0 kept=0
        else
            word+=$one begun=1
            [[ -z $quote && $one == [:=] ]] && kept=${#word}
        fi
    done
    words+=("$word")
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o default
            continue
        fi
        value=${value:kept}
        case $quote in
            \') value=${value//\'/\'\\\'\'} ;;
            \") value=$(sed 's/[\\"$`]/\\&/g' <<< "$value") ;;
            *) value=$(printf %q "$value") ;;
        esac
        COMPREPLY+=("$value")
    done < <(agentgw completion --line -- "${words[@]:1}" 2>/dev/null)
}
complete -F _agentgw agentgw

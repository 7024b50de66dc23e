# Completion of agentgw for bash: eval "$(agentgw completion bash)"
_agentgw() {
    # By the line and not by COMP_WORDS, which bash cuts at colons too.
    local line=${COMP_LINE:0:COMP_POINT} value prefix
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[-1]}
    prefix=${current%"${current##*[:=]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o default
        else
            COMPREPLY+=("$(printf %q "${value#"$prefix"}")")
        fi
    done < <(agentgw completion --line -- "${words[@]:1}" 2>/dev/null)
}
complete -F _agentgw agentgw

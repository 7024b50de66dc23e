#compdef agentgw
# Completion of agentgw for zsh: eval "$(agentgw completion zsh)" after compinit, or a file _agentgw in $fpath.
_agentgw() {
    local -a values
    local line files
    for line in "${(@f)$(agentgw completion --line -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        case $line in
            :files) files=1 ;;
            ?*) values+=("${${${line%%$'\t'*}//\\/\\\\}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( $#values )) && _describe agentgw values
    [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _agentgw ]]; then
    _agentgw "$@"
else
    compdef _agentgw agentgw
fi

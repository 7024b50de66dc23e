# Keys of agentgw for zsh: eval "$(agentgw shell-init zsh)"
__agentgw_command() {
    [[ -n $BUFFER ]] || return 0
    local made
    zle -I
    made=$(agentgw run -e -- "$BUFFER" </dev/null) || return 0
    BUFFER=$made
    CURSOR=$#BUFFER
}
zle -N __agentgw_command
bindkey '\ee' __agentgw_command

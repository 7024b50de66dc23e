# Keys of agentgw for zsh: eval "$(agentgw shell-init zsh)"
__agentgw_command() {
    [[ -n $BUFFER ]] || return
    local made
    zle -I
    made=$(agentgw run -e -- "$BUFFER" </dev/null) || return
    BUFFER=$made
    CURSOR=$#BUFFER
}
zle -N __agentgw_command
bindkey '\ee' __agentgw_command

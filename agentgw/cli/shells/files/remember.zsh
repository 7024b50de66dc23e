# The last command and its status, in variables of this shell. Alt-W asks why it failed; until then nothing is sent.
__agentgw_precmd() {
    __agentgw_status=$?
}
__agentgw_preexec() {
    __agentgw_last=$1
}
autoload -Uz add-zsh-hook
add-zsh-hook precmd __agentgw_precmd
add-zsh-hook preexec __agentgw_preexec
__agentgw_why() {
    [[ -n ${__agentgw_last-} ]] || return 0
    local screen=
    [[ -z ${TMUX-} ]] || screen=$(tmux capture-pane -p 2>/dev/null | tail -n 40)
    zle -I
    printf 'command: %s\nexit status: %s\n%s\n' "$__agentgw_last" "$__agentgw_status" "$screen" |
        agentgw run --no-session --no-tools 'Why did this command fail, and what should I do?' || :
}
zle -N __agentgw_why
bindkey '\ew' __agentgw_why

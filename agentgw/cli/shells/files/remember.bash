# The last command and its status, in variables of this shell. Alt-W asks why it failed; until then nothing is sent.
__agentgw_remember() {
    __agentgw_status=$?
    __agentgw_last=$(HISTTIMEFORMAT='' builtin history 1)
    __agentgw_last=${__agentgw_last#*[0-9]  }
    return "$__agentgw_status"
}
PROMPT_COMMAND="__agentgw_remember${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
__agentgw_why() {
    [[ -n ${__agentgw_last-} ]] || return 0
    local screen=
    [[ -z ${TMUX-} ]] || screen=$(tmux capture-pane -p 2>/dev/null | tail -n 40)
    printf 'command: %s\nexit status: %s\n%s\n' "$__agentgw_last" "$__agentgw_status" "$screen" |
        agentgw run --no-session --no-tools 'Why did this command fail, and what should I do?' || :
}
bind -x '"\ew": __agentgw_why'

# Keys of agentgw for bash: eval "$(agentgw shell-init bash)"
__agentgw_command() {
    [[ -n $READLINE_LINE ]] || return 0
    local made
    made=$(agentgw run -e -- "$READLINE_LINE" </dev/null) || return 0
    READLINE_LINE=$made
    READLINE_POINT=${#made}
}
bind -x '"\ee": __agentgw_command'

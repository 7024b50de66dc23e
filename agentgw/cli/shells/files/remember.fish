# The last command and its status, in variables of this shell. Alt-W asks why it failed; until then nothing is sent.
function __agentgw_remember --on-event fish_postexec
    set -g __agentgw_status $status
    set -g __agentgw_last $argv[1]
end
function __agentgw_why
    test -n "$__agentgw_last"; or return
    set -l screen
    if set -q TMUX
        set screen (tmux capture-pane -p 2>/dev/null | tail -n 40 | string collect)
    end
    echo
    printf 'command: %s\nexit status: %s\n%s\n' "$__agentgw_last" "$__agentgw_status" "$screen" |
        agentgw run --no-session --no-tools 'Why did this command fail, and what should I do?'
    commandline -f repaint
end
bind \ew __agentgw_why

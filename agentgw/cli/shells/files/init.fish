# Keys of agentgw for fish: agentgw shell-init fish | source
function __agentgw_command
    set -l typed (commandline | string collect)
    test -n "$typed"; or return
    set -l made (agentgw run -e -- "$typed" </dev/null | string collect)
    if test -n "$made"
        commandline -r -- $made
    end
    commandline -f repaint
end
bind \ee __agentgw_command

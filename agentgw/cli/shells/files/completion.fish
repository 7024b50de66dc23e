# Completion of agentgw for fish: agentgw completion fish | source
function __agentgw_complete
    # As it is meant and not as it is typed: with no quotes, which may not be closed yet.
    set -l words (commandline -opc) (commandline -ct | string unescape)
    for line in (agentgw completion --line -- $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            printf '%s\n' $line
        end
    end
end
complete -c agentgw -f -a '(__agentgw_complete)'

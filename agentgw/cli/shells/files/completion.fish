# Completion of agentgw for fish: agentgw completion fish | source
function __agentgw_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (agentgw completion --line -- $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            printf '%s\n' $line
        end
    end
end
complete -c agentgw -f -a '(__agentgw_complete)'

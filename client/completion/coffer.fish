# SPDX-License-Identifier: Apache-2.0
# Completion of coffer for fish. What may stand where the cursor is, coffer itself knows ("coffer help complete").

function __coffer_complete
    set -l typed (commandline -ct)
    set -l plain (string unescape -- $typed); or set plain $typed
    set -l words (commandline -opc) $plain
    for answer in (command coffer complete -- $words[2..-1] 2>/dev/null)
        if string match -q ':files *' -- $answer
            set -l value (string sub -s 8 -- $answer)
            for path in (__fish_complete_path (string replace -- $value '' $words[-1]))
                echo $value$path
            end
        else if string match -q ':folders *' -- $answer
            set -l value (string sub -s 10 -- $answer)
            for path in (__fish_complete_directories (string replace -- $value '' $words[-1]) '')
                echo $value$path
            end
        else
            echo $answer
        end
    end
end

complete -c coffer -f -a '(__coffer_complete)'

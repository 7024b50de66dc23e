#!/bin/sh
# From nothing to a local model's answer, in a home of its own. Pulled weights stay for the next time.
set -eu
AGENTGW_HOME=$PWD/.cache/demo
export AGENTGW_HOME
PATH=$PWD/.venv/bin:$PATH

show() {
    printf '\n$'
    for word in "$@"; do
        case $word in
            *' '*) printf ' "%s"' "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$@"
}

agentgw stop >/dev/null 2>&1 || true
mkdir -p "$AGENTGW_HOME/data"
chmod 700 "$AGENTGW_HOME" "$AGENTGW_HOME/data"
rm -rf "$AGENTGW_HOME/config" "$AGENTGW_HOME/state" "$AGENTGW_HOME/cache" "$AGENTGW_HOME/run"
find "$AGENTGW_HOME/data" -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} +
# Whatever happens, no daemon is left behind.
trap 'agentgw stop >/dev/null 2>&1 || true' EXIT
trap 'exit 1' HUP INT PIPE TERM

show agentgw pull smollm2:135m
show agentgw run "Tell me one thing about the sea, in one sentence."
printf '\n$ echo "Name three colours." | agentgw run\n'
echo "Name three colours." | agentgw run
show agentgw status
show agentgw stop

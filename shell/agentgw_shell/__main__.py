"""`python -m agentgw_shell`, which `agentgw chat` becomes."""

from __future__ import annotations

import argparse
import signal
import sys

from agentgw.cli import output
from agentgw.cli.turn_printer import is_interactive
from agentgw.protocol.errors import AgentgwError, UsageError
from agentgw_shell.chat import Chat
from agentgw_shell.prompt.type_ahead import TypeAhead


def main() -> int:
    """Chat until the user leaves; gives the exit status."""
    parser = argparse.ArgumentParser(prog="agentgw chat", allow_abbrev=False)
    parser.add_argument("--skill")
    parser.add_argument("--model")
    parser.add_argument("--session")
    parser.add_argument("--continue", dest="continued", action="store_true")
    args = parser.parse_args()
    try:
        if not is_interactive():
            raise UsageError("chat needs a terminal", hint="in a pipe use: echo text | agentgw run")
        # Whoever is at the terminal may press Ctrl-C, also in a chat that a script or an editor started ignoring it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with TypeAhead() as terminal, Chat(terminal, skill=args.skill, model=args.model) as chat:
            chat.go_on(args.session, continued=args.continued)
            return chat.run()
    except AgentgwError as error:
        return output.report(error)
    except KeyboardInterrupt:
        return output.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())

"""`python -m agentgw_shell`, which `agentgw chat` becomes."""

from __future__ import annotations

import argparse
import signal
import sys

from agentgw import __version__
from agentgw.cli import output
from agentgw.local.environment import Environment
from agentgw.protocol.errors import AgentgwError, UsageError
from agentgw_shell.prompt.first_prompt import FirstPrompt
from agentgw_shell.prompt.type_ahead import TypeAhead
from agentgw_shell.screen_access import moves_cursor


def main() -> int:
    """Chat until the user leaves; gives the exit status."""
    parser = argparse.ArgumentParser(prog="agentgw chat", allow_abbrev=False)
    parser.add_argument("--skill")
    parser.add_argument("--model")
    parser.add_argument("--session")
    parser.add_argument("--continue", dest="continued", action="store_true")
    args = parser.parse_args()
    drawn = moves_cursor(Environment())
    first = FirstPrompt(drawn=drawn)
    try:
        if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
            raise UsageError("chat needs a terminal", hint="in a pipe use: echo text | agentgw run")
        # Whoever is at the terminal may press Ctrl-C, also in a chat that a script or an editor started ignoring it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with TypeAhead(kept=drawn) as terminal:
            signal.signal(signal.SIGCONT, lambda *_: terminal.take_again())
            output.notice(f"agentgw {__version__}, /help lists the commands, Ctrl-D leaves")
            first.show()
            # Here, for the editor takes most of the time until there is one.
            from agentgw_shell.chat import Chat

            with Chat(terminal, skill=args.skill, model=args.model) as chat:
                first.leave()
                chat.go_on(args.session, continued=args.continued)
                return chat.run()
    except AgentgwError as error:
        first.leave()
        return output.report(error)
    except KeyboardInterrupt:
        return output.INTERRUPTED
    finally:
        first.leave()


if __name__ == "__main__":
    sys.exit(main())

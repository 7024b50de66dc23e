"""`agentgw run -e`: a command for a task. On a terminal it is run if the user says so, elsewhere it is only printed."""

from __future__ import annotations

import base64
import os
import platform
import sys

from agentgw.cli import output
from agentgw.cli.asking.code_blocks import last_block
from agentgw.cli.commands import connect, model_reference, working_directory
from agentgw.cli.terminal.progress import Status
from agentgw.local.environment import Environment
from agentgw.protocol.errors import AgentgwError, UsageError
from agentgw.protocol.visible import is_seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any, Final

    from agentgw.client import Client

_MENU: Final = "[e]xecute [r]evise [d]escribe [c]opy [q]uit (Enter: quit) "
_COMMAND: Final = (
    "You write commands for the shell {shell} on {system}. Answer with the one command that does what is asked, "
    "and with nothing else: no explanation, no Markdown."
)
_DESCRIPTION: Final = "You explain shell commands in a few short sentences, and say what they change or delete."
# Line ends and tabs are part of a command; any other control character could show another one than is run.
_ALLOWED: Final = "\n\t"
_UNSEEN: Final = "has characters that are not seen, such as"


def propose(args: Namespace, task: str, options: dict[str, Any], *, piped: bool) -> int:
    """Finds a command for the task; gives the exit status, after running it that of the command."""
    asks = all(output.is_terminal(stream) for stream in (sys.stdin, sys.stdout, sys.stderr))
    shell = Environment().shell or "/bin/sh"
    system = args.system or _COMMAND.format(shell=os.path.basename(shell), system=platform.system())
    with connect(warm=True) as client:
        ask: dict[str, Any] = {
            "model": model_reference(client, args.model) if args.model is not None else None,
            "options": options or None,
            "tools": [], "cwd": working_directory(), "ephemeral": True, "piped": piped or None,
        }  # fmt: skip
        client.limit(args.timeout)
        command = _command(client, task, system, ask)
        if not asks:
            # A shell's key puts it on the user's line, who sees no more of it than here.
            if hidden := _hidden_in(command):
                raise AgentgwError(f"the proposed command {_UNSEEN} {hidden!r}", hint="say the task in other words")
            output.line(command)
            return 0
        # From here on it is the user who takes time.
        client.limit(None)
        return _offer(client, task, command, system, shell, ask)


def command_in(answer: str) -> str:
    """The command in an answer: its last code block, or all of it, without a prompt before it. Raises AgentgwError."""
    # Small models open a fence without closing one, or the other way round.
    bare = "\n".join(line for line in answer.splitlines() if not line.lstrip().startswith("```"))
    text = (last_block(answer) or bare).strip()
    if text.startswith("`") and text.endswith("`") and text.count("`") == 2:
        text = text[1:-1]
    text = f"{text} ".removeprefix("$ ").strip()
    if not text:
        raise AgentgwError("the model proposed no command", hint="say more about the task, or choose a model with -m")
    return text


def _offer(client: Client, task: str, command: str, system: str, shell: str, ask: dict[str, Any]) -> int:
    while True:
        output.text_block(command)
        hidden = _hidden_in(command)
        match _choice():
            case "e" | "c" if hidden:
                output.complaint(f"it {_UNSEEN} {hidden!r}, and is neither run nor copied")
            case "e":
                return _execute(shell, command)
            case "r":
                change = _read("what should be different? ")
                if change:
                    message = f"{task}\n\nThe command so far:\n{command}\n\nChange it: {change}"
                    command = _command(client, message, system, ask)
            case "d":
                output.prose(str(_result(client, command, _DESCRIPTION, ask).get("text", "")))
            case "c":
                # OSC 52: the terminal has the clipboard, also where this runs on another machine.
                sys.stdout.write(f"\x1b]52;c;{base64.b64encode(command.encode()).decode()}\a")
                sys.stdout.flush()
                return 0
            case _:
                return 0


def _choice() -> str:
    return _read(_MENU).lower()[:1]


def _read(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _hidden_in(command: str) -> str:
    """The first character of the command that nobody sees, or nothing."""
    return next((one for one in command if not (is_seen(one) or one in _ALLOWED)), "")


def _command(client: Client, message: str, system: str, ask: dict[str, Any]) -> str:
    """The command that the model proposes. Raises AgentgwError where it proposes none, or half of one."""
    result = _result(client, message, system, ask)
    if result.get("finish_reason") == "length":
        raise AgentgwError(
            "the answer was cut off, and half a command is none",
            hint="say the task in fewer words, or allow more with -o max_tokens=N",
        )
    return command_in(str(result.get("text", "")))


def _result(client: Client, message: str, system: str, ask: dict[str, Any]) -> dict[str, Any]:
    status = Status()
    stream = client.stream(
        "turn.start", message=message, system=system, model=ask["model"], options=ask["options"],
        tools=ask["tools"], cwd=ask["cwd"], ephemeral=ask["ephemeral"], piped=ask["piped"],
    )  # fmt: skip
    try:
        for notification in stream:
            if notification.method == "turn.progress":
                params = notification.params
                status.show(str(params.get("phase")), params.get("done", 0), params.get("total", 0), None)
    finally:
        status.erase()
    result: dict[str, Any] = stream.result
    return result


def _execute(shell: str, command: str) -> int:
    """Runs the command as if it had been typed; gives its status, for a signal 128 more, as shells do."""
    import signal
    import subprocess

    # Ctrl-C is for the command.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen([shell, "-c", command], preexec_fn=_default_interrupt)  # noqa: PLW1509  # one thread
        status = child.wait()
    except OSError as error:
        raise UsageError(f"{shell} cannot be started: {error.strerror}", hint="set SHELL to your shell") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return 128 - status if status < 0 else status


def _default_interrupt() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)

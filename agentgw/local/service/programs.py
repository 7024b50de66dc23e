"""Runs the programs of service managers: bounded, in English, nothing on the terminal."""

from __future__ import annotations

import subprocess

from agentgw.local.environment import for_service_manager
from agentgw.protocol.errors import ServiceManagerFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# A manager that has not answered by then hangs.
ANSWER_S: Final = 30.0
NO_SERVICE: Final = "the daemon also starts by itself, with the first command"


class Answer:
    """Output of a program, and its exit status."""

    __slots__ = ("said", "status")

    def __init__(self, status: int, said: str) -> None:
        self.status = status
        self.said = said

    @property
    def reason(self) -> str:
        """The first line of its output, for a message of ours."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[0].rstrip(".") if lines else f"exit status {self.status}"


def ask(*command: str, timeout_s: float = ANSWER_S) -> Answer:
    """Runs the program to its end; gives both of its outputs as one text. Raises ServiceManagerFailed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s,
            env=for_service_manager(), cwd="/", check=False, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise ServiceManagerFailed(f"{command[0]} was not found, so there are no services", hint=NO_SERVICE) from None
    except subprocess.TimeoutExpired:
        raise ServiceManagerFailed(f"{command[0]} did not answer within {timeout_s:g} seconds") from None
    except OSError as error:
        raise ServiceManagerFailed(f"{command[0]} cannot be run: {error.strerror}", hint=NO_SERVICE) from None
    return Answer(done.returncode, done.stdout)


def order(*command: str, timeout_s: float = ANSWER_S, hint: str = "") -> None:
    """Runs the program as `ask` does; one that fails raises."""
    answer = ask(*command, timeout_s=timeout_s)
    if answer.status:
        raise ServiceManagerFailed(f"{' '.join(command)} failed: {answer.reason}", hint=hint)

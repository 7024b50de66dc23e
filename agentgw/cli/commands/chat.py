"""`agentgw chat`: hands over to the shell, which is a program of its own."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import NoReturn


def configure(parser: ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("-s", "--skill", help="the skill to begin with")
    parser.add_argument("-m", "--model", help="the model to use")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "-c", "--continue", dest="continued", action="store_true", help="go on with the last session started here"
    )
    which.add_argument("--session", metavar="ID", help="go on with this session")


def run(args: Namespace) -> NoReturn:
    """Becomes the shell."""
    flags = []
    for flag, value in (("--skill", args.skill), ("--model", args.model), ("--session", args.session)):
        if value is not None:
            flags += [flag, value]
    if args.continued:
        flags.append("--continue")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "agentgw_shell", *flags])

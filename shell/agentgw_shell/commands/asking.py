"""Commands about how messages are asked: skill, model, instructions, options, files."""

from __future__ import annotations

import os
from contextlib import suppress
from difflib import get_close_matches
from math import inf
from typing import Final

from agentgw.cli import output
from agentgw.cli.commands import model_reference, working_directory
from agentgw.cli.commands.run import OPTIONS as SAMPLING
from agentgw.cli.input.intake import file_text, shown_name
from agentgw.protocol.errors import UsageError
from agentgw_shell.commands.command import ChatCommand, Chatting, words_of

OPTIONS: Final = (*SAMPLING, "max_iterations")
# As the records of the protocol have them, which this process does without.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "temperature": (0, 10), "top_k": (0, inf), "top_p": (0, 1), "min_p": (0, 1), "repeat_penalty": (0, 10),
    "seed": (0, 2**32 - 2), "max_tokens": (1, inf), "max_iterations": (1, 1000),
}  # fmt: skip


def _skill(chat: Chatting, text: str) -> None:
    if not text:
        output.notice(f"skill: {chat.conversation.skill or 'the one that fits, or the default'}")
        chat.run_verb("skills", "list")
        return
    if text in ("-", "auto"):
        chat.conversation.skill = None
        output.notice("the skill is the session's again, or the one that fits")
        return
    found = chat.client.call("skill.get", name=text, cwd=working_directory())["skill"]
    chat.conversation.skill = found["name"]
    output.notice(f"{found['name']}: {found['description']}")


def _model(chat: Chatting, text: str) -> None:
    if not text:
        output.notice(f"model: {chat.conversation.model or 'the skill’s, or the default'}")
        chat.run_verb("models", "list")
        return
    if text == "-":
        chat.conversation.model = None
        output.notice("the model is the skill's again, or the default")
        return
    reference = model_reference(chat.client, text)
    # A name that cannot answer is better told now than after a message was written.
    shown = chat.client.call("model.show", model=reference)["model"]
    chat.conversation.model = reference
    output.notice(f"model: {shown['name']} ({shown['state'].replace('_', ' ')})")


def _system(chat: Chatting, text: str) -> None:
    if not text:
        output.notice(chat.conversation.system or "the instructions are the skill's")
        return
    chat.conversation.system = None if text == "-" else text
    output.notice("the instructions are the skill's again" if text == "-" else "these are the instructions from now on")


def _set(chat: Chatting, text: str) -> None:
    name, _, value = text.partition(" ")
    options = chat.conversation.options
    if not name:
        output.pairs([(one, _setting(chat, one)) for one in OPTIONS])
        return
    if name not in OPTIONS:
        near = get_close_matches(name, OPTIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(OPTIONS)}"
        raise UsageError(f"there is no option {name[:40]}", hint=hint)
    value = value.strip()
    if not value:
        output.notice(f"{name} is {_setting(chat, name)}")
        return
    if value == "-":
        options.pop(name, None)
        if name == "max_iterations":
            chat.conversation.max_iterations = None
        output.notice(f"{name} is the skill's again")
        return
    if name == "stop":
        words = words_of(value)
        if not all(words):
            raise UsageError("a text that stops the answer cannot be empty", hint="/set stop - takes it back")
        options[name] = words
    elif name == "max_iterations":
        chat.conversation.max_iterations = int(_number(name, value))
    else:
        options[name] = _number(name, value)
    output.notice(f"{name} is set")


def _setting(chat: Chatting, name: str) -> str:
    conversation = chat.conversation
    value = conversation.max_iterations if name == "max_iterations" else conversation.options.get(name)
    return "the skill's" if value is None else str(value)


def _number(name: str, value: str) -> int | float:
    """The value as a number within the option's bounds: the daemon would refuse others, one message after the other."""
    whole = SAMPLING.get(name, int) is int
    least, most = _RANGES[name]
    found: float | None = None
    with suppress(ValueError):
        found = int(value) if whole else float(value)
    # No comparison holds for what is no number.
    if found is None or not least <= found <= most:
        kind = "a whole number" if whole else "a number"
        limits = f"from {least:g} to {most:g}" if most != inf else f"of at least {least:g}"
        raise UsageError(f"{name} wants {kind} {limits}", hint=f"/set {name} - takes it back")
    return found


def _file(chat: Chatting, text: str) -> None:
    files = chat.conversation.files
    if not text:
        output.notice(", ".join(one["name"] for one in files) or "no file goes with the next message")
        return
    if text == "-":
        files.clear()
        output.notice("no file goes with the next message")
        return
    # All or none: a name that is wrong is given again with the others.
    files += [attached(path) for path in words_of(text)]
    output.notice(f"with the next message: {', '.join(one['name'] for one in files)}")


def attached(path: str) -> dict[str, str]:
    """A file of this path, to be sent with a message. Raises UsageError."""
    place, name = os.path.expanduser(path), shown_name(path)
    with suppress(ValueError):  # a NUL in it, of which reading tells
        if os.path.exists(place) and not os.path.isfile(place) and not os.path.isdir(place):
            # A pipe nobody writes into, and a device without an end, would keep the chat waiting.
            raise UsageError(f"{name} is no file", hint="! PROGRAM shows what a program says")
    return {"name": os.path.basename(name) or name, "text": file_text(place)}


COMMANDS = (
    ChatCommand(name="skill", usage="[NAME|-]", summary="what the agent is to be", run=_skill, offer="skill"),
    ChatCommand(name="model", usage="[REF|-]", summary="what answers", run=_model, offer="model"),
    ChatCommand(name="system", usage="[TEXT|-]", summary="instructions in place of the skill's", run=_system),
    ChatCommand(
        name="set", usage="[OPTION [VALUE]]", summary="how the model chooses its words", run=_set, offer="option"
    ),
    ChatCommand(name="file", usage="[PATH…|-]", summary="files that go with the next message", run=_file, offer="file"),
)

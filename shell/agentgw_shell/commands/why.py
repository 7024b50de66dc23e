"""The command `/why`: the sources of the last answer, from the record of its turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from agentgw.cli import output
from agentgw.protocol.errors import NotFound, RpcError
from agentgw_shell.commands.command import ChatCommand, Chatting

# The start of a piece; /sources has more of it.
_CHUNK_CHARACTERS: Final = 100


def _why(chat: Chatting, text: str) -> None:
    turn = text or chat.conversation.turn or chat.conversation.session
    if not turn:
        raise NotFound("there is no answer yet", kind="turn")
    notices: list[str] = []
    stream = chat.client.stream("turn.attach", turn_id=turn)
    for notification in stream:
        if notification.method == "turn.notice":
            notices.append(str(notification.params.get("text", "")))
    detail = chat.client.call("turn.show", turn_id=stream.result["turn_id"])
    reasons = list(explained(detail, notices, _parts(chat, detail["turn"]["turn_id"])))
    width = max(len(name) for name, _ in reasons)
    for name, value in reasons:
        output.paragraph(value, indent=width + 2, lead=name)
    output.flush()


def _parts(chat: Chatting, turn_id: str) -> str:
    """Tokens by part, which the turn's model counts; or why it cannot."""
    try:
        counted = chat.client.call("turn.parts", turn_id=turn_id)
    except RpcError as error:
        return f"not counted: {error.message}"
    return parts_of(counted)


def parts_of(counted: Mapping[str, Any]) -> str:
    """The parts of a prompt on one line, tools together."""
    parts: dict[str, int] = {}
    tools = 0
    for one in counted["parts"]:
        if str(one["name"]).startswith("tool "):
            tools += 1
            parts["tools"] = parts.get("tools", 0) + one["tokens"]
        else:
            parts[one["name"]] = one["tokens"]
    told = [f"{tools} tools {tokens}" if name == "tools" else f"{name} {tokens}" for name, tokens in parts.items()]
    return f"{'about ' if counted.get('estimated') else ''}{', '.join(told)}"


def explained(detail: Mapping[str, Any], notices: Sequence[str], parts: str) -> Iterator[tuple[str, str]]:
    """Reasons for the answer, as names and values; a name that repeats is empty."""
    turn, usage, timings = detail["turn"], detail["usage"], detail["timings"]
    yield "skill", f"{turn['skill']}{', with instructions of your own' if detail.get('own_system') else ''}"
    yield "model", " ".join(filter(None, (turn["model"], detail.get("engine"))))
    yield from _numbered("told", list(notices))
    chosen = {name: value for name, value in detail.get("options", {}).items() if value is not None}
    if chosen:
        yield "options", ", ".join(f"{name} {value}" for name, value in chosen.items())
    yield from _numbered("document", [_chunk(one) for one in detail.get("sources", ())])
    yield from _trimmed(detail.get("history") or {})
    if detail.get("files"):
        yield "files", ", ".join(detail["files"])
    tools = [one["name"] for one in detail.get("tools", ())]
    yield "tools shown", ", ".join(tools) or "none"
    yield from _numbered("call", [_call(one) for one in detail.get("tool_calls", ())])
    cached = f", {usage['cached_tokens']} of them computed before" if usage.get("cached_tokens") else ""
    yield "read", f"{usage.get('prompt_tokens', 0)} tokens{cached}"
    steps = len(detail.get("steps", ()))
    yield "of which" if steps < 2 else "first step", parts
    rate = f", {timings['decode_tokens_per_s']:.0f} a second" if timings.get("decode_tokens_per_s") else ""
    first = (
        f", the first after {output.milliseconds(timings['first_token_ms'])}" if timings.get("first_token_ms") else ""
    )
    yield "wrote", f"{usage.get('completion_tokens', 0)} tokens{rate}{first}"
    if steps > 1:
        yield "steps", str(steps)


def _chunk(chunk: Mapping[str, Any]) -> str:
    likeness = f", likeness {chunk['similarity']:.2f}" if chunk.get("similarity") is not None else ""
    lines = "-".join(str(line) for line in dict.fromkeys(chunk.get("lines", ())))
    start = output.one_line(str(chunk.get("text", "")))[:_CHUNK_CHARACTERS]
    return f"{chunk.get('source')}:{lines} (score {chunk.get('score', 0):.2f}{likeness}) {start}"


def _trimmed(history: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if history.get("left_out_turns"):
        yield "trimmed", f"the oldest {history['left_out_turns']} turns were left out"
    if history.get("summarised_turns"):
        yield "summed up", f"the oldest {history['summarised_turns']} turns: {history.get('summary') or ''}"


def _call(call: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.get("arguments", {}).items())
    outcome = "cut off" if call.get("ok") is None else "done" if call["ok"] else "failed"
    return f"{call.get('tool')}({arguments}): {outcome}"[:200]


def _numbered(name: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(values):
        yield "" if index else name, value


COMMANDS = (ChatCommand(name="why", usage="[TURN]", summary="what the last answer came from", run=_why),)

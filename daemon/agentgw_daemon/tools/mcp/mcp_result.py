"""Text of an MCP tool's result for a model. Does no I/O and believes nothing about the result's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from agentgw_daemon.tools.declared import plain_text

# A model that is told nothing takes it for a result.
NOTHING: Final = "[the result holds no content]"


def result_text(result: Mapping[str, Any]) -> str:
    """The text of a result for a model: its texts, and a line for everything that is not text."""
    content = result.get("content")
    # The protocol has a list of objects; one alone, and bare texts, are understood as well.
    alone = isinstance(content, str) or (isinstance(content, dict) and "type" in content)
    blocks = content if isinstance(content, list) else [content] if alone else []
    parts = [_block_text(block) for block in blocks]
    if any(parts):
        return "\n".join(parts)
    # `toolResult` is what the first version of the protocol had.
    for key in ("structuredContent", "toolResult"):
        if result.get(key) is not None:
            return _json(result[key])
    return "" if blocks else NOTHING


def failed(result: Mapping[str, Any]) -> bool:
    """Tells whether the server says that the call failed."""
    return result.get("isError") not in (None, False, 0, "false")


def _block_text(block: object) -> str:
    if not isinstance(block, dict):
        return block if isinstance(block, str) else _json(block)
    kind, mime = plain_text(block.get("type"), 40), plain_text(block.get("mimeType"), 80)
    match kind:
        case "text":
            text = block.get("text")
            return text if isinstance(text, str) else _json(text)
        case "image" | "audio":
            size = len(str(block.get("data", ""))) * 3 // 4
            return f"[{kind}, {mime or 'of unknown type'}, {size} bytes, not shown]"
        case "resource" if isinstance(block.get("resource"), dict):
            resource = block["resource"]
            if isinstance(resource.get("text"), str):
                return str(resource["text"])
            return f"[resource {plain_text(resource.get('uri'), 500)}, not shown]"
        case "resource_link":
            return f"[link to the resource {plain_text(block.get('uri'), 500)} {plain_text(block.get('name'), 100)}]"
        case _:
            return f"[{kind or 'something'}, not shown]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

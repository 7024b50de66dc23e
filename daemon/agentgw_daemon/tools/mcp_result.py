"""What the result of an MCP tool says to a model. Does no I/O and believes nothing about the result's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgw_daemon.tools.declared import plain_text


def result_text(result: Mapping[str, Any]) -> str:
    """What a result says to a model: its texts, and a line for everything that is not text."""
    content = result.get("content")
    parts = [_block_text(block) for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    if not any(parts) and result.get("structuredContent") is not None:
        return json.dumps(result["structuredContent"], ensure_ascii=False)
    return "\n".join(parts)


def _block_text(block: dict[str, Any]) -> str:
    kind, mime = plain_text(block.get("type"), 40), plain_text(block.get("mimeType"), 80)
    match kind:
        case "text":
            return str(block.get("text", ""))
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

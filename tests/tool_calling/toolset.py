"""The built-in tools' names and arguments, as far as weak models are shown them."""

from __future__ import annotations

from typing import Any, Final

from agentgw_daemon.tool_calling.prompting.few_shot import view

STRING: Final = {"type": "string"}


def _schema(required: str, **optional: Any) -> dict[str, Any]:
    names = required.split()
    kinds = {name: {"type": "array", "items": STRING} if name == "argv" else STRING for name in names}
    return {"type": "object", "properties": {**kinds, **optional}, "required": names, "additionalProperties": False}


TOOLS: Final = (
    view("read_file", "Read a text file.", _schema("path", start_line={"type": "integer"})),
    view("list_files", "List files, by shell pattern if given.", _schema("", path=STRING, pattern=STRING)),
    view("search_text", "Find lines in files.", _schema("pattern", path=STRING)),
    view("write_file", "Create a text file, or with overwrite replace one.", _schema("path content")),
    view("edit_file", "Replace a passage that is in the file exactly once.", _schema("path old new")),
    view("run_command", "Run a program.", _schema("argv", cwd=STRING)),
    view("query_sqlite", "Run one SELECT on an SQLite file.", _schema("path sql")),
    view("fetch_url", "Get a web page.", _schema("url")),
    view("current_time", "Date and time now.", _schema("", tz=STRING)),
    view("delegate_to_agent", "Give a task to another agent.", _schema("skill task")),
)

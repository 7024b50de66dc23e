"""Error text of an endpoint that does not answer: its own words, out of whatever shape it put them in. Pure.

Nothing is kept back because its form is unknown: what has no words is told as it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentgw.protocol.errors import ContextOverflow, ModelUnavailable, RpcError
from agentgw.protocol.records.schema import record
from agentgw.protocol.visible import is_seen
from agentgw_daemon.text.page_text import page_text

MAX_MESSAGE_CHARS: Final = 300
# Fields that may hold the message, the most telling first.
_WORDS: Final = (
    "message", "error", "detail", "msg", "error_message", "error_msg", "error_description", "errors", "reason", "title",
    "description", "fault", "faultstring", "exception", "cause", "text",
)  # fmt: skip
_CODES: Final = ("code", "type", "error_code", "status")
# A chain of objects; the innermost words are found long before.
_MOST_DEPTH: Final = 8
_MOST_ITEMS: Final = 3
_OVERFLOW_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
# Asking again changes nothing: somebody has to pay, or to ask for something else.
_FINAL_CODES: Final = frozenset({
    "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "invalid_api_key", "model_not_found",
    "account_deactivated", "access_terminated",
})  # fmt: skip
# The message alone is refused: the next one may be answered.
_MESSAGE_CODES: Final = ("content_filter", "content_policy")
_PAGE: Final = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)


@record
class Complaint:
    """An endpoint's error, in its own words: one line, bounded."""

    message: str
    code: str = ""
    prompt_tokens: int | None = None
    n_ctx_tokens: int | None = None

    @property
    def final(self) -> bool:
        """Tells whether the endpoint says that another attempt would be in vain."""
        return self.code in _FINAL_CODES or self.code in _OVERFLOW_CODES


def read_complaint(body: bytes | str, *, secret: str | None) -> Complaint:
    """The complaint in an error's body. `secret` is blotted out: some endpoints quote keys."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("<"):
        return Complaint(message=told(page_words(text) or text, secret=secret))
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return Complaint(message=told(text, secret=secret))
    return complaint_of(parsed, secret=secret)


def complaint_of(parsed: Any, *, secret: str | None) -> Complaint:
    """The endpoint's message in a parsed body, or in a part of one."""
    objects = list(_objects(parsed))
    codes = [str(code) for one in objects for name in _CODES if _is_code(code := one.get(name))]
    telling = (code for code in codes if code in _OVERFLOW_CODES or code in _FINAL_CODES)
    code = next(telling, codes[0] if codes else "")
    return Complaint(
        message=told(parsed, secret=secret), code=told(code, secret=secret),
        prompt_tokens=_count(objects, "n_prompt_tokens"), n_ctx_tokens=_count(objects, "n_ctx"),
    )  # fmt: skip


def words_of(value: Any, depth: int = 0) -> str:
    """The words in an error of any shape; empty if there are none."""
    if depth > _MOST_DEPTH:
        return ""
    match value:
        case str():
            return _inner_words(value, depth)
        case list():
            found = (words_of(one, depth + 1) for one in value[:_MOST_ITEMS])
            return "; ".join(filter(None, found))
        case dict():
            return _words_of_object(value, depth)
        case _:
            return ""


def error_of(complaint: Complaint, model: str, what: str) -> RpcError:
    """Our error for an endpoint's: `what` says what happened, the endpoint's words follow."""
    message = f"{model}: {what}: {complaint.message}" if complaint.message else f"{model}: {what}"
    if complaint.code in _OVERFLOW_CODES:
        numbers = {"prompt_tokens": complaint.prompt_tokens, "n_ctx_tokens": complaint.n_ctx_tokens}
        known = {name: value for name, value in numbers.items() if value is not None}
        error = ContextOverflow(message)
        error.data.update(known, model=model)
        return error
    refused = ModelUnavailable(message, model=model, reason=complaint.message or what)
    if complaint.code.startswith(_MESSAGE_CODES):
        refused.data["no_answer"] = True
    return refused


def told(value: Any, *, secret: str | None) -> str:
    """The words of a value, or the value as it came, in one bounded, printable line without the secret."""
    text = words_of(value) or _as_it_came(value)
    # Blot before cutting: a key cut in two would no longer be found.
    blotted = text.replace(secret, "***") if secret else text
    line = " ".join("".join(c if is_seen(c) else " " for c in blotted[: 4 * MAX_MESSAGE_CHARS]).split())
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def page_words(page: str) -> str:
    """The text of a page, each line once: a title is mostly said again in its page."""
    return "\n".join(dict.fromkeys(page_text(page).splitlines()))


def _inner_words(text: str, depth: int) -> str:
    """The words inside a text: some endpoints put the error of the one behind them there, as JSON."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return words_of(json.loads(text), depth + 1) or text
        except (ValueError, RecursionError):
            return text
    return page_words(text) if _PAGE.match(text) else text


def _words_of_object(value: Mapping[str, Any], depth: int) -> str:
    named = {str(name).lower(): one for name, one in value.items()}
    words = next((found for name in _WORDS if (found := words_of(named.get(name), depth + 1))), "")
    if words and (field := _field(named.get("loc"))):
        words = f"{field}: {words}"
    # A relay says that something failed; what failed stands beside it.
    behind = named.get("metadata")
    raw = words_of(behind.get("raw"), depth + 1) if isinstance(behind, dict) else ""
    return f"{words}: {raw}" if words and raw and raw not in words else words or raw


def _field(loc: Any) -> str:
    """The place that a complaint about a field names."""
    return ".".join(str(part) for part in loc if isinstance(part, str | int)) if isinstance(loc, list) else ""


def _objects(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The object and those that its errors are in, the innermost first."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, list):
        for one in value[:_MOST_ITEMS]:
            yield from _objects(one, depth + 1)
    elif isinstance(value, dict):
        for name in ("error", "errors", "detail"):
            yield from _objects(value.get(name), depth + 1)
        yield value


def _is_code(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _count(objects: list[Mapping[str, Any]], name: str) -> int | None:
    return next((count for one in objects if (count := count_of(one.get(name))) is not None), None)


def count_of(value: Any) -> int | None:
    """A number of tokens, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _as_it_came(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "something that nests too deeply"

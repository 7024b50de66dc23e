"""docs/http.md, written from the table of routes: `python -m tests.scripts.http_page` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, Final, get_args, get_origin, get_type_hints

from agentgw.protocol.methods import METHODS
from agentgw_daemon.config.settings import HttpSection
from agentgw_daemon.gateway.access.sign_ins import CODE_VALID_S
from agentgw_daemon.gateway.api.description import fields_shown
from agentgw_daemon.gateway.http.connection import BODY_TIMEOUT_S, HEAD_TIMEOUT_S, IDLE_TIMEOUT_S
from agentgw_daemon.gateway.http.head import MAX_HEAD_BYTES
from agentgw_daemon.gateway.http.refusal import STATUS_OF
from agentgw_daemon.gateway.routing.exchange import HEARTBEAT_S
from agentgw_daemon.gateway.serving import ROUTES

_INTRODUCTION: Final = """\
# HTTP

<!-- Made by `make docs` from the tables in daemon/agentgw_daemon/gateway/; change those, not this page. -->

Off unless asked for. `agentgw serve --port 8080`, or in `config.toml`:

```toml
[http]
enabled = true
port = 8080
```

Then the daemon answers on two doors, with the sessions, skills, documents and approvals of the command line:

- `http.sock` beside its own socket, for the same user alone. It asks for no key:
  `curl --unix-socket "$XDG_RUNTIME_DIR/agentgw/http.sock" http://localhost/api/skills`
- the port, if there is one, on 127.0.0.1. It asks for a key, that of `AGENTGW_API_KEY` or one that is made once and
  kept in `http.key` beside the log, as `Authorization: Bearer KEY` or `x-api-key: KEY`.

Example, of a daemon whose default model is the built-in `echo`; `…` stands for what differs from time to time:

```console
$ curl -s http://127.0.0.1:8080/health
{"status":"ok"}
$ KEY=$(cat ~/.local/state/agentgw/http.key)
$ curl -s -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
    -d '{"skill_name": "general_assistant", "message": "hello"}' http://127.0.0.1:8080/api/run
{"turn_id":"t-…","session_id":"s-…","text":"hello","finish_reason":"stop",…}
$ curl -sN -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
    -d '{"message": "hello you"}' http://127.0.0.1:8080/api/chat
id: 1
event: turn.started
data: {"turn_id":"t-…","session_id":"s-…","seq":1,"skill":"general-assistant","model":"echo"}

id: 2
event: turn.delta
data: {"turn_id":"t-…","session_id":"s-…","seq":2,"text":"hello ","channel":"answer"}

id: 3
event: turn.delta
data: {"turn_id":"t-…","session_id":"s-…","seq":3,"text":"you","channel":"answer"}

id: 4
event: turn.completed
data: {…}

event: result
data: {"turn_id":"t-…","session_id":"s-…","text":"hello you","finish_reason":"stop",…}

$ curl -s -H "Authorization: Bearer $KEY" -H "Origin: https://elsewhere.example" http://127.0.0.1:8080/api/skills
{"error":{"code":403,"name":"OriginRefused","message":"a page of https://elsewhere.example may not…",…}}
$ curl -s http://127.0.0.1:8080/api/skills
{"error":{"code":401,"name":"KeyRefused","message":"the key is missing or wrong",…}}
```

`agentgw status` shows both doors. A port that is taken ends `agentgw serve --port`; one of the configuration is told in
the log and in `agentgw status`, and the rest serves without it."""

_STREAMS: Final = f"""\
## Event streams

The events are the notifications of [the protocol](protocol.md) under their own names; `data` is the notification's
`params`, `id` is its `seq`. The last event is `result`, with what `POST /api/run` would have given, or `error`. A
stream that is silent for {HEARTBEAT_S:g} s gets a comment.

A client that leaves `POST /api/chat` cancels its turn, as one that leaves the socket does. With `"detach": true` the
turn goes on, and `GET /api/turns/{{turn_id}}/events` with `Last-Event-ID: N` (browsers send it by themselves) goes on
after event N, during the turn, after it and after a restart of the daemon. So does the same `POST /api/chat` once more,
with its `idempotency_key` and `Last-Event-ID`. What waits for a yes is an event `turn.approval`, answered by
`POST /api/approvals/{{approval_id}}` with `{{"decision": "allow_once"}}`, or from any terminal."""

_REFUSED: Final = """\
## What is refused

Errors are `{"error": {"code", "name", "message", "hint", "data"}}`. An error of a call keeps its code of the socket:
"""

_REFUSALS: Final = f"""\
A request that is never carried out has its status as its code:

| status | when |
|---|---|
| 400 | it is no request, not one that everybody reads alike, or has no single Host |
| 401 | the key is missing or wrong, or a page's cookie; all such answers are the same. `GET /health` asks for none |
| 403 | its Host is none of the daemon's names: `http.allow_hosts` adds some |
| 403 | it comes from the page of another site: `http.allow_origins` adds some |
| 403 | it is a form without the token of a page of this daemon |
| 404, 405 | nothing is there, or not with this method; nothing is changed by GET |
| 408 | its head took longer than {HEAD_TIMEOUT_S:g} s, or its body drips |
| 413 | its body is longer than `limits.max_message_bytes`, a document's than `http.max_upload_bytes` |
| 415 | its body is not `application/json`: what a form of another site can send is not read |
| 426 | it is for `/rpc` and asks for no upgrade |
| 429 | `http.requests` are being answered, or `http.watchers` streams are open |
| 431 | its head is longer than {MAX_HEAD_BYTES >> 10} KiB |
| 503 | so many connections are open as `http.requests` and `http.watchers` allow together |

A body gets {BODY_TIMEOUT_S:g} s and a second for each 16 KiB of it; a connection without a request is closed after
{IDLE_TIMEOUT_S:g} s; a client that takes nothing of its answer for `limits.write_stall_s` is dropped.

The log has a line for each request, `door= method= route= status= bytes= ms=`, with the route as the tables above have
it and no word of path, query or body. What is asked for every few seconds is a line at level `debug` as long as it goes
well: `/health`, `/metrics`, and the pieces that an open page asks for. `GET /metrics` gives Prometheus figures of
turns, queue, workers, memory and requests."""


def page() -> str:
    """The whole page, ended by one newline."""
    parts = (
        [_INTRODUCTION], _routes(), _pages(), [_STREAMS], [_REFUSED, *_errors()], [_REFUSALS], _settings()
    )  # fmt: skip
    return "\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n"


def _routes() -> Iterator[str]:
    yield "## Routes"
    yield ""
    yield (
        "Fields are those of the method, described in [the protocol](protocol.md); other names of them are in "
        "brackets. POST takes them as a JSON object, the others in the query: a list by several fields or with commas. "
        "`/openapi.json` has all of it with schemas, `/docs` shows it."
    )
    yield ""
    yield "| route | method | fields | |"
    yield "|---|---|---|---|"
    for route in ROUTES.api:
        anchor = route.calls.replace(".", "")
        method = f"[`{route.calls}`](protocol.md#{anchor})" if route.calls else ""
        doc = route.doc.replace("|", "\\|")
        yield f"| `{route.method} {route.path}` | {method} | {', '.join(fields_shown(route))} | {doc} |"


def _pages() -> Iterator[str]:
    yield "## Pages"
    yield ""
    yield (
        "For browsers, over the port. `agentgw web --open` makes a link with a code that works once within "
        f"{CODE_VALID_S:g} s and is exchanged for a cookie; the cookie opens these pages and nothing of the table "
        "above. On Linux code and cookie are of use to the daemon's own user alone. The daemon that ends forgets both. "
        "Forms bring the token of their page; what other sites send is refused. See [the pages](web.md)."
    )
    yield ""
    yield "| page | |"
    yield "|---|---|"
    for route in ROUTES.routes:
        if route.page:
            yield f"| `{route.method} {route.path}` | {route.doc} |"


def _errors() -> Iterator[str]:
    yield "| status | errors |"
    yield "|---|---|"
    for status in sorted(set(STATUS_OF.values())):
        names = ", ".join(kind.__name__ for kind, known in STATUS_OF.items() if known == status)
        yield f"| {status} | {names} |"


def _settings() -> Iterator[str]:
    yield "## Settings"
    yield ""
    yield "Of `[http]`; a change holds from the next start. `agentgw serve --http --host H --port P` goes before them."
    yield ""
    yield "| key | default | |"
    yield "|---|---|---|"
    defaults = HttpSection()
    for name, hint in get_type_hints(HttpSection, include_extras=True).items():
        doc = next(one for one in get_args(hint) if isinstance(one, str)) if get_origin(hint) is Annotated else ""
        default = getattr(defaults, name)
        shown = "" if default in (None, ()) else f"`{str(default).lower()}`"
        yield f"| `{name}` | {shown} | {doc} |"


if __name__ == "__main__":
    assert all(route.calls in METHODS for route in ROUTES.routes if route.calls)
    sys.stdout.write(page())

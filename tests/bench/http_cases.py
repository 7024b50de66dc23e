"""HTTP beside the socket: its streams, many watchers of one turn, and the pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agentgw.transport.framing import encode
from tests.bench.figure import Figure
from tests.bench.measure import interleave
from tests.bench.setting import MODEL, WORDS, Setting
from tests.bench.texts import prose
from tests.patience import PATIENCE_S

WATCHERS: Final = 200
# Long enough for all to come, short enough for a machine that decodes a few tokens a second.
TOKENS: Final = 240
# A story may end by itself before all of them watch it; this goes on.
ENDLESS: Final = "Count from 1 to 500: 1, 2, 3, 4,"
# A session that is worth a look: so many turns are on one page.
TURNS: Final = 10
TURN_WORDS: Final = 300
PAGE_ROUNDS: Final = 15
PAGES: Final = ("/", "/chat/general-assistant", "/documents", "/jobs", "/approvals", "/models", "/status", "/docs")
_READ_BYTES: Final = 1 << 18
_DELTA: Final = b"event: turn.delta\n"
_ASSET: Final = re.compile(rb'(?:src|href)="(/assets/[^"]+)"')


def http(setting: Setting) -> Iterator[Figure]:
    """The same long echo through http.sock and through the daemon's own socket, both read and not looked at."""
    turn = {"message": " ".join(f"w{number}" for number in range(WORDS)), "model": "echo", "ephemeral": True}
    with _serving(setting) as home:
        call = encode({"jsonrpc": "2.0", "id": 1, "method": "turn.start", "params": turn})

        def by_http() -> float:
            return _until(_http_socket(home), _post("/api/chat", turn), b"\nevent: result\n")

        def by_socket() -> float:
            return _until(home.socket, call, b'"id":1}\n')

        interleave((by_http, by_socket), 1)
        samples = interleave((by_http, by_socket), setting.rounds)
    yield Figure.compared(
        "http", f"an echo of {WORDS} words as events, whole", ("POST /api/chat through http.sock", "turn.start"),
        samples, unit="s", at="most", target=1.2,
    )  # fmt: skip


def watchers(setting: Setting) -> Iterator[Figure]:
    """Tokens a second that a turn's owner gets while many others watch the turn, against nobody."""
    turn = {
        "message": ENDLESS, "system": "", "model": os.fspath(MODEL), "ephemeral": False,
        "options": {"temperature": 0, "repeat_penalty": 1, "max_tokens": TOKENS},
    }  # fmt: skip
    with _serving(setting) as home:
        home.run("models", "load", os.fspath(MODEL))
        _watched(home, turn, 0)
        watched, alone = interleave(
            (lambda: _watched(home, turn, WATCHERS), lambda: _watched(home, turn, 0)), setting.few(3)
        )
    yield Figure.compared(
        "watchers", f"one turn with {WATCHERS} event streams that watch it, against none",
        (f"GET /api/turns/ID/events × {WATCHERS}", "POST /api/chat"), (watched, alone), unit="tok/s", target=0.95,
    )  # fmt: skip


def pages(setting: Setting) -> Iterator[Figure]:
    """First byte and weight of each page with its styles and scripts, of a daemon that has shown them once."""
    with _serving(setting) as home:
        answer = f"# A title\n\n{prose(TURN_WORDS, seed=1)}\n\n- one\n- two\n\n```python\nreturn 1\n```\n"
        session = home.result("run", "-m", "echo", answer)["session_id"]
        for _ in range(TURNS - 1):
            home.run("run", "-m", "echo", "--session", session, answer)
        slowest, heaviest = ("", 0.0, [0.0]), ("", 0)
        for path in (*PAGES, f"/session/{session}"):
            shown = "/session/ID" if session in path else path
            _page(home, path)
            took = [_page(home, path)[0] * 1e3 for _ in range(PAGE_ROUNDS)]
            slowest = max(slowest, (shown, statistics.median(took), took), key=lambda one: one[1])
            body = _page(home, path)[1]
            weight = len(body) + sum(len(_page(home, name.decode())[1]) for name in set(_ASSET.findall(body)))
            heaviest = max(heaviest, (shown, weight), key=lambda one: one[1])
    yield Figure(
        case="pages", what=f"first byte of the slowest of {len(PAGES) + 1} pages",
        command=f"GET {slowest[0]}", unit="ms", measured=slowest[1], at="most", target=50, samples=slowest[2],
    )  # fmt: skip
    yield Figure(
        case="pages", what="the heaviest of them with all that it loads", command=f"GET {heaviest[0]}", unit="kB",
        measured=heaviest[1] / 1e3, at="most", target=100,
    )  # fmt: skip


HTTP: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"http": http, "watchers": watchers, "pages": pages}


@contextlib.contextmanager
def _serving(setting: Setting) -> Iterator[Setting]:
    """Another setting whose daemon speaks HTTP, and has loaded its pages."""
    setting.stop()
    with setting.variant() as home:
        home.environment["AGENTGW_HTTP__ENABLED"] = "true"
        home.run("start")
        _page(home, "/")
        yield home


def _http_socket(home: Setting) -> Path:
    return home.socket.with_name("http.sock")


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: bench", *headers, "", "")).encode()


def _post(path: str, value: Mapping[str, Any]) -> bytes:
    body = json.dumps(value).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _dialled(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(PATIENCE_S)
    made.connect(os.fspath(path))
    return made


def _until(path: Path, request: bytes, last: bytes) -> float:
    """Seconds from a request to the piece that has `last`."""
    with _dialled(path) as dialled:
        began = time.perf_counter()
        dialled.sendall(request)
        tail = b""
        while last not in tail:
            piece = dialled.recv(_READ_BYTES)
            if not piece:
                raise SystemExit("bench: the stream ended before its result")
            # What is looked for may be cut, or stand at the beginning of what is long.
            tail = tail[-len(last) :] + piece
        return time.perf_counter() - began


def _page(home: Setting, path: str) -> tuple[float, bytes]:
    """Seconds to the first byte of a page, and its body."""
    wanted = ("Accept: text/html", "Accept-Encoding: gzip", "Connection: close")
    with _dialled(_http_socket(home)) as dialled:
        began = time.perf_counter()
        dialled.sendall(_get(path, *wanted))
        said = dialled.recv(_READ_BYTES)
        first = time.perf_counter() - began
        while piece := dialled.recv(_READ_BYTES):
            said += piece
    if not said.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"bench: {path}: {said[:200]!r}")
    return first, said.partition(b"\r\n\r\n")[2]


def _watched(home: Setting, turn: Mapping[str, Any], count: int) -> float:
    """Tokens a second at the owner from the moment when all watch to the end; each watcher has to get all of them."""
    path = _http_socket(home)
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as ready:
        owner = stack.enter_context(_dialled(path))
        owner.sendall(_post("/api/chat", turn))
        said = b""
        while not (found := re.search(rb'"turn_id":"([^"]+)"', said)) or _DELTA not in said:
            piece = owner.recv(_READ_BYTES)
            if not piece:
                raise SystemExit(f"bench: the turn ended before its first word: {said[-300:]!r}")
            said += piece
        counts, times = {owner: said.count(_DELTA)}, []
        # A name may be cut between two pieces.
        tails = {owner: said[1 - len(_DELTA) :]}
        request = _get(f"/api/turns/{found[1].decode()}/events", "Connection: close")
        for _ in range(count):
            watcher = stack.enter_context(_dialled(path))
            watcher.sendall(request)
            counts[watcher], tails[watcher] = 0, b""
        for each in counts:
            ready.register(each, selectors.EVENT_READ, each)
        began = time.perf_counter()
        while ready.get_map():
            for key, _ in ready.select(PATIENCE_S):
                one: socket.socket = key.data
                more = one.recv(_READ_BYTES)
                if not more:
                    ready.unregister(one)
                    continue
                fresh = (tails[one] + more).count(_DELTA)
                tails[one] = (tails[one] + more)[1 - len(_DELTA) :]
                counts[one] += fresh
                if one is owner and all(counts.values()):
                    times += [time.perf_counter() - began] * fresh
    if len(set(counts.values())) != 1:
        raise SystemExit("bench: not every watcher got every token")
    if len(set(times)) < 2:
        raise SystemExit("bench: the turn ended before all of them watched it")
    return (len(times) - 1) / (times[-1] - times[0])

"""A session's page in a browser: when the first token is painted, and how long answers scroll by."""

from __future__ import annotations

import itertools
import json
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.figure import Figure, Skipped
from tests.bench.setting import Setting
from tests.bench.texts import prose
from tests.browser.webdriver import Browser, missing, open_browser
from tests.e2e.endpoint import Conversation, Endpoint

TOKENS: Final = 10_000
LOOKED_AT: Final = 1_000
TOKENS_PER_S: Final = 300
FIRST_TOKENS: Final = 9
# A frame of a screen with 60 of them a second.
FRAME_MS: Final = 1000 / 60
_PARAGRAPH_WORDS: Final = 60
_WORD: Final = re.compile(r"\s*\S+")
_FAST_PIECES: Final = 50
_LIST: Final = "\n".join(f"- {prose(8, seed=900 + number)}" for number in range(5))
_CODE: Final = "```python\n" + "\n".join(f"value_{n} = compute({n}, 'word {n}')" for n in range(12)) + "\n```"
# The time, in milliseconds since 1970, when the frame with the first words of an answer has been painted: a message
# that is posted in a frame's callback comes behind the frame.
_NOTE_FIRST: Final = """
window.painted = 0;
const arrived = () => { window.arrived ??= performance.timeOrigin + performance.now(); };
window.arrived = undefined;
document.addEventListener("htmx:sse:before:message", arrived, { once: true });
const behind = new MessageChannel();
behind.port1.onmessage = () => { window.painted = performance.timeOrigin + performance.now(); };
const seen = new MutationObserver(() => {
  if (!document.querySelector(".live .open")?.textContent.trim()) return;
  seen.disconnect();
  requestAnimationFrame(() => behind.port2.postMessage(0));
});
seen.observe(document.getElementById("turns"), { subtree: true, childList: true, characterData: true });
return performance.timeOrigin + performance.now();
"""
_NOTE_FRAMES: Final = """
window.frames_at = [];
window.noting = true;
const note = (at) => { window.frames_at.push(at); if (window.noting) requestAnimationFrame(note); };
requestAnimationFrame(note);
"""


def chat(setting: Setting) -> Iterator[Figure]:
    """The first token from its sending to its frame; frames while the first and the last words of an answer come."""
    if reason := missing():
        raise Skipped(reason)
    with _site(setting) as site:
        _first_token(site)
        first, frames = zip(*(_first_token(site) for _ in range(FIRST_TOKENS)), strict=True)
        early, late = zip(*(_frames(site) for _ in range(setting.few(3))), strict=True)
    yield Figure(
        case="chat", what="a first token from the endpoint's sending to its frame on the page",
        command="GET /session/ID", unit="ms", measured=statistics.median(first), samples=first,
    )  # fmt: skip
    yield Figure(
        case="chat", what="the same from its arrival in the page", command="GET /session/ID", unit="ms",
        measured=statistics.median(frames), at="most", target=FRAME_MS, samples=frames,
    )  # fmt: skip
    yield Figure.compared(
        "chat", f"median frame while the last {LOOKED_AT:,} of {TOKENS:,} tokens come, against the first",
        (f"{TOKENS_PER_S} tokens a second", "the first of them"), (late, early), unit="ms", at="most", target=1.1,
    )  # fmt: skip


class _Site:
    """A daemon whose model is the bench, and a browser that is signed in."""

    def __init__(self, address: str, endpoint: Endpoint, browser: Browser) -> None:
        self._address = address
        self._endpoint = endpoint
        self.browser = browser

    def ask(self) -> Conversation:
        """A new session, whose page is open."""
        page = self.browser
        page.size(1200, 800)
        page.open(f"{self._address}/chat/general-assistant")
        page.find("#message").type("Tell me a story")
        page.press("enter")
        conversation = self._endpoint.next()
        page.until(lambda: "/session/" in page.address, "the session is opened")
        page.find(".live[data-begun]")
        return conversation


@contextmanager
def _site(setting: Setting) -> Iterator[_Site]:
    setting.stop()
    scratch = tempfile.TemporaryDirectory(prefix="agentgw-bench-")
    with scratch, setting.variant() as home, Endpoint() as endpoint, open_browser(Path(scratch.name)) as browser:
        config = home.directory / "home" / "config" / "config.toml"
        config.write_text(f'[model]\ndefault = "scripted/m"\n[http]\nenabled = true\nport = 0\n{endpoint.config}')
        home.run("start")
        browser.open(json.loads(home.run("call", "web.sign_in"))["url"])
        yield _Site(str(home.status()["http"]["address"]), endpoint, browser)


def _first_token(site: _Site) -> tuple[float, float]:
    """Milliseconds from the sending of a first token, and from its arrival, to the end of the frame that shows it."""
    conversation, page = site.ask(), site.browser
    # By the clock of this machine, which the browser has as well.
    page.run(_NOTE_FIRST)
    time.sleep(0.3)
    sent = time.time() * 1e3
    conversation.say("Once")
    page.until(lambda: page.run("return window.painted"), "the first token is painted")
    conversation.end(" upon a time.")
    page.find(".foot")
    arrived, painted = page.run("return [window.arrived, window.painted]")
    return painted - sent, painted - arrived


def _frames(site: _Site) -> tuple[float, float]:
    """Median frame, in milliseconds, while the first and while the last tokens of a long answer come."""
    conversation, page = site.ask(), site.browser
    words = _words()
    early = _paced(conversation, page, words[:LOOKED_AT])
    middle = words[LOOKED_AT : TOKENS - LOOKED_AT]
    for at in range(0, len(middle), _FAST_PIECES):
        conversation.say("".join(middle[at : at + _FAST_PIECES]))
    shown = "return document.querySelector('.live').textContent.length"
    wanted = sum(len(word) for word in words[: TOKENS - LOOKED_AT]) // 2
    page.until(lambda: page.run(shown) > wanted, "most of it is there")
    time.sleep(1)
    late = _paced(conversation, page, words[TOKENS - LOOKED_AT :])
    conversation.end("")
    page.find(".foot")
    return early, late


def _paced(conversation: Conversation, page: Browser, words: Sequence[str]) -> float:
    page.run(_NOTE_FRAMES)
    began = time.perf_counter()
    for number, word in enumerate(words):
        time.sleep(max(0.0, began + number / TOKENS_PER_S - time.perf_counter()))
        conversation.say(word)
    page.run("window.noting = false")
    at: list[float] = page.run("return window.frames_at")
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(at))


def _words() -> list[str]:
    """An answer in Markdown, cut into tokens."""
    parts, seed = [], 0
    words: list[str] = []
    while len(words) < TOKENS:
        seed += 1
        parts += [f"## {prose(4, seed=seed)}", prose(_PARAGRAPH_WORDS, seed=1000 + seed), _LIST]
        parts += [prose(_PARAGRAPH_WORDS, seed=2000 + seed), _CODE]
        words = _WORD.findall("\n\n".join(parts))
    return words[:TOKENS]

"""Pages in a real browser: a headless Chromium, the real binary, and a model that says what the test says.

One browser and one daemon for all of it. Pictures are kept in the folder that AGENTGW_SHOTS names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.webdriver import Browser, missing, open_browser
from tests.e2e.endpoint import Conversation, Endpoint
from tests.e2e.home import Home, until
from tests.patience import PATIENCE_S
from tests.root import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(missing()), reason=missing())]

PATHS = (
    "/", "/chat/general-assistant", "/?q=hello", "/documents?q=hello", "/jobs", "/approvals", "/models", "/status",
)  # fmt: skip
AXE = ROOT / ".cache" / "axe" / "axe.min.js"
HOSTILE = '<img src="http://evil.example/a.png" onerror="window.caught=1"><script>window.caught=2</script>'
BEACONS = (
    f"{HOSTILE}\n\n![b](http://evil.example/b.png) [go](javascript:window.caught=3) <svg onload=window.caught=4>\n\n"
    '<form action="http://evil.example/"><input autofocus onfocus=window.caught=5></form>'
    '<div hx-get="/" hx-trigger="load"></div><hx-partial hx-target="#main">gone</hx-partial>\n\n[r]\n\n'
    "[r]: data:text/html,<script>window.caught=6</script>\n\n"
    "| a | <b onclick=window.caught=7>b</b> |\n|---|:--:|\n| 1 | 2 |"
)


PARTS = """\
## Parts

- a list

| a | b |
|---|---|
| 1 | 2 |

```sql
select 1 -- one
```

> so
"""


class Site:
    """A daemon with pages, a browser that is signed in, and what its model is asked."""

    def __init__(self, home: Home, endpoint: Endpoint, browser: Browser, shots: Path) -> None:
        self.home = home
        self.endpoint = endpoint
        self.browser = browser
        self.address = str(home.call("daemon.status")["http"]["address"])
        self._shots = shots

    def link(self) -> str:
        """A link that signs in."""
        return str(self.home.call("web.sign_in")["url"])

    def open(self, path: str) -> Browser:
        """A page of it, in a window as on a desk, in light."""
        self.browser.size(1200, 800)
        self.browser.scheme("light")
        self.browser.open(self.address + path)
        return self.browser

    def ask(self, message: str) -> Conversation:
        """A new session with this message, which the model is asked."""
        page = self.open("/chat/general-assistant")
        page.find("#message").type(message)
        page.press("enter")
        conversation = self.endpoint.next()
        page.until(lambda: "/session/" in page.address, "the session is opened")
        return conversation

    def answered(self, message: str, answer: str) -> None:
        """The same with its whole answer."""
        self.ask(message).end(answer)
        self.browser.find(".foot")

    def session_id(self) -> str:
        """Of the page that is open."""
        return self.browser.address.rpartition("/")[2]

    def shot(self, name: str) -> None:
        """Keep a picture."""
        self.browser.shot(self._shots / f"{name}.png")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scratch = tmp_path_factory.mktemp("browser")
    shots = Path(os.environ.get("AGENTGW_SHOTS", scratch / "shots"))
    shots.mkdir(parents=True, exist_ok=True)
    with Home() as home, Endpoint() as endpoint, open_browser(scratch) as browser:
        home.configure(f'[model]\ndefault = "scripted/m"\n[tools]\nroots = ["{home.work}"]\n{endpoint.config}')
        home.add_embedder()
        home.serve("--port", "0")
        made = Site(home, endpoint, browser, shots)
        browser.open(made.link())
        browser.until(lambda: browser.address == f"{made.address}/", "the first page is open")
        yield made
        home.stop()
        assert "Traceback" not in home.log


def test_a_link_signs_in_once_and_its_code_stays_nowhere(site: Site) -> None:
    page = site.browser
    link = site.link()
    page.open(link)
    page.until(lambda: page.address == f"{site.address}/", "the first page is open")
    code = link.rpartition("=")[2]
    assert code not in page.run("return document.documentElement.outerHTML")
    assert code not in site.home.log
    assert page.run("return document.cookie") == ""
    page.open(link)
    assert "agentgw web --open" in page.text
    site.shot("sign-in")


def test_an_answer_is_shown_as_it_comes_and_stays_where_it_is(site: Site) -> None:
    conversation = site.ask("Tell me a story")
    page = site.browser
    conversation.say("# A story\n\nIt was **da")
    page.wait_text("It was **da")
    conversation.say("rk** and stormy.\n\n```python\nprint('rain')\n```\n\nThe")
    page.wait_text("print('rain')")
    page.run("window.kept = [...document.querySelectorAll('.md')].slice(0, 3)")
    conversation.end(" end of it.")
    page.find(".foot")
    assert page.run("return window.kept.every((block) => block.isConnected)")
    assert page.find(".md strong").text == "dark"
    assert page.find(".md pre .t-s1").text == "'rain'"
    assert "The answer is there. # A story" in page.run("return document.getElementById('announce').textContent")
    assert page.find("#turns").attribute("aria-live") == "off"
    site.shot("chat-light")
    page.scheme("dark")
    site.shot("chat-dark")
    page.size(400, 800)
    site.shot("chat-phone")


def test_a_reload_in_mid_answer_loses_nothing_and_goes_on(site: Site) -> None:
    conversation = site.ask("Count")
    page = site.browser
    conversation.say("One.\n\nTwo.\n\nThr")
    page.wait_text("Thr")
    page.reload()
    page.wait_text("Thr")
    conversation.say("ee.\n\n")
    page.wait_text("Three.")
    conversation.end("Four.")
    page.find(".foot")
    shown = page.run("return [...document.querySelectorAll('.md p')].map((p) => p.textContent)")
    assert shown == ["One.", "Two.", "Three.", "Four."]
    page.reload()
    page.find(".foot")
    assert page.run("return [...document.querySelectorAll('.md p')].map((p) => p.textContent)") == shown


def test_escape_stops_the_answer_and_keeps_what_there_is(site: Site) -> None:
    conversation = site.ask("Go on for ever")
    page = site.browser
    conversation.say("And so on")
    page.wait_text("And so on")
    page.press("escape")
    page.wait_text("It was stopped.")
    assert conversation.left.wait(PATIENCE_S)
    assert "And so on" in page.text


def test_whoever_scrolls_up_is_left_alone_and_whoever_stays_follows(site: Site) -> None:
    conversation = site.ask("Write a lot")
    page = site.browser
    line = "Line after line after line.\n\n"
    conversation.say(line * 60)
    page.until(lambda: page.run("return document.querySelectorAll('.md p').length") > 30, "much is there")
    at_end = "const p = document.scrollingElement; return p.scrollHeight - p.scrollTop - innerHeight < 4"
    page.until(lambda: page.run(at_end), "the page follows")
    page.run("document.scrollingElement.scrollTo({top: 0, behavior: 'instant'})")
    page.until(lambda: page.run("return document.scrollingElement.scrollTop") == 0, "the reader is at the top")
    conversation.end(f"{line * 60}The very end.")
    page.until(lambda: "The very end." in page.run("return document.body.textContent"), "it is all there")
    assert page.run("return document.scrollingElement.scrollTop") == 0


def test_two_tabs_have_two_sessions_and_no_words_of_each_other(site: Site) -> None:
    page = site.browser
    first = page.windows()[0]
    one = site.ask("The first question")
    one.say("Apples")
    page.wait_text("Apples")
    second = page.new_window()
    two = site.ask("The second question")
    two.end("Oranges")
    page.wait_text("Oranges")
    page.find(".foot")
    assert "Apples" not in page.text
    page.close_window()
    page.switch(first)
    one.end(" and pears")
    page.wait_text("Apples and pears")
    page.find(".foot")
    assert "Oranges" not in page.text
    assert second not in page.windows()


def test_a_turn_that_a_terminal_begins_is_seen_while_it_runs(site: Site) -> None:
    site.answered("Hello", "Hello to you.")
    page = site.browser
    child = site.home.start("run", "--session", site.session_id(), "From a terminal")
    conversation = site.endpoint.next()
    conversation.say("Seen by ")
    page.wait_text("Seen by")
    assert "From a terminal" in page.text
    conversation.end("both.")
    page.wait_text("Seen by both.")
    assert b"Seen by both." in (child.communicate(timeout=PATIENCE_S)[0] or b"")


def test_a_call_is_asked_about_with_its_diff_and_is_made_after_a_yes(site: Site) -> None:
    target = site.home.work / "notes.txt"
    target.write_text("old line\n")
    conversation = site.ask("Change my notes")
    conversation.call("write_file", path=str(target), content="new line\n", overwrite=True)
    page = site.browser
    page.find(".question")
    assert "write_file" in page.find(".question h3").text
    assert "-old line" in [line.text for line in page.all(".diff del")]
    assert "+new line" in [line.text for line in page.all(".diff ins")]
    assert target.read_text() == "old line\n"
    site.shot("approval")
    axe(site)
    page.find(".question button.primary").click()
    site.endpoint.next().end("It is changed.")
    page.wait_text("It is changed.")
    assert target.read_text() == "new line\n"
    assert page.all(".question") == []
    assert "done" in page.find(".fold summary").text


def test_an_edited_message_goes_into_a_session_of_its_own(site: Site) -> None:
    site.answered("What is 1 + 1?", "Two.")
    page, before = site.browser, site.session_id()
    page.find(".edit summary").click()
    box = page.find(".edit textarea")
    page.run("arguments[0].value = ''", {"element-6066-11e4-a52e-4f735466cecf": box.id})
    box.type("What is 1 + 2?")
    page.find(".edit button").click()
    conversation = site.endpoint.next()
    assert conversation.messages[-1]["content"] == "What is 1 + 2?"
    conversation.end("Three.")
    page.wait_text("Three.")
    assert site.session_id() != before
    assert "Two." not in page.text


def test_earlier_turns_are_summed_up_by_one_button_and_shown_whole_by_another(site: Site) -> None:
    site.answered("Tell me of boats", "The Ida lies at the pier, and the Emma behind her. " * 40)
    page = site.browser
    page.find("#message").type("And briefly?")
    page.press("enter")
    site.endpoint.next().end("Two boats.")
    page.until(lambda: len(page.all(".foot")) == 2, "both answers are there")
    page.find("#sum-up > summary").click()
    page.find("#sum-up form:first-child button").click()
    summary = site.endpoint.next()
    assert "The Ida lies at the pier" in str(summary.messages)
    summary.end("Two boats lie at the pier.")
    page.wait_text("The model is shown the oldest turn like this:")
    assert "Two boats lie at the pier." in page.find("#summary .md").text
    site.shot("summary")
    axe(site)
    page.find("#sum-up form:last-child button").click()
    page.wait_text("The model is shown all turns whole again.")


def test_a_rating_is_kept(site: Site) -> None:
    site.answered("Rate this", "Gladly.")
    page = site.browser
    page.find("[data-rating='1']").click()
    page.find("[data-rating='1'][aria-pressed='true']")
    page.reload()
    assert page.find("[data-rating='1']").attribute("aria-pressed") == "true"
    assert site.home.call("feedback.list")["ratings"][0]["rating"] == 1


def test_the_way_back_to_a_page_does_not_go_past_the_end_of_a_session(site: Site) -> None:
    site.answered("A secret", "It is safe.")
    page = site.browser
    site.open("/")
    page.run("document.querySelector('form[action=\"/sign-out\"] button').click()")
    page.wait_text("You are not signed in")
    page.run("history.go(-2)")
    page.until(lambda: "/session/" in page.address, "it is the session's page")
    page.wait_text("You are not signed in")
    assert "It is safe." not in page.text
    page.open(site.link())
    page.until(lambda: page.address == f"{site.address}/", "the first page is open")


def test_words_that_are_meant_to_do_something_do_nothing(site: Site) -> None:
    site.answered(HOSTILE, BEACONS)
    page, session = site.browser, site.session_id()
    assert HOSTILE in page.find(".said").text
    page.reload()
    page.find(".foot")
    strangers = "#turns :is(img, script, svg, iframe, object, form input:not([type=hidden]))"
    assert page.all(strangers) == []
    site.open("/")
    assert HOSTILE[:20] in page.text
    for path in ("/", f"/session/{session}", "/?q=evil"):
        site.open(path)
        assert page.run("return window.caught") is None
        assert page.find("#main")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_keeps_nobody_out_and_fits_a_phone(site: Site, path: str, scheme: str) -> None:
    page = site.open(path)
    page.scheme(scheme)
    axe(site)
    page.size(400, 800)
    assert page.run("return document.documentElement.scrollWidth") <= 400
    axe(site)
    name = path.strip("/?").replace("/", "-").replace("=", "-") or "home"
    site.shot(f"{name}-{scheme}-phone")


def test_a_session_keeps_nobody_out_and_fits_a_phone(site: Site) -> None:
    site.answered(
        "Show me all",
        PARTS,
    )
    page = site.browser
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        axe(site)
    page.size(400, 800)
    assert page.run("return document.documentElement.scrollWidth") <= 400
    axe(site)


@pytest.fixture(scope="module")
def filled(site: Site) -> list[tuple[str, str]]:
    """Pages with something of all that they can show: their names and paths."""
    home, notes = site.home, site.home.work / "boats"
    notes.mkdir()
    (notes / "ida.md").write_text("# The Ida\n\n## Mooring\nThe Ida lies at pier 12 in Greifswald.\n")
    (notes / "rent.txt").write_text("The rent is due on the third working day of each month.\n")
    assert home.run("ingest", str(notes)).status == 0
    for words in (
        ("add", "say good morning", "--name", "morning", "--every", "day at 09:00", "-m", "echo"),
        ("add", "clear the inbox", "--name", "inbox", "--cron", "0 8 * * 1", "--needs", "network"),
        ("run", "morning", "--wait"),
    ):
        assert home.run("jobs", *words).status == 0
    conversation = site.ask("Where does the Ida lie?")
    session = site.session_id()
    conversation.call("current_time")
    site.endpoint.next().end(f"At pier 12.\n\n{PARTS}")
    site.browser.find(".foot")
    # Waits for its answer while the pages are looked at.
    site.ask("Change my list").call("write_file", path=str(home.work / "list.txt"), content="new\n", overwrite=True)
    site.browser.find(".question")
    # First what is a no if nobody answers in time.
    return [
        ("question", f"/session/{site.session_id()}"), ("approvals", "/approvals"), ("session", f"/session/{session}"),
        ("documents", "/documents?q=pier"), ("jobs", "/jobs"), ("models", "/models"), ("status", "/status"),
        ("home", "/"), ("found", "/?q=Ida"),
    ]  # fmt: skip


def test_pages_with_all_that_they_can_show_keep_nobody_out(site: Site, filled: list[tuple[str, str]]) -> None:
    shown = {}
    for name, path in filled:
        for scheme in ("light", "dark"):
            page = site.open(path)
            page.scheme(scheme)
            for fold in page.all("#main details:not([open]) > summary"):
                page.run("arguments[0].parentElement.open = true", {"element-6066-11e4-a52e-4f735466cecf": fold.id})
            axe(site)
            site.shot(f"filled-{name}-{scheme}")
        page.size(400, 800)
        assert page.run("return document.documentElement.scrollWidth") <= 400, name
        shown[name] = page.text
    wanted = {
        "session": "ida.md", "question": "write_file", "documents": "pier 12", "jobs": "morning", "models": "echo",
        "approvals": "write_file", "status": "Workers", "home": "Running now", "found": "Ida",
    }  # fmt: skip
    assert {name: words for name, words in wanted.items() if words not in shown[name]} == {}


def test_all_can_be_done_by_the_keyboard(site: Site) -> None:
    page = site.open("/")
    assert page.run("return document.activeElement.id") == "message"
    # As at the top of a page that has no box for the focus.
    page.run("document.activeElement.blur(); document.body.tabIndex = -1; document.body.focus()")
    page.press("tab")
    assert page.run("return document.activeElement.textContent") == "Skip to the content"
    page.press("enter")
    assert page.run("return document.activeElement.id") == "main"


def test_nothing_was_asked_of_other_machines_and_the_console_is_silent(site: Site) -> None:
    site.browser.read_logs()
    own = (
        "chrome",
        "chrome-untrusted",
        "data",
        "about",
        "blob",
    )  # parts of the browser and of pages, also of its first tab
    asked = [url for url in site.browser.requests if url.partition(":")[0] not in own]
    assert len(asked) > 50
    assert [url for url in asked if not url.startswith(f"{site.address}/")] == []
    # A link that was used up and a page behind the end of a session answer 401, which the browser notes.
    assert [line for line in site.browser.complaints if "status of 401" not in line] == []


def axe(site: Site) -> None:
    """The page as it is now has nothing that keeps somebody out."""
    if not AXE.is_file():
        pytest.skip("axe-core is not there: make axe, which needs npm")
    page = site.browser
    page.run(AXE.read_text())
    found: list[dict[str, Any]] = page.run_async(
        "axe.run(document, {resultTypes: ['violations']}).then((r) => arguments[0](r.violations.map("
        "(v) => ({id: v.id, nodes: v.nodes.map((n) => n.html + ' ' + n.failureSummary)}))))"
    )
    assert found == []


def test_the_link_opens_by_the_command(site: Site) -> None:
    opened = site.home.root / "opened"
    opener = site.home.root / "opener"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    opener.chmod(0o700)
    done = site.home.run("web", "--open", environ={"BROWSER": str(opener)})
    assert (done.status, done.out.strip()) == (0, until(lambda: opened.exists() and opened.read_text(), "it is opened"))
    page = site.browser
    page.open(done.out.strip())
    page.until(lambda: page.address == f"{site.address}/", "the first page is open")

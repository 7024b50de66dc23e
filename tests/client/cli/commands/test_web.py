"""`agentgw web --open`: the browser is given the link, and so is whoever has none."""

from __future__ import annotations

import webbrowser

import pytest

from tests.client.commandline import Cli
from tests.client.fakedaemon import Failure, Serve

LINK = {"url": "http://127.0.0.1:8080/sign-in?code=abc", "valid_s": 60.0}


@pytest.mark.parametrize(("opens", "words"), [(True, "opened in your browser"), (False, "open this yourself")])
def test_the_link_is_opened_and_printed(
    cli: Cli, serve: Serve, monkeypatch: pytest.MonkeyPatch, opens: bool, words: str
) -> None:
    given: list[str] = []

    def browser(url: str) -> bool:
        given.append(url)
        return opens

    monkeypatch.setattr(webbrowser, "open", browser)
    serve({"web.sign_in": LINK})
    status, out, err = cli("web", "--open")
    assert (status, out) == (0, f"{LINK['url']}\n")
    assert words in err
    assert "60 s" in err
    assert given == [LINK["url"]]


def test_a_daemon_without_pages_says_how_it_gets_them(cli: Cli, serve: Serve) -> None:
    serve({"web.sign_in": Failure(-32001, "the daemon has no web pages", hint="agentgw serve --port 8080")})
    status, out, err = cli("web", "--open")
    assert (status != 0, out) == (True, "")
    assert "agentgw serve --port 8080" in err

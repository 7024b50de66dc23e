"""A command of the user's that is given a text."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from agentgw_daemon.notifications.mail import mail

pytestmark = pytest.mark.anyio

KEEPS = "import os, sys, json; json.dump([sys.stdin.read(), sys.argv[2:], dict(os.environ)], open(sys.argv[1], 'w'))"


async def test_it_gets_the_text_its_own_words_and_no_key(tmp_path: Path) -> None:
    import json

    kept = tmp_path / "kept"
    command = (sys.executable, "-c", KEEPS, str(kept), "me; id", "$HOME")
    assert await mail(command, "job a: ok\ngrün\n", {"HOME": str(tmp_path), "PATH": "/usr/bin", "OPENAI_API_KEY": "k"})
    text, words, environ = json.loads(kept.read_text())
    assert (text, words) == ("job a: ok\ngrün\n", ["me; id", "$HOME"])
    assert environ["HOME"] == str(tmp_path)
    assert "OPENAI_API_KEY" not in environ


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/nonexistent/mail",), "the mail command /nonexistent/mail cannot be run: there is no such program"),
        (("/etc",), "the mail command /etc cannot be run: it is a directory"),
        (("mail\0x",), "cannot be run"),
        ((sys.executable, "-c", "raise SystemExit(7)"), "ended with status 7"),
    ],
)
async def test_what_goes_wrong_is_one_line(
    command: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await mail(command, "text", {})
    (told,) = caplog.records
    assert said in told.message
    assert told.levelno == logging.WARNING


async def test_one_that_does_not_read_or_end_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    command = ("/bin/sh", "-c", "sleep 1000 & sleep 1000")
    assert not await mail(command, "x" * 1_000_000, {"PATH": "/bin:/usr/bin"}, time_s=0.3)
    assert "did not end within" in caplog.text


async def test_a_script_whose_interpreter_is_missing_names_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    script = tmp_path / "tell"
    script.write_text("#!/nonexistent/perl\n")
    script.chmod(0o755)
    assert not await mail((str(script), "a-secret-word"), "text", {})
    assert "its interpreter /nonexistent/perl is not there" in caplog.text
    assert "a-secret-word" not in caplog.text

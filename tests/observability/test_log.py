"""Lines of the log, things that never get into one, and its files."""

from __future__ import annotations

import gc
import logging
import os
import re
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgw.protocol.errors import DirectoryRefused
from agentgw_daemon.config.settings import LogSection
from agentgw_daemon.observability.log import DaemonLog, LineFormatter, leads_to_journal, log_unexpected
from agentgw_daemon.text.secrets import Secrets

log = logging.getLogger("agentgw_daemon.test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The log file."""
    return tmp_path / "daemon.log"


@pytest.fixture
def running(path: Path) -> Iterator[DaemonLog]:
    """A log that hides one value."""
    made = DaemonLog(str(path), LogSection(max_bytes=4096, backups=2), secrets=Secrets(test=["hunter2-secret"]))
    yield made
    made.close()
    logging.getLogger("agentgw_daemon").setLevel(logging.NOTSET)
    logging.root.setLevel(logging.WARNING)


def test_a_line_has_utc_time_level_logger_and_message(running: DaemonLog, path: Path) -> None:
    log.info("hello %s", "there")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO agentgw_daemon\.test: hello there\n", path.read_text()
    )


def test_the_level_is_ours_and_libraries_are_heard_from_warning_on(running: DaemonLog, path: Path) -> None:
    log.debug("quiet")
    logging.getLogger("httpx").info("GET https://example.org/?q=what-the-user-said")
    logging.getLogger("httpx").warning("loud")
    assert re.findall(r": (\w+)$", path.read_text(), re.MULTILINE) == ["loud"]
    running.apply(LogSection(level="debug"))
    log.debug("now")
    assert path.read_text().endswith(": now\n")


@pytest.mark.parametrize(
    "text",
    [
        "key is hunter2-secret",
        "{'key': 'hunter2-secret'}",
        "Authorization: Bearer abcdef123456",
        "headers {'authorization': 'Basic abcdef123456', 'x': 1}",
        "[(b'Authorization', b'abcdef123456')]",
        "x-api-key=abcdef123456",
        'sent "bearer abcdef123456"',
    ],
)
def test_keys_become_stars(running: DaemonLog, path: Path, text: str) -> None:
    log.error("%s", text)
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("failed")
    logged = path.read_text()
    assert "hunter2" not in logged
    assert "abcdef" not in logged
    assert logged.count("***") >= 2


def test_a_key_with_quotes_in_it_is_hidden_in_a_repr_too() -> None:
    formatter = LineFormatter(Secrets(test=["pass'\"word\\x"]))
    text = formatter.format(logging.makeLogRecord({"msg": repr({"k": "pass'\"word\\x"}), "name": "n"}))
    assert "word" not in text


def test_ordinary_words_are_left_alone(running: DaemonLog, path: Path) -> None:
    log.info("basic authorization of the bearer of this: 1 token, key 7")
    assert path.read_text().endswith("basic authorization of the bearer of this: 1 token, key 7\n")


def test_nothing_from_outside_can_pass_for_a_line_of_ours(running: DaemonLog, path: Path) -> None:
    log.info("name %s", "x\n2026-01-01T00:00:00.000Z INFO agentgw_daemon: forged\r\x1b[2J\u202e\u2028")
    lines = path.read_text().split("\n")
    assert len([line for line in lines if line.startswith("20")]) == 1
    assert lines[1] == r"    2026-01-01T00:00:00.000Z INFO agentgw_daemon: forged\r\x1b[2J\u202e\u2028"


def test_a_lone_surrogate_is_no_obstacle(running: DaemonLog, path: Path) -> None:
    log.info("file %s", "\udcff")
    assert r"\udcff" in path.read_text()


def test_files_are_0600_the_rotated_ones_too(path: Path) -> None:
    path.touch(mode=0o644)
    before = os.umask(0)
    try:
        running = DaemonLog(str(path), LogSection(max_bytes=4096, backups=2))
        for number in range(300):
            log.warning("line %d %s", number, "x" * 50)
        running.close()
    finally:
        os.umask(before)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size <= 4096 for file in files)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hostname")])
def test_what_is_no_file_of_ours_is_refused(path: Path, make: object) -> None:
    make(path)  # type: ignore[operator]
    with pytest.raises(DirectoryRefused, match="cannot write the log"):
        DaemonLog(str(path), LogSection())


def test_a_disk_that_is_full_costs_lines_and_nothing_else(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    running = DaemonLog(str(path), LogSection())
    os.truncate(path, 0)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, running._file.stream.fileno())
    os.close(full)
    log.warning("lost")
    assert capfd.readouterr().err == ""
    # Text that could not be written is still in Python's buffer, and closing tries once more.
    running._file.stream = None  # type: ignore[assignment]
    running.close()


def test_unexpected_errors_get_an_id(running: DaemonLog, path: Path) -> None:
    error_id = log_unexpected(log, ZeroDivisionError("division"), "answering ping")
    logged = path.read_text()
    assert re.fullmatch(r"[0-9a-f]{12}", error_id)
    assert f"ERROR agentgw_daemon.test: error {error_id} while answering ping\n" in logged
    assert "ZeroDivisionError: division" in logged


@pytest.mark.filterwarnings("default")
def test_what_nobody_catches_is_in_the_log(running: DaemonLog, path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("while ending")

    warnings.warn("a stray warning", stacklevel=1)
    thread = threading.Thread(target={}.__getitem__, args=("none",), name="busy")
    thread.start()
    thread.join()
    del thread
    Broken()
    gc.collect()
    sys.excepthook(KeyError, KeyError("at the end"), None)
    logged = path.read_text()
    assert "WARNING py.warnings:" in logged
    assert "while running thread busy" in logged
    assert "ValueError: while ending" in logged
    assert "KeyError: 'at the end'" in logged
    assert capfd.readouterr().err == ""


def test_closing_puts_the_interpreters_hooks_back(path: Path) -> None:
    before = (sys.excepthook, sys.unraisablehook, threading.excepthook, list(logging.root.handlers))
    DaemonLog(str(path), LogSection()).close()
    assert (sys.excepthook, sys.unraisablehook, threading.excepthook, list(logging.root.handlers)) == before


HOLD = """
import os, sys, logging
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.config.settings import LogSection, McpSection, McpServerSection
log = DaemonLog(sys.argv[1], LogSection(max_bytes=4096, backups=2))
log.hold_stderr()
os.write(2, b"before\\n")
for number in range(60):
    logging.getLogger("agentgw_daemon").warning("x" * 50)
os.write(2, b"after\\n")
"""


def test_it_can_stand_in_for_standard_error_and_rotation_takes_that_along(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HOLD, str(path)], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert path.read_text().endswith("after\n")
    assert "before\n" in path.with_name("daemon.log.1").read_text()


FOREGROUND = """
import sys, logging
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.config.settings import LogSection, McpSection, McpServerSection
log = DaemonLog(sys.argv[1], LogSection(), foreground=True)
logging.getLogger("agentgw_daemon").info("shown")
log.leave_stderr()
logging.getLogger("agentgw_daemon").info("kept")
"""


def test_in_the_foreground_standard_error_shows_it_until_the_last_word(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FOREGROUND, str(path)], stderr=subprocess.PIPE, text=True)
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(": shown\n")
    assert path.read_text().endswith(": kept\n")


JOURNAL = """
import sys, logging
from agentgw_daemon.observability.log import DaemonLog
from agentgw_daemon.config.settings import LogSection
running = DaemonLog(sys.argv[1], LogSection(level="debug"), journal=True)
log = logging.getLogger("agentgw_daemon.x")
for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
    log.log(level, "said\\n<0>and more")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def test_the_journal_gets_each_line_with_its_priority(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", JOURNAL, str(path)], stderr=subprocess.PIPE, text=True, check=True)
    lines = done.stderr.splitlines()
    for number, said, more in zip((7, 6, 4, 3, 2), lines[0:10:2], lines[1:10:2], strict=True):
        assert (said, more) == (f"<{number}>agentgw_daemon.x: said", f"<{number}>    <0>and more")
    assert lines[10] == "<3>agentgw_daemon.x: failed"
    assert len(lines) > 12
    assert all(line.startswith("<3>    ") for line in lines[11:])
    # The file is as ever.
    assert re.match(r"\d{4}-.*Z DEBUG agentgw_daemon\.x: said\n    <0>and more\n", path.read_text())


def test_a_descriptor_leads_to_the_journal_when_device_and_inode_say_so() -> None:
    reader, writer = os.pipe()
    found = os.fstat(writer)
    assert leads_to_journal(writer, f"{found.st_dev}:{found.st_ino}")
    for other in (f"{found.st_dev}:{found.st_ino + 1}", "", "x", "1:2:3"):
        assert not leads_to_journal(writer, other)
    os.close(reader)
    os.close(writer)
    assert not leads_to_journal(writer, f"{found.st_dev}:{found.st_ino}")

from __future__ import annotations

from pathlib import Path

from agentgw.local.files.logtail import tail


def test_the_last_lines_are_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert tail(str(log), 3) == ["line 99997", "line 99998", "line 99999"]
    assert len(tail(str(log), 1000)) == 1000
    assert tail(str(log), 0) == []


def test_a_short_log_is_given_whole(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo \xff")
    assert tail(str(tmp_path / "log"), 20) == ["one", "two \ufffd"]


def test_a_line_ends_where_the_log_ends_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one \u2028 \x0c \x85 still one\ntwo\n\n")
    assert tail(str(tmp_path / "log"), 20) == ["one \u2028 \x0c \x85 still one", "two", ""]
    (tmp_path / "log").write_text("")
    assert tail(str(tmp_path / "log"), 20) == []


def test_no_log_is_no_lines(tmp_path: Path) -> None:
    assert tail(str(tmp_path / "log"), 20) == []


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, 2)
        file.write(b"\nlast\n")
    assert tail(str(log), 1) == ["last"]

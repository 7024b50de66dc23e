"""Edits of the file's text: what was wanted changes, every other byte stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentgw.protocol.errors import AlreadyExists, InvalidParams, NotFound
from agentgw_daemon.scheduler.file.editing import with_enabled, with_job, without_job
from tests.scheduler.made import HOME, contents

FILE = """\
# my jobs
jobs:
  # Mornings
  - name: morning   # the first
    skill_name: summarize-document
    message: |
      Sum up.

      Twice.
    cron_expression: "0 9 * * *"

  # Evenings
  - name: evening
    message: 'hi   there'
    every: day at 20:00
    enabled:   no    # off for now
  # the end

# bye
"""
NEW: dict[str, Any] = {"name": "new", "message": "hello", "every": "day at 08:30", "files": ["/in box", "~/x"]}
ADDED = """\
  - name: new
    message: hello
    every: "day at 08:30"
    files: [/in box, ~/x]
"""


def test_an_added_job_stands_behind_the_last_one() -> None:
    assert with_job(FILE, NEW, home=HOME) == FILE.replace("  # the end\n", ADDED + "  # the end\n")


def test_a_removed_job_takes_its_own_lines_and_no_comment_between_jobs() -> None:
    removed = FILE[FILE.index("  - name: morning") : FILE.index("\n  # Evenings")]
    assert without_job(FILE, "morning") == FILE.replace(removed, "")
    removed = FILE[FILE.index("  - name: evening") : FILE.index("  # the end")]
    assert without_job(FILE, "evening") == FILE.replace(removed, "")


def test_a_job_is_turned_on_where_it_says_off() -> None:
    assert with_enabled(FILE, "evening", True) == FILE.replace("enabled:   no ", "enabled:   true ")


def test_a_job_is_turned_off_below_its_name() -> None:
    assert with_enabled(FILE, "morning", False) == FILE.replace(
        "# the first\n", "# the first\n    enabled: false\n"
    )  # fmt: skip


def test_a_job_that_is_as_wanted_already_stays_as_it_is() -> None:
    off = with_enabled(FILE, "morning", False)
    assert with_enabled(off, "morning", False) == off


def test_the_last_job_leaves_an_empty_list_that_can_be_added_to() -> None:
    empty = without_job(without_job(FILE, "evening"), "morning")
    assert contents(empty).jobs == ()
    assert contents(empty).complete
    again = with_job(empty, NEW, home=HOME)
    for comment in ("# my jobs", "# Mornings", "# Evenings", "# the end", "# bye"):
        assert comment in again
    assert [job.name for job in contents(again).jobs] == ["new"]


@pytest.mark.parametrize(
    "text",
    [
        "", "jobs:\n", "jobs: []\n", "jobs: [] # none yet", "jobs: # none\n", "jobs: ~\n", "# only a comment\n",
        "\ufeff", "---\njobs:\n", "jobs:\n- name: a\n  message: b\n  every: day",
        "jobs:\n  - name: a\n    message: b\n    every: day\n",
        "jobs: [{name: a, message: b, every: day}, {name: c, message: b, every: day}]\n",
        "jobs: [\n  {name: a, message: b, every: day},\n]\n",
        "jobs:\r\n- name: a\r\n  message: b\r\n  every: day\r\n",
        "\ufeffjobs:\n-\n  name: a\n  message: |+\n    x\n\n\n  every: day\n",
        "jobs:\n-\n  name: a\n  every: day\n  message: |+\n    x\n\n\n",
        "{jobs: [{name: a, message: b, every: day}]}",
        "jobs:\n  - every: day\n    message: >-\n      b\n    name: 'a'\n\n\n# end",
        "jobs:\n  - {name: a, message: b, every: day}\n  - {name: c, message: d, every: day}\n",
        "jobs:\n    -   name: a\n        message: b\n        every: day\n",
        "jobs:\n  - name: a\n    message: 'b\n\n      # no comment'\n    every: day\n",
    ],
)  # fmt: skip
def test_every_way_of_writing_can_be_added_to_and_taken_from(text: str) -> None:
    before = contents(text).jobs
    added = with_job(text, NEW, home=HOME)
    assert [job.name for job in contents(added).jobs] == [*(job.name for job in before), "new"]
    assert contents(added).complete
    assert [job.name for job in contents(without_job(added, "new")).jobs] == [job.name for job in before]
    assert ("\r\n" in text) == ("\r\n" in added)
    assert added.count("\n") == added.count("\r\n") or "\r\n" not in text
    assert added.startswith("\ufeff") == text.startswith("\ufeff")
    for job in before:
        off = with_enabled(text, job.name, False)
        assert [one.enabled for one in contents(off).jobs] == [one.name != job.name for one in before]
        assert [one.message for one in contents(off).jobs] == [one.message for one in before]
        assert contents(with_enabled(off, job.name, True)).jobs[0].enabled
        assert [one.name for one in contents(without_job(text, job.name)).jobs] == [
            one.name for one in before if one.name != job.name
        ]


@given(
    name=st.text(min_size=1, max_size=30), message=st.text(min_size=1, max_size=60),
    file=st.sampled_from([FILE, "", "jobs: [{name: z, message: b, every: day}]\n"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_words_come_back_as_they_were_given_or_are_refused(name: str, message: str, file: str) -> None:
    try:
        text = with_job(file, {"name": name, "message": message, "every": "day"}, home=HOME)
    except (InvalidParams, AlreadyExists):
        return
    job = contents(text).jobs[-1]
    assert (job.name, job.message) == (name.strip(), message)
    text.encode()


@pytest.mark.parametrize(
    "word",
    ["yes", "No", "null", "~", "1", "1.5", "0x1f", "2027-01-01", "- a", "a: b", "a #b", "*x", "&x", "!t", "%d", "'"],
)
def test_words_that_yaml_takes_for_something_else_are_quoted(word: str) -> None:
    text = with_job("", {"name": "a", "message": word, "every": "day"}, home=HOME)
    assert f"message: {word}\n" not in text
    assert contents(text).jobs[0].message == word


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(AlreadyExists, match="morning"):
        with_job(FILE, {**NEW, "name": "morning"}, home=HOME)


@pytest.mark.parametrize("change", [{"every": "fortnight"}, {"name": ""}, {"oops": "x"}, {"cron": "* * * * *"}])
def test_a_job_that_could_not_be_read_is_not_added(change: dict[str, str]) -> None:
    with pytest.raises(InvalidParams):
        with_job(FILE, {**NEW, **change}, home=HOME)


def test_an_unknown_job_is_not_found() -> None:
    with pytest.raises(NotFound, match="'noon'"):
        without_job(FILE, "noon")
    with pytest.raises(NotFound):
        with_enabled(FILE, "noon", True)


@pytest.mark.parametrize("text", ["jobs: 'open\n", "- name: a\n", "jobs: hello\n", "hello", "jobs: {a: b}\n"])
def test_a_file_that_cannot_be_read_is_not_edited(text: str) -> None:
    with pytest.raises(InvalidParams, match="cannot be edited"):
        with_job(text, NEW, home=HOME)


def test_a_bad_entry_keeps_no_other_from_being_edited() -> None:
    text = FILE + "  - name: bad\n    message: *x\n"
    assert "*x" in with_enabled(text, "morning", False)
    assert without_job(text, "morning").endswith("  - name: bad\n    message: *x\n")

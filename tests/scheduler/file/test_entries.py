"""The jobs file as a whole: old files, and one bad entry among good ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.scheduler.file.entries import MOST_JOBS
from tests.scheduler.made import contents

OLD = """\
# scheduled jobs
jobs:
  - name: "Daily Summary"
    skill_name: general_assistant
    message: "Summarise what happened"
    cron_expression: "0 9 * * *"
    enabled: true
    log_output: yes
  - name: weekly
    skill_name: project-manager
    message: >
      Report
      the week
    cron_expression: 0 17 * * FRI
    enabled: False
"""


def entry(name: str, extra: str = "") -> str:
    return f"  - name: {name}\n    message: hello\n    every: day\n{extra}"


def test_an_old_file_reads_as_it_is() -> None:
    daily, weekly = contents(OLD).jobs
    assert (daily.name, daily.skill, daily.message) == (
        "Daily Summary", "general_assistant", "Summarise what happened",
    )  # fmt: skip
    assert (daily.enabled, daily.log_output, daily.line) == (True, True, 3)
    assert (weekly.message, weekly.enabled, weekly.log_output) == ("Report the week\n", False, False)
    assert contents(OLD).complete


@pytest.mark.parametrize("text", ["", "jobs:\n", "jobs: []\n", "jobs: null\n", "# none yet\n", "---\n", "\ufeff"])
def test_a_file_without_jobs_is_fine(text: str) -> None:
    assert contents(text).jobs == ()
    assert contents(text).complete


@pytest.mark.parametrize(
    "text", [OLD.replace("\n", "\r\n"), "\ufeff" + OLD, OLD.replace("  - ", "- ").replace("    ", "  ")]
)
def test_line_ends_byte_order_marks_and_other_indentation_do_not_matter(text: str) -> None:
    assert [job.name for job in contents(text).jobs] == ["Daily Summary", "weekly"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("- name: a\n", 1, "put `jobs:` above it"),
        ("hello\n", 1, "not a mapping"),
        ("jobs: hello\n", 1, "not a list"),
        ("jobs:\n  a:\n    message: b\n", 2, "not a list"),
        ("job:\n" + entry("a"), 1, "did you mean jobs"),
        ("name: a\n", 1, "below `jobs:`"),
        ("jobs: &x []\n", 1, "anchors"),
        ("!!set {a}\n", 1, "tags"),
        ("jobs:\n  - hello\n", 2, "begins with `name:`"),
        ("jobs:\n  - [a]\n", 2, "begins with `name:`"),
        ("jobs:\n  -\n", 2, "begins with `name:`"),
    ],
)
def test_what_is_no_file_of_jobs_has_a_line_and_a_reason(text: str, line: int, reason: str) -> None:
    found = contents(text)
    assert found.jobs == ()
    assert not found.complete
    assert found.problems[0].line == line
    assert reason in found.problems[0].reason


@pytest.mark.parametrize(
    ("bad", "line", "reason"),
    [
        ("  - name: bad\n    message: x\n    every: dya\n    cron: '* * *'\n", 8, "already"),
        ("  - name: bad\n    message: x\n    every: fortnight\n", 7, "not understood"),
        ("  - name: bad\n    message: x\n", 5, "no time"),
        ("  - name: bad\n    mesage: x\n    every: day\n", 6, "did you mean message?"),
        ("  - name: bad\n    message: *x\n    every: day\n", 6, "aliases"),
        ("  - name: bad\n    message: !!python/name:os.system x\n    every: day\n", 6, "tags"),
        ("  - name: bad\n    name: worse\n    message: x\n    every: day\n", 6, "given twice"),
        ("  - name: good\n    message: x\n    every: day\n", 5, "taken by the job in line 2"),
        ("  - *x\n", 5, "aliases"),
        # Faults that break the document as a whole.
        ("  - name: bad\n    message: 'open\n    every: day\n", 0, ""),
        ("  - name: bad\n    message: [open\n    every: day\n", 0, ""),
        ("  - name: bad\n   message: x\n", 0, ""),
        ("  - name: bad\n\tmessage: x\n", 0, ""),
        ("  - name: bad\n    message: a: b\n", 0, ""),
        ("  - name: bad\n    message: @x\n", 0, ""),
        ("  - name: bad\n    message: " + "[" * 100 + "\n", 0, ""),
    ],
)
def test_a_bad_entry_is_told_and_the_others_run(bad: str, line: int, reason: str) -> None:
    found = contents("jobs:\n" + entry("good") + bad + "\n" + entry("better"))
    assert [job.name for job in found.jobs] == ["good", "better"]
    assert [job.line for job in found.jobs] == [2, 5 + bad.count("\n") + 1]
    assert not found.complete
    assert reason in found.problems[0].reason
    if line:
        assert found.problems[0].line == line
    else:
        assert 5 <= found.problems[0].line <= 6 + bad.count("\n") + 3


BROKEN = "  - name: bad\n    message: [open\n    every: day\n"


@pytest.mark.parametrize(
    "text",
    [
        ("jobs:\n" + entry("good") + BROKEN + entry("better")).replace("\n", "\r\n"),
        ("jobs:\n" + entry("good") + BROKEN + entry("better")).replace("\n", "\r"),
        "jobs :  # mine\n\n" + entry("good") + BROKEN + entry("better"),
        '"jobs":\n' + entry("good") + BROKEN + entry("better"),
        "jobs:\n" + entry("good").replace("- ", "-\n    ", 1) + BROKEN + entry("better"),
        "jobs:\n  -\tname: bad\n" + entry("good") + entry("better"),
        # Pasted below the first list, as a second one.
        "jobs:\n" + entry("good") + "\n# more\njobs:\n" + entry("better"),
        "jobs:\n" + entry("good") + "oops\n" + entry("better"),
    ],
    ids=["CRLF", "CR", "comment", "quotes", "dash alone", "tab", "two lists", "a line between"],
)
def test_however_the_file_is_written_one_fault_costs_one_entry(text: str) -> None:
    found = contents(text)
    assert [job.name for job in found.jobs] == ["good", "better"]
    assert not found.complete


def test_an_entry_is_left_out_where_a_line_that_is_none_of_its_own_cuts_it_in_two() -> None:
    found = contents("jobs:\n" + entry("bad", "oops\n    enabled: false\n") + entry("good"))
    assert [job.name for job in found.jobs] == ["good"]


def test_the_problem_of_an_entry_names_its_job() -> None:
    found = contents("jobs:\n  - name: mine\n    message: x\n    every: fortnight\n")
    assert [problem.name for problem in found.problems] == ["mine"]


def test_too_many_jobs_are_told_and_the_first_ones_run() -> None:
    found = contents("jobs:\n" + "".join(f"  - {{name: j{n}, message: m, every: day}}\n" for n in range(MOST_JOBS + 1)))
    assert len(found.jobs) == MOST_JOBS
    assert str(MOST_JOBS) in found.problems[0].reason
    assert found.problems[0].line == MOST_JOBS + 2


def test_an_unknown_key_beside_the_jobs_is_told_and_they_run() -> None:
    found = contents("version: 2\njobs:\n" + entry("a"))
    assert [job.name for job in found.jobs] == ["a"]
    assert "there is only `jobs`" in found.problems[0].reason


@given(st.text(alphabet="jobs:-\n name: a message every day'\"[]{}&*!|>#\t", max_size=80))
def test_any_text_gives_jobs_and_problems(text: str) -> None:
    found = contents("jobs:\n" + entry("good") + text)
    assert all(problem.line >= 1 and problem.reason for problem in found.problems)

"""Changed files: told once, after they stayed still."""

from __future__ import annotations

from agentgw_daemon.scheduler.planning.settling import FileState, Settling

OLD = FileState(inode=1, size=10, mtime_ns=1)
NEW = FileState(inode=1, size=20, mtime_ns=2)
OTHER = FileState(inode=2, size=5, mtime_ns=3)


def begun() -> Settling:
    settling = Settling(10.0, None)
    settling.look({"a": OLD}, 0.0)
    return settling


def test_what_is_there_at_the_beginning_is_no_change() -> None:
    settling = begun()
    assert settling.look({"a": OLD}, 100.0).paths == ()
    assert settling.handled == {OLD}


def test_a_change_is_told_when_it_has_stayed_still() -> None:
    settling = begun()
    assert settling.look({"a": NEW}, 1.0).again_s == 10.0
    assert settling.look({"a": NEW}, 10.5).paths == ()
    found = settling.look({"a": NEW}, 11.0)
    assert (found.paths, found.stamps, found.again_s) == (("a",), {NEW}, None)


def test_a_file_that_is_still_written_does_not_settle() -> None:
    settling = begun()
    for second in range(1, 60):
        growing = FileState(inode=1, size=10 + second, mtime_ns=second)
        assert settling.look({"a": growing}, float(second)).paths == ()


def test_a_file_that_is_still_written_keeps_no_other_waiting() -> None:
    settling = begun()
    for second in range(1, 12):
        found = settling.look({"a": FileState(inode=1, size=second, mtime_ns=second), "b": OTHER}, float(second))
    assert found.paths == ("b",)
    assert found.again_s == 10.0


def test_a_change_is_told_again_until_it_is_taken_and_then_never() -> None:
    settling = begun()
    settling.look({"a": NEW}, 1.0)
    assert settling.look({"a": NEW}, 20.0).paths == ("a",)
    found = settling.look({"a": NEW}, 21.0)
    assert found.paths == ("a",)
    settling.taken(found.stamps)
    assert settling.look({"a": NEW}, 22.0).paths == ()
    assert Settling(10.0, settling.handled).look({"a": NEW}, 500.0) == settling.look({"a": NEW}, 500.0)


def test_a_change_while_nobody_looked_is_told() -> None:
    settling = Settling(10.0, begun().handled)
    settling.look({"a": NEW, "b": OTHER}, 0.0)
    assert settling.look({"a": NEW, "b": OTHER}, 10.0).paths == ("a", "b")


def test_a_renamed_file_is_no_change_and_neither_is_one_that_comes_back() -> None:
    settling = begun()
    settling.look({"moved": OLD}, 1.0)
    assert settling.look({"moved": OLD}, 20.0).paths == ()
    settling.look({}, 21.0)
    settling.look({"a": OLD}, 22.0)
    assert settling.look({"a": OLD}, 40.0).paths == ()


def test_a_file_that_goes_before_it_settles_is_not_told() -> None:
    settling = begun()
    settling.look({"a": OLD, "b": OTHER}, 1.0)
    assert settling.look({"a": OLD}, 20.0).paths == ()
    # It began anew when it came back.
    assert settling.look({"a": OLD, "b": OTHER}, 21.0).paths == ()
    assert settling.look({"a": OLD, "b": OTHER}, 31.0).paths == ("b",)


def test_a_state_that_changes_after_it_was_told_has_to_settle_again() -> None:
    settling = begun()
    settling.look({"a": NEW}, 0.0)
    told = settling.look({"a": NEW}, 10.0)
    newer = FileState(inode=1, size=30, mtime_ns=9)
    assert settling.look({"a": newer}, 11.0).paths == ()
    settling.taken(told.stamps)
    assert settling.look({"a": newer}, 21.0).stamps == {newer}


def test_what_is_remembered_of_files_that_are_gone_has_a_bound() -> None:
    gone = frozenset(FileState(inode=n, size=0, mtime_ns=0) for n in range(50_000))
    settling = Settling(0.0, gone | {OLD})
    found = settling.look({"a": OLD, "b": OTHER}, 0.0)
    settling.taken(found.stamps)
    assert settling.handled == {OLD, OTHER}

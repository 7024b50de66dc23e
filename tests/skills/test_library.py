"""Tiers, precedence, broken skills, names and reloading."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgw.protocol.errors import NotFound
from agentgw_daemon.skills import library
from agentgw_daemon.skills.library import Library, SkillStamp
from tests.skills.folders import write_skill
from tests.ticking import StandingClock


class Tiers:
    """Three tiers on disk and the library over them."""

    def __init__(self, root: Path) -> None:
        self.shipped, self.agents, self.user = (root / name for name in ("shipped", "agents", "user"))
        self.library = Library([("shipped", self.shipped), ("agents", self.agents), ("user", self.user)])

    def rows(self) -> list[tuple[str, str, str | None]]:
        return [(row.name, row.tier, row.error) for row in self.library.listing()]


@pytest.fixture
def tiers(tmp_path: Path) -> Tiers:
    return Tiers(tmp_path)


def test_no_folder_at_all_is_an_empty_library(tiers: Tiers) -> None:
    assert tiers.library.reload() == ()
    assert tiers.rows() == []


def test_the_highest_tier_wins(tiers: Tiers) -> None:
    for tier, text in ((tiers.shipped, "low"), (tiers.agents, "middle"), (tiers.user, "high")):
        write_skill(tier, "mine", body=f"{text}\n")
    write_skill(tiers.shipped, "other")
    tiers.library.reload()
    assert tiers.library.get("mine").instructions == "high\n"
    assert tiers.rows() == [("mine", "user", None), ("other", "shipped", None)]


@pytest.mark.parametrize("name", ["general_assistant", "general-assistant", "General_Assistant"])
def test_underscores_and_hyphens_name_the_same_skill(tiers: Tiers, name: str) -> None:
    write_skill(tiers.shipped, "general-assistant")
    tiers.library.reload()
    assert tiers.library.get(name).name == "general-assistant"


def test_the_rows_of_a_name_are_the_usable_one_and_the_broken_ones(tiers: Tiers) -> None:
    write_skill(tiers.shipped, "mine")
    (tiers.user / "mine").mkdir(parents=True)
    tiers.library.reload()
    assert [(row.tier, row.error is None) for row in tiers.library.named("Mine")] == [
        ("shipped", True),
        ("user", False),
    ]
    with pytest.raises(NotFound, match="there is no skill other"):
        tiers.library.named("other")


def test_an_unknown_name_gets_the_nearest(tiers: Tiers) -> None:
    write_skill(tiers.shipped, "code-assistant")
    tiers.library.reload()
    with pytest.raises(NotFound) as caught:
        tiers.library.get("code-asistant")
    assert caught.value.hint == "did you mean code-assistant?"
    assert caught.value.data == {"kind": "skill", "id": "code-asistant"}


@pytest.mark.parametrize("name", ["../../x", "\x1b[2J", "x" * 5000, ""])
def test_any_name_may_be_asked_for(tiers: Tiers, name: str) -> None:
    with pytest.raises(NotFound) as caught:
        tiers.library.get(name)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200


def test_a_broken_skill_is_listed_with_its_reason_and_cannot_be_used(tiers: Tiers) -> None:
    write_skill(tiers.user, "mine", front="name: yours\ndescription: d\n")
    tiers.library.reload()
    [(name, tier, error)] = tiers.rows()
    assert (name, tier) == ("mine", "user")
    assert error == "name is yours but the folder is mine: they must be the same"
    with pytest.raises(NotFound, match="skill mine is broken: name is yours"):
        tiers.library.get("mine")


def test_a_broken_override_leaves_the_lower_one_in_use_and_says_so(tiers: Tiers) -> None:
    write_skill(tiers.shipped, "mine", body="good\n")
    write_skill(tiers.user, "mine", body="")
    tiers.library.reload()
    assert tiers.library.get("mine").instructions == "good\n"
    (good, broken) = tiers.rows()
    assert good == ("mine", "shipped", None)
    assert broken[2] is not None
    assert broken[2].endswith("the shipped one is used instead")


def test_a_folder_without_a_skill_is_listed_and_hidden_ones_are_not(tiers: Tiers) -> None:
    (tiers.user / "empty").mkdir(parents=True)
    (tiers.user / ".git").mkdir()
    (tiers.user / "notes.txt").write_text("no skill\n")
    tiers.library.reload()
    assert tiers.rows() == [("empty", "user", "SKILL.md: no such file or directory")]


def test_old_yaml_skills_live_beside_folders_and_lose_a_tie(tiers: Tiers) -> None:
    write_skill(tiers.user, "same-name")
    (tiers.user / "same_name.yaml").write_text("system_prompt: old\n")
    (tiers.user / "only_old.yml").write_text("system_prompt: old\n")
    tiers.library.reload()
    assert tiers.library.get("only_old").instructions == "old\n"
    assert tiers.library.get("same-name").instructions == "Do it well.\n"
    assert [row[2] is None for row in tiers.rows() if row[0] == "same-name"] == [True, False]


def test_a_tier_that_everybody_may_write_gives_nothing_and_says_why(tiers: Tiers) -> None:
    write_skill(tiers.user, "mine")
    tiers.user.chmod(0o777)
    tiers.library.reload()
    [(name, _, error)] = tiers.rows()
    assert name == "user"
    assert error is not None
    assert "can be written by everybody" in error


def test_a_dangling_link_is_listed(tiers: Tiers) -> None:
    tiers.user.mkdir()
    (tiers.user / "gone").symlink_to("nowhere")
    tiers.library.reload()
    assert [row[0] for row in tiers.rows()] == ["gone"]
    assert tiers.rows()[0][2] is not None


def test_names_of_files_are_listed_without_control_characters(tiers: Tiers) -> None:
    (tiers.user / "a\x1b[2Jb\nc").mkdir(parents=True)
    tiers.library.reload()
    [row] = tiers.library.listing()
    assert row.name.isprintable()
    assert row.path.isprintable()


def test_reload_tells_what_changed(tiers: Tiers) -> None:
    write_skill(tiers.shipped, "first")
    write_skill(tiers.user, "second")
    assert tiers.library.reload() == ("skill first added", "skill second added")
    assert tiers.library.reload() == ()
    write_skill(tiers.user, "second", body="New.\n")
    (tiers.shipped / "first" / "SKILL.md").write_text("broken")
    assert tiers.library.reload() == (
        "skill first removed",
        "skill second changed",
        "skill first is broken: no front matter: the first line must be ---",
    )


@pytest.mark.parametrize("entry", ["", "SKILL.md"])
def test_validate_takes_a_folder_or_its_file(tmp_path: Path, entry: str) -> None:
    folder = write_skill(tmp_path, "mine", front="name: mine\ndescription: d\ntools: [shell]\n")
    result = Library.validate(os.fspath(folder / entry))
    assert result.ok
    assert result.problems == ("note: key tools is not in the standard and is ignored",)
    assert result.skill is not None
    assert result.skill.name == "mine"


def test_validate_lists_every_problem(tmp_path: Path) -> None:
    folder = write_skill(tmp_path, "mine", front="name: X\n", body="")
    result = Library.validate(os.fspath(folder))
    assert not result.ok
    assert result.skill is None
    assert len(result.problems) == 3


@pytest.mark.parametrize("path", ["/nowhere/at/all", "/etc/passwd", "/dev/zero", "/", "", "a\x00b"])
def test_validate_of_no_skill_is_a_problem_and_not_a_crash(path: str) -> None:
    result = Library.validate(path)
    assert not result.ok
    assert result.problems


def test_a_refresh_reads_only_what_changed_since(tiers: Tiers) -> None:
    write_skill(tiers.user, "mine")
    assert tiers.library.refresh() == ("skill mine added",)
    assert tiers.library.refresh() == ()
    write_skill(tiers.user, "mine", body="Better than before.\n")
    assert tiers.library.refresh() == ("skill mine changed",)
    write_skill(tiers.agents, "new")
    (tiers.user / "mine" / "SKILL.md").unlink()
    assert set(tiers.library.refresh()) >= {"skill new added", "skill mine removed"}


def test_a_file_that_is_written_again_within_a_tick_of_the_clock_is_read_again(
    tiers: Tiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_skill(tiers.user, "mine", body="One.\n")
    file = tiers.user / "mine" / "SKILL.md"
    written = file.stat()
    monkeypatch.setattr(library, "time", StandingClock(written.st_mtime_ns))
    assert tiers.library.refresh() == ("skill mine added",)
    file.write_text(file.read_text().replace("One.", "Two."))
    os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert tiers.library.refresh() == ("skill mine changed",)


def test_shipped_skills_stay_as_they_are_until_a_reload(tiers: Tiers) -> None:
    write_skill(tiers.shipped, "ours")
    tiers.library.reload()
    (tiers.shipped / "ours" / "SKILL.md").unlink()
    assert tiers.library.refresh() == ()
    write_skill(tiers.user, "mine")
    assert tiers.library.refresh() == ("skill mine added",)
    assert tiers.library.get("ours").name == "ours"
    assert "skill ours removed" in tiers.library.reload()


def test_no_more_files_are_looked_at_than_a_turn_may_wait_for(tiers: Tiers, monkeypatch: pytest.MonkeyPatch) -> None:
    write_skill(tiers.user, "mine")
    for number in range(20):
        (tiers.user / "mine" / f"{number}").touch()
    looked: list[Path] = []

    def look(path: Path) -> SkillStamp:
        looked.append(path)
        return str(path), 0, 0, 0

    monkeypatch.setattr(library, "_stamp", look)
    monkeypatch.setattr(library, "MAX_STAMPS", 5)
    tiers.library.reload()
    assert len(looked) == 5


def test_a_file_beside_the_instructions_counts_and_so_does_an_old_yaml_file(tiers: Tiers) -> None:
    write_skill(tiers.user, "mine")
    tiers.library.reload()
    before = tiers.library.skill_set
    (tiers.user / "mine" / "examples.yaml").write_text("- {}")
    tiers.library.refresh()
    assert tiers.library.skill_set is not before
    before = tiers.library.skill_set
    (tiers.user / "old.yaml").write_text("name: old")
    tiers.library.refresh()
    assert tiers.library.skill_set is not before


def test_links_to_nowhere_and_folders_that_cannot_be_read_are_looked_at_once(tiers: Tiers) -> None:
    write_skill(tiers.user, "mine")
    (tiers.user / "gone").symlink_to("/nowhere")
    for path in (tiers.user / "mine", tiers.user / "mine" / "SKILL.md"):
        os.utime(path, (0, 0))
    tiers.library.refresh()
    before = tiers.library.skill_set
    assert tiers.library.refresh() == ()
    assert tiers.library.skill_set is before

"""Writing one value back into a person's file, and leaving everything else as it was."""

from __future__ import annotations

import os
import stat
import string
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw.errors import ConfigRefused
from agentgw_daemon.config_file import set_value, write_value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """`config.toml`, not there yet."""
    return tmp_path / "config.toml"


EDITS = {
    "empty": ("", '[model]\ndefault = "new"\n'),
    "other section": ("[log]\nlevel = 'info'", "[log]\nlevel = 'info'\n\n[model]\ndefault = \"new\"\n"),
    "comment is kept": (
        '# top\n[model]  # why\n  default = "a # b" # because\nhub = "http://x"\n',
        '# top\n[model]  # why\n  default = "new" # because\nhub = "http://x"\n',
    ),
    "key is missing": (
        '[model] # m\nhub = "http://x"\n[log]\nlevel = "info"\n',
        '[model] # m\ndefault = "new"\nhub = "http://x"\n[log]\nlevel = "info"\n',
    ),
    "same key elsewhere": (
        '[agent]\ndefault = "keep"\n[model]\ndefault = "old"\n',
        '[agent]\ndefault = "keep"\n[model]\ndefault = "new"\n',
    ),
    "inside a string": (
        '[log]\ntext = """\n[model]\ndefault = "x"\n"""\n[model]\ndefault = "old"\n',
        '[log]\ntext = """\n[model]\ndefault = "x"\n"""\n[model]\ndefault = "new"\n',
    ),
    "header only in a string": (
        '[log]\ntext = """\n[model]\n"""\n',
        '[log]\ntext = """\n[model]\n"""\n\n[model]\ndefault = "new"\n',
    ),
    "dotted": ('model.default = "old"\n[log]\n', 'model.default = "new"\n[log]\n'),
    "quoted": ('["model"]\n"default" = \'old\'\n', '["model"]\n"default" = "new"\n'),
    "windows": ('[model]\r\ndefault = "old" # c\r\n', '[model]\r\ndefault = "new" # c\r\n'),
    "windows, new section": ("[log]\r\n", '[log]\r\n\r\n[model]\r\ndefault = "new"\r\n'),
    "commented out": (
        '[model]\n# default = "x"\n',
        '[model]\ndefault = "new"\n# default = "x"\n',
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_one_value_is_set_and_the_rest_left_alone(name: str) -> None:
    before, after = EDITS[name]
    assert set_value(before, "model", "default", "new") == after


@pytest.mark.parametrize(
    "text",
    ['model = {default = "old"}\n', 'model.hub = "http://x"\n', '[model]\ndefault = """\nold\n"""\n', "model = 3\n"],
)
def test_what_the_editor_does_not_understand_it_refuses(text: str) -> None:
    with pytest.raises(ConfigRefused, match="model"):
        set_value(text, "model", "default", "new")


WORDS = st.sampled_from(
    ["[model]", "default = 'a'", "[log]", "# x", "", '"""', "t1 = 1", "t2 = '''", "'''", "model.x = 1"]
)


@given(lines=st.lists(WORDS, max_size=8), value=st.text(string.printable + "é😀\u2028", max_size=12))
def test_a_successful_edit_changes_exactly_one_value(lines: list[str], value: str) -> None:
    text = "\n".join(lines)
    try:
        before = tomllib.loads(text)
        edited = set_value(text, "model", "default", value)
    except (tomllib.TOMLDecodeError, ConfigRefused):
        return
    before.setdefault("model", {})["default"] = value
    assert tomllib.loads(edited) == before


def test_writing_keeps_a_symlink_and_leaves_a_private_file(file: Path, tmp_path: Path) -> None:
    dotfiles = tmp_path / "dotfiles.toml"
    dotfiles.write_text("# mine\n")
    dotfiles.chmod(0o644)
    file.symlink_to(dotfiles)
    write_value(str(file), "model", "default", "smollm2:135m")
    assert file.is_symlink()
    assert dotfiles.read_text() == '# mine\n\n[model]\ndefault = "smollm2:135m"\n'
    assert stat.S_IMODE(dotfiles.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "dotfiles.toml"]


def test_writing_makes_the_file(file: Path) -> None:
    write_value(str(file), "model", "default", "smollm2:135m")
    assert tomllib.loads(file.read_text()) == {"model": {"default": "smollm2:135m"}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file(file: Path, tmp_path: Path) -> None:
    file.write_text("[model]\n")
    (tmp_path / f"config.toml.{os.getpid()}.tmp").mkdir()
    with pytest.raises(ConfigRefused, match="cannot be written"):
        write_value(str(file), "model", "default", "x")
    assert file.read_text() == "[model]\n"

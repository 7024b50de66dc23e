from __future__ import annotations

import os

from agentgw.local.environment import Environment, for_daemon


def test_an_unset_variable_is_empty() -> None:
    environment = Environment({})
    assert environment.home == environment.agentgw_socket == environment.editor == ""
    assert environment.no_color is False


def test_no_color_counts_unless_it_is_empty() -> None:
    assert Environment({"NO_COLOR": "0"}).no_color is True
    assert Environment({"NO_COLOR": ""}).no_color is False


def test_visual_comes_before_editor() -> None:
    assert Environment({"VISUAL": "code -w", "EDITOR": "vi"}).editor == "code -w"
    assert Environment({"EDITOR": "vi"}).editor == "vi"


def test_the_daemon_gets_nothing_that_changes_which_code_it_runs() -> None:
    junk = dict.fromkeys(
        ("LD_PRELOAD", "LD_AUDIT", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONWARNINGS",
         "DYLD_INSERT_LIBRARIES", "LISTEN_PID", "LISTEN_FDNAMES"),
        "junk",
    )  # fmt: skip
    made = for_daemon({**junk, "PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib", "PYTHONDONTWRITEBYTECODE": "1"})
    assert made == {
        "PATH": "/bin", "LD_LIBRARY_PATH": "/opt/lib", "PYTHONDONTWRITEBYTECODE": "1",
        "LISTEN_FDS": "1", "AGENTGW_SPAWNED": "1",
    }  # fmt: skip


def test_a_relative_home_is_the_same_one_for_the_daemon() -> None:
    assert for_daemon({"AGENTGW_HOME": "here"})["AGENTGW_HOME"] == os.path.abspath("here")

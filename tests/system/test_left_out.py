from __future__ import annotations

import sys

import pytest

from agentgw_daemon.system.left_out import left_out


def test_what_is_absent_cannot_be_imported_and_what_is_empty_gives_any_name() -> None:
    assert "wave" not in sys.modules
    assert "sndhdr_of_nobody" not in sys.modules
    with left_out(absent=("wave",), empty=("sndhdr_of_nobody",)):
        with pytest.raises(ModuleNotFoundError):
            import wave
        from sndhdr_of_nobody import anything  # type: ignore[import-not-found]  # there is none

        assert anything is sys.modules["sndhdr_of_nobody"]
    assert "sndhdr_of_nobody" not in sys.modules
    import wave

    assert wave.open


def test_what_is_imported_already_stays_and_a_failure_leaves_nothing_behind() -> None:
    with pytest.raises(ZeroDivisionError), left_out(absent=("json",), empty=("nobody",)):
        import json

        assert json.dumps
        raise ZeroDivisionError
    assert "nobody" not in sys.modules

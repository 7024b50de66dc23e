from __future__ import annotations

from tests.bench.labelled import parts


def test_every_part_asks_and_every_file_is_there_once() -> None:
    made = parts()
    assert all(any(one.question for one in some) for some in made.values())
    files = [one.file for some in made.values() for one in some]
    assert len(files) == len(set(files))
    assert sum(name.startswith("language ") for name in made) == 10

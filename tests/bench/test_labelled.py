from __future__ import annotations

from tests.bench.labelled import parts


def test_every_part_asks_and_every_file_is_there_once() -> None:
    made = parts()
    assert {name: len([one for one in some if one.question]) for name, some in made.items()} == dict.fromkeys(made, 20)
    files = [one.file for some in made.values() for one in some]
    assert len(files) == len(set(files))
    assert sum(name.startswith("language ") for name in made) == 10

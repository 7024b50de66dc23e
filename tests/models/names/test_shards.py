"""Names of split models' files, as llama.cpp writes them."""

from __future__ import annotations

import pytest

from agentgw_daemon.models.names.shards import files_of, first_of, shard_of


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("m-00001-of-00002.gguf", ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf")),
        ("/a b/M-00002-OF-00002.GGUF", ("/a b/M-00001-OF-00002.GGUF", "/a b/M-00002-OF-00002.GGUF")),
        ("a-00001-of-00002/m-00002-of-00002.gguf",
         ("a-00001-of-00002/m-00001-of-00002.gguf", "a-00001-of-00002/m-00002-of-00002.gguf")),
        ("m-00001-of-00001.gguf", ("m-00001-of-00001.gguf",)),
        ("m\n-00002-of-00002.gguf", ("m\n-00001-of-00002.gguf", "m\n-00002-of-00002.gguf")),
    ],
)  # fmt: skip
def test_all_files_are_named_by_any(path: str, files: tuple[str, ...]) -> None:
    assert files_of(path) == files
    assert first_of(path) == files[0]


@pytest.mark.parametrize(
    "path",
    ["m.gguf", "m-00000-of-00002.gguf", "m-00003-of-00002.gguf", "m-1-of-2.gguf", "m-00001-of-00002.bin",
     "-00001-of-00002.gguf", "m-00001-of-00002.gguf.part", "m-\u0660\u0660\u0660\u0660\u0661-of-00002.gguf",
     "m-000001-of-000002.gguf", ""],
)  # fmt: skip
def test_other_names_stand_for_themselves(path: str) -> None:
    assert files_of(path) == (path,)
    assert first_of(path) == path


def test_a_count_beyond_all_models_makes_no_list() -> None:
    assert files_of("m-00001-of-99999.gguf") == ("m-00001-of-99999.gguf",)
    assert first_of("m-00777-of-99999.gguf") == "m-00001-of-99999.gguf"


def test_a_name_that_makes_no_sense_is_told_from_one_of_a_whole_model() -> None:
    assert shard_of("m.gguf") is None
    shard = shard_of("m-00009-of-00002.gguf")
    assert shard is not None
    assert not shard.makes_sense

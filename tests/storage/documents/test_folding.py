from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.documents.folding import folded, words_of


@given(st.text(st.characters(codec="ascii"), max_size=60) | st.text(max_size=60))
def test_the_folded_words_of_a_text_are_its_words_however_it_is_written(text: str) -> None:
    words = [word for word, _, _ in words_of(text)]
    assert folded(text) == f" {'  '.join(words)} "

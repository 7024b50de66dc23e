from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgw_daemon.storage.documents import finding, names
from agentgw_daemon.storage.documents.selection import Filter, Selection
from agentgw_daemon.storage.file.store import DatabaseFiles
from agentgw_daemon.storage.sqlite.library import sqlite_utils
from agentgw_daemon.storage.words import scoring
from agentgw_daemon.storage.words.folding import fold
from agentgw_daemon.storage.words.terms import terms_of
from tests.storage.direct import Direct, InTransaction, run
from tests.storage.papers import new, pieces_of

_CHANCE = random.Random(3)
# Some words everywhere, many words rarely, as languages have it.
_VOCABULARY = [f"word{n}" for n in range(200)]
_WEIGHTS = [1 / (n + 1) for n in range(200)]


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    store = DatabaseFiles(tmp_path_factory.mktemp("words"), "WAL")
    store.open()
    made = Direct(store)
    for n in range(60):
        texts = [" ".join(_CHANCE.choices(_VOCABULARY, _WEIGHTS, k=20)) for _ in range(10)]
        tags = ("rare",) if n == 7 else ()
        run(made.documents.put(new(f"/{n}", *texts, tags=tags), pieces_of(*texts), None))
    special = ["Das Café in Zürich: C++ and foo_bar AND NOT (this).", "明日の東京の天気はどうですか", "naïve résumé"]
    run(made.documents.put(new("/special", *special, title="Heading words"), pieces_of(*special), None))
    yield made
    store.close()


def _texts(direct: Direct, query: str, most: int = 10, **fields: object) -> list[str]:
    wanted = Filter(**fields)  # type: ignore[arg-type]  # fields by name
    found = run(direct.chunks.by_words(terms_of(query), most, wanted))
    rows = run(direct.chunks.read([match.n for match in found.matches], wanted))
    assert [row.n for row in rows] == [match.n for match in found.matches]
    return [row.text for row in rows]


def _by_fts(direct: Direct, query: str, most: int) -> list[float]:
    """The scores that FTS5's own bm25() gives, all chunks looked at."""
    match = " OR ".join(term.match for term in terms_of(query).terms)
    sql = "SELECT -rank FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY rank LIMIT ?"
    return direct.store.read(lambda db: [row[0] for row in db.execute(sql, (match, most))])


def test_the_best_are_those_of_bm25(direct: Direct) -> None:
    for query in ("word150 word90", "word30 word31 word32", "word199", "word10 word120"):
        found = run(direct.chunks.by_words(terms_of(query), 10, Filter()))
        for mine, theirs in zip((match.score for match in found.matches), _by_fts(direct, query, 10), strict=True):
            # Another idf, which is never negative, and lengths of the candidates alone.
            assert math.isclose(mine, theirs, rel_tol=0.2)


@pytest.mark.parametrize(
    "query", ["cafe", "CAFÉ zurich", "c++", "foo_bar", '"and not this"', "東京", "resume naive", "heading", "zür*"]
)
def test_case_accents_punctuation_and_scripts_hide_nothing(direct: Direct, query: str) -> None:
    assert "Das Café" in " ".join(_texts(direct, query, 3)) or "東京" in query or "naive" in query
    assert _texts(direct, query, 3)


def test_a_phrase_is_a_phrase(direct: Direct) -> None:
    assert _texts(direct, '"in zürich"')
    assert not _texts(direct, '"zürich in"')


def test_any_word_will_do_and_more_are_better(direct: Direct) -> None:
    found = _texts(direct, "zürich unheardof café")
    assert len(found) == 1
    assert not _texts(direct, "unheardof")


def test_an_ending_that_very_many_files_have_hides_no_name(direct: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(12):
        run(direct.documents.put(new(f"/data{n}.zip", f"nothing {n}"), pieces_of(f"nothing {n}"), None))
    run(direct.documents.put(new("/budget.zip", "nothing more"), pieces_of("nothing more"), None))
    monkeypatch.setattr(names, "_RANKED", 12)
    assert _texts(direct, "budget zip", 3)[0] == "nothing more"
    assert len(_texts(direct, "zip", 50)) == 10
    run(direct.documents.remove(Selection(text=".zip")))


def test_a_text_is_folded_once_however_many_names_are_looked_for(
    direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 0

    def counting(text: str) -> str:
        nonlocal times
        times += 1
        return fold(text)

    names_asked = [f"foo_bar{n}" for n in range(20)]
    monkeypatch.setattr(scoring, "fold", counting)
    found = run(direct.chunks.by_words(terms_of(" ".join(["foo_bar", *names_asked])), 10, Filter())).matches
    assert len(found) == 1
    assert times <= len(names_asked) + 2


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("นโยบายการลาพักร้อนของบริษัทคือสิบวันต่อปี", "ลาพักร้อน"),
        ("ﾌﾟﾛｼﾞｪｸﾄの締切は金曜日です。", "プロジェクト"),
        ("The holidays of the year are ten working days.", "holidays"),
    ],
)
def test_a_word_alone_says_as_much_in_a_script_without_spaces(direct: Direct, text: str, query: str) -> None:
    run(direct.documents.put(new("/a", text), pieces_of(text), None))
    (found,) = run(direct.chunks.by_words(terms_of(query), 10, Filter())).matches
    run(direct.documents.remove(Selection(sources=("/a",))))
    assert found.share > 0.8
    assert found.named >= 0.5


@pytest.mark.parametrize("limit", [5, 60, 100_000])
@pytest.mark.parametrize("query", ["word0", "word0 word1", "word0 word50", "word3 word150 unheardof"])
def test_filters_are_exact_and_common_words_no_excuse(
    direct: Direct, monkeypatch: pytest.MonkeyPatch, limit: int, query: str
) -> None:
    monkeypatch.setattr(finding, "_LOOKED_AT", limit)
    monkeypatch.setattr(finding, "_COUNTED", limit)
    sought = set(query.split())
    rare = _texts(direct, query, 100, tags=("rare",))
    all_rare = direct.store.read(
        lambda db: [row[0] for row in db.execute(
            "SELECT text FROM chunks WHERE content = (SELECT content FROM documents WHERE source = '/7')"
        )]
    )  # fmt: skip
    assert sorted(rare) == sorted(text for text in all_rare if sought & set(text.split()))
    assert len(_texts(direct, query, 50)) == 50


@pytest.mark.parametrize("query", ["word199", "word0 word199"])
def test_a_filter_in_many_pieces_is_not_looked_into_piece_by_piece(
    direct: Direct, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(finding, "_LOOKED_AT", 100)
    monkeypatch.setattr(finding, "_PARTS", 20)

    def put(db: sqlite_utils.Database) -> None:
        documents = InTransaction(db).documents
        for n in range(80):
            tags = ("odd",) if n % 2 else ()
            run(documents.put(new(f"/odd/{n}", f"odd {n} word0", tags=tags), pieces_of(f"odd {n} word0"), None))

    direct.store.write(put)
    statements: list[str] = []
    direct.store.read(lambda db: db.conn.set_trace_callback(statements.append))
    found = _texts(direct, query, 50, tags=("odd",))
    direct.store.read(lambda db: db.conn.set_trace_callback(None))
    run(direct.documents.remove(Selection(sources=("/odd",))))
    assert len(found) == (40 if "word0" in query else 0)
    assert sum("chunks_fts MATCH" in one for one in statements) < 12


def test_the_index_of_words_can_be_made_anew_from_the_chunks(direct: Direct) -> None:
    before = _texts(direct, "heading word150")
    direct.store.write(lambda db: db.execute("INSERT INTO chunks_fts (chunks_fts) VALUES ('delete-all')"))
    assert not _texts(direct, "word150")
    assert direct.store._rebuilt_index()
    assert _texts(direct, "heading word150") == before


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_text_is_a_syntax_error(direct: Direct, query: str) -> None:
    run(direct.chunks.by_words(terms_of(query), 5, Filter()))


@pytest.mark.parametrize("query", ["", " ", "\0", '"', "*", "AND", "NEAR(a b)", "a:b", "heading:x", "^a", "(", "🙂"])
def test_no_query_is_syntax(direct: Direct, query: str) -> None:
    run(direct.chunks.by_words(terms_of(query), 5, Filter()))

"""Quality of what is found first, part by part: languages, names, phrases, file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.bench.chromas import Chroma
from tests.bench.figure import Figure
from tests.bench.knowledge_cases import embeddings, hit_rate
from tests.bench.labelled import parts
from tests.bench.library import Library
from tests.bench.plain_words import by_bm25
from tests.bench.points import nearest
from tests.bench.setting import Setting

# Which come first, and which are among the first five.
DEPTHS: Final = (1, 5)
_MOST: Final = max(DEPTHS)


def labelled(setting: Setting) -> Iterator[Figure]:
    """The shares of questions whose document comes first or among the first five, against vectors alone, chromadb and
    FTS5.
    """
    asked_of = {name: [one for one in some if one.question] for name, some in parts().items()}
    asked = [one for some in asked_of.values() for one in some]
    with setting.variant() as one:
        library, folder = Library(one), one.directory / "papers"
        _write(folder)
        library.ingest(folder)
        with library.connected() as client:
            ours = [
                [
                    _file(chunk["source"])
                    for chunk in client.call("document.search", query=want.question, k=_MOST)["chunks"]
                ]
                for want in asked
            ]
            vectors = embeddings(client, [want.question for want in asked])
        one.stop()
        stored = library.stored()
        with Chroma(stored.vectors, one.directory) as chroma:
            orders = {
                "vectors alone": nearest(stored.vectors, vectors, _MOST).tolist(),
                "chromadb": chroma.ask(vectors, _MOST).found,
                "FTS5's bm25": by_bm25(stored.texts, [want.question for want in asked], _MOST),
            }
    files = [_file(source) for source in stored.sources]
    theirs = {whose: [[files[row] for row in rows] for rows in found] for whose, found in orders.items()}
    at = 0
    for name, some in asked_of.items():
        span = slice(at, at + len(some))
        at += len(some)
        yield from _figures(
            name, [want.file for want in some], ours[span], {whose: f[span] for whose, f in theirs.items()}
        )


def _figures(
    name: str, wanted: Sequence[str], ours: Sequence[Sequence[str]], theirs: dict[str, list[list[str]]]
) -> Iterator[Figure]:
    for depth in DEPTHS:
        mine = hit_rate(wanted, [one[:depth] for one in ours])
        for whose, found in theirs.items():
            other = hit_rate(wanted, [one[:depth] for one in found])
            yield Figure(
                case="labelled", what=f"hit@{depth}, {name}, against {whose}", unit="", ratio=mine / max(other, 0.01),
                command=f"document.search, {len(wanted)} questions", baseline_command=whose, measured=mine,
                baseline=other, target=1,
            )  # fmt: skip


def _write(folder: Path) -> None:
    folder.mkdir()
    for some in parts().values():
        for one in some:
            (folder / one.file).write_text(one.text + "\n", encoding="utf-8")


def _file(source: str) -> str:
    return Path(source).name


LABELLED: Final[dict[str, Callable[[Setting], Iterator[Figure]]]] = {"labelled": labelled}

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest

from agentgw_daemon.workers.retrieval.reading.decoding import DecodedText, decode
from agentgw_daemon.workers.retrieval.reading.replacing import replaced, with_accents, without_terminal_codes
from tests.workers.retrieval.reading.reads import read_bytes, read_text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Schr\"odinger Schr\"{o}dinger Schr{\"o}dinger", "Schrödinger " * 3),
        (r"Caf\'{e} na\"{\i}ve na\"\i ve", "Café naïve naïve"),
        (r"Stra\ss e Stra\ss{}e {\ss} \ss\ ", "Straße Straße ß ß\\"),
        (r"\L{}\'od\'z \v{C}apek Ko\v sice Erd\H{o}s gar\c con", "Łódź Čapek Košice Erdős garçon"),
        (r"\o re \AA rhus {\ae}on \~n \^{e} \`a", "øre Århus æon ñ ê à"),
        (r"50\% of snake\_case, Donau\-dampf \& co", "50% of snake_case, Donaudampf & co"),
        (r"a\\'b \= c \"q \v{2} \verb|\"o| \omega \oe\ae", 'a\\\\\'b \\= c \\"q \\v{2} \\verb|\\"o| \\omega œæ'),
        ('\\begin{verbatim}\n\\"o\n\\end{verbatim}\\"o', '\\begin{verbatim}\n\\"o\n\\end{verbatim}ö'),
    ],
)
def test_letters_stand_for_the_commands_of_latex(source: str, text: str) -> None:
    assert with_accents(decode(source.encode())).text.split() == text.split()


def test_a_catalogue_has_its_names_and_titles_as_they_are_printed(tmp_path: Path) -> None:
    entry = 'author = {G{\\"o}del, Kurt}, title = "{D}eep learning of {\\\'E}t{\\\'e}", url = {x}'
    document, [piece] = read_text("a.bib", entry)
    assert piece.text == 'author = {Gödel, Kurt}, title = "Deep learning of Été", url = {x}'
    assert not document.extracted


@pytest.mark.parametrize(
    "codes",
    [
        "\x1b[31m",
        "\x1b[0;1;38;5;208m",
        "\x1b]0;a title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1b(B",
        "\x1b[?25h",
        "\x1b=",
        "\x1b[K",
    ],
)
def test_colours_do_not_stick_to_words(codes: str) -> None:
    assert without_terminal_codes(decode(f"{codes}ERROR{codes} disk{codes}\n".encode())).text == "ERROR disk\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16-le"])
def test_places_stay_those_of_the_file(encoding: str) -> None:
    source = "äbc<>de<ö>fü<>"
    found = decode(source.encode(encoding), encoding)
    made = replaced(found, re.compile("<.?>"), lambda part: part[0][1:-1] * 2)
    assert made.text == "äbcdeööfü"
    places = [made.size(0, at) for at in range(len(made.text) + 1)]
    assert places == [found.size(0, at) for at in (0, 1, 2, 5, 6, 7, 7, 10, 11, 14)]


def test_a_coloured_log_has_its_own_lines_and_bytes(tmp_path: Path) -> None:
    line = "\x1b[31mERROR\x1b[0m Größe \0\0\0\0\0\0\0\0\0of the disk is too small for number {}\n"
    data = "".join(line.format(n) for n in range(200)).encode()
    document, pieces = read_bytes(tmp_path, "a.log", data)
    assert not document.extracted
    assert "\x1b" not in "".join(piece.text for piece in pieces)
    for piece in pieces:
        first = piece.text.split("\n")[0]
        assert "ERROR Größe  of the disk" in first
        lines = data[: piece.first_byte].count(b"\n")
        assert (piece.first_line, f"number {lines}") == (lines + 1, first[first.index("number") :])
        shown = data[piece.first_byte : piece.last_byte].decode()
        assert shown.startswith("ERROR")
        assert shown.endswith(piece.text[-10:])


def test_letters_of_markup_may_be_written_as_in_html() -> None:
    text = "# M&uuml;ller &amp; S&#246;hne\n\nA &lt;b&gt; &nosuch; &hellip; &#x2014; a&b; 1&nbsp;km Donau&shy;dampf\n"
    document, [piece] = read_text("a.md", text)
    assert document.title == "Müller &amp; Söhne"
    assert piece.text == "# Müller &amp; Söhne\n\nA &lt;b&gt; &nosuch; … — a&b; 1\xa0km Donaudampf"


class Counted(DecodedText):
    """A text that counts the characters whose bytes are counted."""

    counted: ClassVar[int] = 0

    def size(self, start: int, end: int) -> int:
        """Counts."""
        Counted.counted += end - start
        return super().size(start, end)


@pytest.mark.parametrize("unit", ["\x1b[31mErröR\x1b[0m ", "\x1b[31m", "ö"])
def test_places_are_found_with_work_in_proportion_to_the_text(unit: str) -> None:
    Counted.counted = 0
    found = Counted(unit * 2_000)
    made = without_terminal_codes(found)
    sizes = [made.size(at, at + 5) for at in range(0, len(made.text), 5)]
    assert sum(sizes) <= len(found.text.encode())
    assert Counted.counted <= len(found.text) + len(made.text)

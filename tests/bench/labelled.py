"""Small documents with questions whose answers are known: ten languages, names, phrases, file names. Made up here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A document, by its file's name, and a question that it answers."""

    file: str
    text: str
    question: str


# A line a document: its text, a tab, the question. The same matters in each language.
_LANGUAGES: Final = sorted((Path(__file__).parent / "languages").glob("*.tsv"))

# What is asked for, and what only looks like it.
_NAMES: Final = (
    ("HashKnownHosts", "Hash the known hosts before you copy the file."),
    ("4711-AB/2026", "Order 4711 of 2026 went to AB Limited."),
    ("C++17", "C is from 1972, and 17 compilers translate it."),
    ("--no-verify", "Verify that there is no other hook."),
    ("ERR_X509", "An X509 certificate can be in error."),
    ("192.168.0.1", "The router has 192.168.0.10 by now."),
    ("foo_bar", "A foo walks into a bar."),
    (".bashrc", "The shell bash reads an rc file when it starts."),
    ("std::vector<int>", "A vector of int is standard."),
    ("$HOME/.config", "Configure it at home."),
    ("SIGUSR2", "The signal USR came two times."),
    ("v2.31.4", "Version 2 has 31 parts and 4 more."),
    ("max_open_files", "Open files at most, and the most files open."),
    ("ABC-00417", "The alphabet has ABC, and 417 follows 416."),
    ("foo.example.org", "An example is in the folder of the organisation foo."),
    ("O_NONBLOCK", "Do not block, and do not open."),
    ("text/x-python", "Python is a text, x is not."),
    ("@dataclass", "A class of data has data."),
    ("ISBN 978-3-16-148410-0", "ISBN numbers have 978 at their beginning, then 3 and 16."),
    ("x86_64-linux-gnu", "GNU and Linux run on x86 with 64 bits."),
)

_PHRASES: Final = (
    ("the fine manual", "The manual that is fine was read."),
    ("not a bug", "A bug is not what this is, it is a feature."),
    ("time after time", "After some time there was time again."),
    ("second to none", "None was second to arrive."),
    ("the end of the pier", "The pier was at its end when the ends met."),
    ("by hand or by foot", "Foot and hand were cold by night."),
    ("nothing but the truth", "The truth is that nothing was said, but loudly."),
    ("a storm in a teacup", "The teacup broke in a storm."),
    ("out of the blue", "Blue is out this year."),
    ("once in a lifetime", "A lifetime is lived once."),
    ("better late than never", "It was never better than late in the day."),
    ("the other way round", "Go round the other house, it is a long way."),
    ("ask no questions", "No, the questions that they ask are good."),
    ("a matter of course", "Of course the matter was closed."),
    ("left, right and centre", "The centre is right of what was left."),
    ("to be continued", "It continued to be dull."),
    ("the lesser evil", "Evil is less of a word than the others."),
    ("mind the gap", "The gap is in the mind."),
    ("keep it simple", "It is simple to keep."),
    ("one of a kind", "A kind word is one of many."),
)

_FILES: Final = (
    ("Invoice_Miller_2026.txt", "invoice miller"), ("BackupPlanNorth.md", "backup plan north"),
    ("übersicht-kantine.txt", "Übersicht Kantine"), ("報告書.txt", "報告書"),
    ("minutes-of-april.md", "minutes of april"), ("Rechnung_Müller_März.txt", "rechnung mueller maerz"),
    ("holiday_photos_list.txt", "holiday photos list"), ("taxReturn2025.md", "tax return 2025"),
    ("garten-plan-süd.txt", "Gartenplan süd"), ("statuts_association.txt", "statuts association"),
    ("Überstunden Oktober.txt", "ueberstunden oktober"), ("протокол-собрания.txt", "протокол собрания"),
    ("会议记录.txt", "会议记录"), ("recipe.box.soups.md", "recipe box soups"),
    ("CV_Anna_Kowalska.txt", "cv anna kowalska"),
    ("umowa-najmu-łódź.txt", "umowa najmu lodz"), ("spare parts (bicycle).txt", "spare parts bicycle"),
    ("warranty-dishwasher-X300.txt", "warranty dishwasher"), ("presupuesto_baño.txt", "presupuesto bano"),
    ("letter to the council, draft 3.md", "letter to the council draft"),
)  # fmt: skip


def parts() -> dict[str, list[Asked]]:
    """The documents with their questions, by what is tried with them. Decoys have no question."""
    made = {}
    for file in _LANGUAGES:
        pairs = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        made[f"language {file.stem}"] = [
            Asked(file=f"{file.stem}{at}.txt", text=text, question=question)
            for at, (text, question) in enumerate(pairs)
        ]
    made["names"] = _beside("name", _NAMES, quoted=False)
    made["phrases"] = _beside("phrase", _PHRASES, quoted=True)
    made["file names"] = [
        Asked(file=file, text=f"Paper number {at}, with nothing that says what it is.", question=question)
        for at, (file, question) in enumerate(_FILES)
    ]
    return made


def _beside(kind: str, pairs: tuple[tuple[str, str], ...], *, quoted: bool) -> list[Asked]:
    made = []
    for at, (sought, decoy) in enumerate(pairs):
        text = f"Line {at} of a list in which {sought} stands among others."
        made.append(Asked(file=f"{kind}{at}.txt", text=text, question=f'"{sought}"' if quoted else sought))
        made.append(Asked(file=f"{kind}{at}-decoy.txt", text=decoy, question=""))
    return made

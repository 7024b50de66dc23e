from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.retrieval.reading.reads import read_bytes, read_text

SAID = "The bees dance in the dark and tell where the flowers are. " * 3


def test_subtitles_are_what_is_said_below_the_minute() -> None:
    text = (
        f"1\n00:00:01,000 --> 00:00:03,000\n<i>{SAID}</i>\n\n2\n00:01:02,000 --> 00:01:05,000\n{{\\an8}}They sing.\n"
        "- And fly.\n"
    )
    for name in ("a.srt", "A.SRT"):
        document, pieces = read_text(name, text.replace("\n", "\r\n"))
        assert (document.format, document.extracted) == ("subtitles", True)
        assert [piece.title_path for piece in pieces] == ["00:00", "00:01"]
        assert pieces[0].text == SAID.strip()
        assert pieces[1].text == "They sing.\n- And fly."


def test_subtitles_of_the_web_say_who_speaks_and_leave_notes_and_settings_out() -> None:
    text = "WEBVTT\n\nNOTE secret\n\nintro\n00:01.000 --> 00:03.000 align:start\n<v.loud Anna>The bees &lt;3</v>\n"
    _, [piece] = read_text("a.vtt", text)
    assert piece.text == "Anna: The bees <3"
    _, [piece] = read_text("a.srt", text.replace("WEBVTT", "1").replace(" --> ", "-->"))
    assert piece.text == "Anna: The bees &lt;3"


def test_subtitles_with_styles_give_their_words(tmp_path: Path) -> None:
    events = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    events += "Dialogue: 0,0:00:01.00,0:00:03.00,Default,Anna,0,0,0,,{\\i1}Hello\\Nworld, friend{\\i0}\n"
    events += "Dialogue: 0,1:02:01.00,1:02:03.00,Default,,0,0,0,,The end\n"
    text = f"\ufeff[Script Info]\nTitle: x\n[V4+ Styles]\nStyle: Default,Arial\n[Events]\n{events}"
    document, pieces = read_bytes(tmp_path, "a.ass", text.replace("\n", "\r\n").encode())
    assert document.format == "subtitles"
    assert "\n\n".join(piece.text for piece in pieces) == "Anna: Hello world, friend\n\nThe end"


def test_lines_may_be_broken_inside_of_letters(tmp_path: Path) -> None:
    line = "SUMMARY:" + "ä" * 60
    folded = line.encode()[:75] + b"\r\n " + line.encode()[75:]
    data = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + folded + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    _, [piece] = read_bytes(tmp_path, "a.ics", data)
    assert piece.text == "ä" * 60


def test_a_card_without_a_name_to_show_has_another_one() -> None:
    card = "BEGIN:VCARD\nVERSION:2.1\nN:Doe;John;M.;;\nTEL;CELL:+491234\nEND:VCARD\n"
    card += "BEGIN:VCARD\nORG:Hive;Team\nEND:VCARD\n"
    _, [piece] = read_text("a.vcf", card)
    assert piece.text.split("\n\n") == ["John M. Doe", "Telephone: +491234", "Hive Team", "Organisation: Hive, Team"]


CALENDAR = """BEGIN:VCALENDAR
X-WR-CALNAME:Work
BEGIN:VTIMEZONE
TZID:X
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Hive\\, visit
DTSTART;TZID=Europe/Zurich:20260301T103000
DTEND:20260301T113000Z
DESCRIPTION:Bring a smo
 ker\\nand gloves
ATTENDEE;CN="Anna Bee":mailto:anna@example.org
BEGIN:VALARM
DESCRIPTION:alarm
END:VALARM
END:VEVENT
BEGIN:VTODO
SUMMARY:Honey
DUE;VALUE=DATE:20260401
END:VTODO
END:VCALENDAR
"""


def test_events_and_tasks_stand_below_their_names() -> None:
    document, pieces = read_text("a.ics", CALENDAR.replace("\n", "\r\n"))
    assert (document.format, document.title) == ("entries", "Work")
    assert "\n\n".join(piece.text for piece in pieces).split("\n") == [
        "Hive, visit", "", "Start: 2026-03-01 10:30", "End: 2026-03-01 11:30 UTC", "Bring a smoker", "and gloves",
        "Attendee: Anna Bee <anna@example.org>", "", "Honey", "", "Due: 2026-04-01",
    ]  # fmt: skip


def test_cards_stand_below_their_names_without_pictures() -> None:
    cards = (
        "BEGIN:VCARD\nVERSION:2.1\nN:Bee;Anna\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Anna B=C3=BC=\nhler\n"
        "TEL;HOME:+41 1\nitem1.EMAIL;TYPE=work:anna@example.org\nADR:;;Street 1;Basel;;4000;CH\nORG:Hive;Team\n"
        "PHOTO;ENCODING=BASE64:AAAA\nNOTE:Keeps\\nbees\nEND:VCARD\n"
        "BEGIN:VCARD\nFN;CHARSET=ISO-8859-2;ENCODING=QUOTED-PRINTABLE:=A3ukasz\nBDAY:1980-02-03\nEND:VCARD\n"
    )
    _, pieces = read_text("a.vcf", cards)
    assert "\n\n".join(piece.text for piece in pieces).split("\n") == [
        "Anna Bühler", "", "Telephone: +41 1", "E-mail: anna@example.org", "Address: Street 1, Basel, 4000, CH",
        "Organisation: Hive, Team", "Keeps", "bees", "", "Łukasz", "", "Birthday: 1980-02-03",
    ]  # fmt: skip


def test_broken_entries_end() -> None:
    for text in (
        "A" + ";" * 2000 + "\n",
        "BEGIN:VEVENT\n",
        "A:" + ";" * 1000 + "\n",
        " folded\n",
        "FN;ENCODING=QUOTED-PRINTABLE:=\n",
    ):
        card = "BEGIN:VCARD\nFN:Anna\nEND:VCARD\n"
        assert "Anna" in read_text("a.vcf", card + text * 2000)[1][0].text


def test_a_field_whose_bytes_are_no_text_leaves_the_others() -> None:
    damaged = "=00=01=02=03=FF=FE=00=01" * 40
    text = f"BEGIN:VCARD\nVERSION:2.1\nFN:Anna Bee\nNOTE;ENCODING=QUOTED-PRINTABLE:{damaged}\nORG:Hive\nEND:VCARD\n"
    _, [piece] = read_text("a.vcf", text)
    assert "Anna Bee" in piece.text
    assert "Hive" in piece.text
    assert "\0" not in piece.text


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.ass", "a.ics", "a.vcf"])
def test_what_is_only_called_so_is_read_as_it_stands(name: str) -> None:
    _, [piece] = read_text(name, "Just words: here.\nAnd more.\n")
    assert piece.text == "Just words: here.\nAnd more."


def test_blank_lines_are_a_part_of_what_is_said_and_numbers_are_not() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nOne\n\nafter a blank line, 42\n\n2\n00:00:03,000 --> 00:00:04,000\n7\n\n"
    _, [piece] = read_text("a.srt", text + "3\n00:00:05,000 --> 00:00:06,000\nEnd\n")
    assert piece.text.split("\n") == ["One", "after a blank line, 42", "7", "End"]


def test_entries_that_do_not_end_are_read() -> None:
    _, [piece] = read_text("a.ics", "BEGIN:VEVENT\nSUMMARY:One\nBEGIN:VEVENT\nSUMMARY:Two\nLOCATION:Hive\n")
    assert piece.text.split("\n\n") == ["One", "Two", "Location: Hive"]


def test_a_description_may_be_a_page() -> None:
    page = "X-ALT-DESC;FMTTYPE=text/html:<html><body><p>Bring <b>a smoker</b></p></body></html>\n"
    _, [piece] = read_text("a.ics", f"BEGIN:VEVENT\nSUMMARY:One\n{page}END:VEVENT\n")
    assert piece.text == "One\n\nBring a smoker"
    _, [piece] = read_text("a.ics", f"BEGIN:VEVENT\nSUMMARY:One\nDESCRIPTION:Bring it\n{page}END:VEVENT\n")
    assert piece.text == "One\n\nBring it"

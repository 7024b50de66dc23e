from __future__ import annotations

import base64
from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.formats.mails.messages import message
from tests.workers.retrieval.reading.reads import read_bytes


def test_a_message_has_its_headers_and_its_plain_text(tmp_path: Path) -> None:
    made = message("Grüße aus München", "Hallo Sam,\n\nes ist schön hier.\n", html="<p>Not this</p>")
    document, [piece] = read_bytes(tmp_path, "a.eml", bytes(made))
    assert (document.format, document.title) == ("email", "Grüße aus München")
    assert piece.title_path == "Grüße aus München"
    assert piece.text == (
        "From: Zoë <zoe@example.org>\nTo: sam@example.org\nDate: Thu, 26 Nov 2026 11:12:13 +0000\n"
        "Subject: Grüße aus München\n\nHallo Sam,\n\nes ist schön hier."
    )


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "cp1252"])
def test_any_charset_and_transfer_encoding_is_read(tmp_path: Path, charset: str) -> None:
    _, [piece] = read_bytes(tmp_path, "a.eml", bytes(message("x", "schön " * 30, charset=charset)))
    assert piece.text.count("schön") == 30


def test_html_is_read_where_there_is_no_plain_text(tmp_path: Path) -> None:
    made = message("x", "")
    made.set_content("<h1>News</h1><p>All is <b>well</b>.</p>", subtype="html")
    _, [piece] = read_bytes(tmp_path, "a.eml", bytes(made))
    assert piece.text.endswith("News\n\nAll is well.")


def test_all_texts_are_read_in_their_order_and_other_attachments_named(tmp_path: Path) -> None:
    made = message("Report", "See below.")
    made.add_attachment(b"%PDF-1.4 secret", maintype="application", subtype="pdf", filename="Bericht ü.pdf")
    made.add_attachment("plain notes", filename="notes.txt")
    made.add_attachment(message("Inner", "inner words"))
    made.add_attachment(b"x", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    document, pieces = read_bytes(tmp_path, "a.eml", bytes(made))
    text = "\n".join(piece.text for piece in pieces)
    places = [
        text.index(words) for words in ("See below.", "notes.txt", "plain notes", "Subject: Inner", "inner words")
    ]
    assert places == sorted(places)
    assert "Attachment: Bericht ü.pdf (application/pdf)" in text
    assert "secret" not in text
    assert document.parser_notes.notes == ["an attachment in Outlook's own format (winmail.dat) is not read"]


@pytest.mark.parametrize(
    ("subtypes", "note"),
    [
        (["pkcs7-mime", "x-pkcs7-mime"], "a text that S/MIME encrypts or encloses is not read"),
        (["pgp-encrypted", "octet-stream"], "a text that PGP encrypts is not read"),
        (["pkcs7-signature", "pgp-signature"], ""),
    ],
)
def test_a_text_that_is_encrypted_is_told(tmp_path: Path, subtypes: list[str], note: str) -> None:
    made = message("Sealed", "Words outside.")
    for subtype in subtypes:
        made.add_attachment(b"0\x80sealed words", maintype="application", subtype=subtype)
    document, [piece] = read_bytes(tmp_path, "a.eml", bytes(made))
    assert "Words outside." in piece.text
    assert "sealed words" not in piece.text
    assert document.parser_notes.notes == ([note] if note else [])


def test_a_page_is_read_where_the_plain_text_is_a_stub(tmp_path: Path) -> None:
    made = message("x", "Your program shows no HTML.", html="<p>" + "All is well. " * 30 + "</p>")
    _, [piece] = read_bytes(tmp_path, "a.eml", bytes(made))
    assert "All is well." in piece.text
    assert "shows no HTML" not in piece.text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_headers_may_have_bytes_as_they_stand(tmp_path: Path, encoding: str) -> None:
    data = "Subject: Grüße aus Köln\nFrom: Jürgen Müller <j@example.org>\n\nHallo\n".encode(encoding)
    document, [piece] = read_bytes(tmp_path, "a.eml", data)
    assert document.title == "Grüße aus Köln"
    assert "From: Jürgen Müller <j@example.org>" in piece.text


def test_a_boundary_that_never_comes_costs_no_text(tmp_path: Path) -> None:
    _, [piece] = read_bytes(tmp_path, "a.eml", b"Content-Type: multipart/mixed; boundary=x\n\nThe words are here.\n")
    assert "The words are here." in piece.text


def test_flowed_lines_are_joined(tmp_path: Path) -> None:
    data = b"Content-Type: text/plain; format=flowed\n\nOne line that \ngoes on.\nAnother.\n"
    _, [piece] = read_bytes(tmp_path, "a.eml", data)
    assert piece.text == "One line that goes on.\nAnother."


def test_a_line_of_text_separates_no_messages(tmp_path: Path) -> None:
    first = b"From zoe@example.org Thu Nov 26 11:12:13 2026\n"
    body = "Hello.\n\nFrom our side it is at 10:30.\nNote: bring it.\n\n>From there on.\n"
    _, [piece] = read_bytes(tmp_path, "a.mbox", first + bytes(message("One", body)))
    assert "From our side it is at 10:30.\nNote: bring it." in piece.text
    assert "\nFrom there on." in piece.text


def test_a_mailbox_has_a_section_for_each_message(tmp_path: Path) -> None:
    first = b"From zoe@example.org Thu Nov 26 11:12:13 2026\n"
    messages = [message(f"Number {n}", f"Text {n}.\n>From here on.\n") for n in range(3)]
    box = b"".join(first + bytes(one) + b"\n" for one in messages)
    document, pieces = read_bytes(tmp_path, "mail.mbox", box)
    assert (document.format, document.title) == ("mailbox", "mail.mbox")
    assert [piece.title_path for piece in pieces] == ["Number 0", "Number 1", "Number 2"]
    assert "Text 2." in pieces[2].text
    assert pieces[1].first_byte == pieces[0].last_byte + 2


def test_a_mailbox_without_a_message_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no message begins in it"):
        read_bytes(tmp_path, "a.mbox", b"Just words.\n")


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: =?utf-8?b?!!!?=\nFrom: =?no-such?q?a?=\n\ntext",
        b"Content-Type: text/plain; charset=no-such\n\ntext",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\ntext text!!",
        b"Content-Type: multipart/mixed\n\ntext",
        b"Content-Type: ;;;\nSubject\n\ntext",
        b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\nContent-Type: multipart/mixed; boundary=a\n\n" * 5000,
        b"Content-Type: text/plain; charset*=utf-8''%ff%fe; charset*1*=x\n\ntext",
        b"Content-Type: text/plain; charset=\"\xff\xfe\"\nSubject: \xff=?utf-8?q?=ff?=\n\n\xfftext",
        b"Content-Disposition: attachment; filename*0*=x'''%; filename*=\xff\nContent-Type: a/b\n\ntext",
        b"Content-Transfer-Encoding: quoted-printable\n\ntext=\n=4=ZZ=",
        b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(1500)) + b"\ntext",
        b"Content-Type: message/rfc822\n\n" * 1500 + b"text",
        b"To: " + b"a," * 200_000 + b"\n\ntext",
        b"",
    ],
)  # fmt: skip
def test_broken_messages_are_read_as_far_as_they_go(tmp_path: Path, data: bytes) -> None:
    document, _ = read_bytes(tmp_path, "a.eml", data)
    assert document.format == "email"


def encoded(text: str, charset: str) -> bytes:
    return base64.b64encode(text.encode(charset))


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"=?utf-8?B?w6?= =?utf-8?B?pA==?=", "ä"),
        (b"=?iso-8859-1?Q?caf=E9_=96_5_=80?=", "café – 5 €"),
        (b"=?gb2312?B?" + encoded("镕基", "gb18030") + b"?=", "镕基"),
        (b"=?x-unknown?Q?caf=C3=A9?=", "café"),
        (b"=?utf-8?Q?caf=C3=A9=FF?= rest", "café\ufffd rest"),
        (b"=?utf-8*en?q?caf=C3=A9?=", "café"),
        (b"=?utf-8?Q?caf=C3=A9?=\n =?iso-2022-jp?B?" + encoded("日本", "iso2022_jp") + b"?=\n x", "café日本 x"),
        (b"=?utf-8?Q?with space caf=C3=A9?=", "with space café"),
        (b"[list] =?utf-8?q?a?= b =?utf-8?q?c?=", "[list] a b c"),
        (b"C:\\users =?utf-8?q?a?= =?no", "C:\\users a =?no"),
    ],
)
def test_words_of_headers_are_read_as_they_are_meant(tmp_path: Path, subject: bytes, shown: str) -> None:
    document, _ = read_bytes(tmp_path, "a.eml", b"Subject: " + subject + b"\n\nx")
    assert document.title == shown


def test_a_long_header_is_cut_between_words(tmp_path: Path) -> None:
    names = b", ".join(b"=?utf-8?q?J=C3=BCrgen_%d?= <j@example.org>" % n for n in range(100))
    _, pieces = read_bytes(tmp_path, "a.eml", b"To: " + names + b"\n\nThe text.")
    text = " ".join(piece.text for piece in pieces)
    assert "Jürgen 15" in text
    assert "=?" not in text
    assert "The text." in text


PLAIN = b"Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"base64\n\nThis is no Base64 at all. Really, it is not.\n", "This is no Base64 at all. Really, it is not."),
        (
            b"base64\n\n" + encoded("Hallo Größe, this is fine. " * 5, "utf-8")[:-3] + b"!\n",
            "Hallo Größe, this is fine.",
        ),
        (
            b"BASE64\n\n" + base64.encodebytes("Größe, this is fine. ".encode() * 9) + b"\n--\nFrom the list.\n",
            "Größe, this is fine. --\nFrom the list.",
        ),
        (b"7bit\n\n" + "Grüße überall\n".encode(), "Grüße überall"),
        (b"x-uuencode\n\nbegin 644 a.txt\n+:&5L;&\\@=V]R;&0 \n \nend\n", "hello world"),
    ],
)
def test_what_is_not_sent_as_it_is_announced_is_read_as_it_stands(tmp_path: Path, body: bytes, shown: str) -> None:
    _, pieces = read_bytes(tmp_path, "a.eml", PLAIN + body)
    assert shown in " ".join(piece.text for piece in pieces).replace("\n\n--", " --").replace(" \n--", " --")


def test_a_page_without_a_charset_names_it_itself(tmp_path: Path) -> None:
    page = "<html><head><meta charset=koi8-r></head><body>Привет, мир</body></html>".encode("koi8-r")
    _, [piece] = read_bytes(tmp_path, "a.eml", b"Subject: x\nContent-Type: text/html\n\n" + page)
    assert piece.text == "Subject: x\n\nПривет, мир"


@pytest.mark.parametrize("charset", ["charset*=us-ascii'en'koi8-r", "charset='koi8-r'", "charset=KOI8-R"])
def test_a_charset_may_be_named_in_any_way(tmp_path: Path, charset: str) -> None:
    data = f"Subject: x\nContent-Type: text/plain; {charset}\n\nПривет, мир, как дела".encode("koi8-r")
    _, [piece] = read_bytes(tmp_path, "a.eml", data)
    assert piece.text.endswith("Привет, мир, как дела")


CALENDAR = b"""BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART:20260101T100000Z
SUMMARY:Team meeting
DESCRIPTION:Bring\\, please
END:VEVENT
END:VCALENDAR
"""


def test_invitations_and_rich_text_are_read_as_such(tmp_path: Path) -> None:
    data = b"Subject: x\nContent-Type: multipart/mixed; boundary=m\n\n--m\n"
    data += b"Content-Type: multipart/alternative; boundary=a\n"
    data += (
        b"\n--a\nContent-Type: text/plain\n\nSee below\n--a\nContent-Type: text/calendar\n\n" + CALENDAR + b"--a--\n"
    )
    data += b"--m\nContent-Type: text/rtf\n\n{\\rtf1\\ansi Rich \\b words\\b0}\n--m--\n"
    _, [piece] = read_bytes(tmp_path, "a.eml", data)
    assert piece.text.split("\n\n")[1:] == [
        "See below", "Team meeting", "Start: 2026-01-01 10:00 UTC\nBring, please", "Rich words",
    ]  # fmt: skip


SAVED = b"""From: <Saved by a browser>
Subject: Page
MIME-Version: 1.0
Content-Type: multipart/related; type="text/html"; boundary=b

--b
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<html><head><title>Page</title></head><body>Hello =3D words</body></html>
--b
Content-Type: text/css

body { color: red }
--b--
"""


@pytest.mark.parametrize("name", ["a.mht", "a.mhtml", "a.eml"])
def test_of_a_saved_page_its_text_is_read(tmp_path: Path, name: str) -> None:
    _, [piece] = read_bytes(tmp_path, name, SAVED)
    assert piece.text.endswith("Hello = words")


WHOLE = b"From: a@b.c\nTo: d@e.f\nDate: Thu, 26 Nov 2026 11:12:13 +0000\nSubject: Inner\n\nBody words here.\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.emlx", b"%d\n" % len(WHOLE) + WHOLE + b"<plist><dict><key>flags</key></dict></plist>"),
        ("1700000000.M1P2.host,S=123:2,S", b"Return-Path: <a@b.c>\nX-MS-0: 1\nX-Spam_score: 5\n" + WHOLE),
        ("cur", b"".join(b"ARC-Seal: i=%d;\n\tb=%s\n" % (n, b"A" * 900) for n in range(9)) + WHOLE),
        ("a.eml", b"\xef\xbb\xbf" + WHOLE),
    ],
)
def test_messages_are_known_as_programs_keep_them(tmp_path: Path, name: str, data: bytes) -> None:
    document, [piece] = read_bytes(tmp_path, name, data)
    assert (document.format, document.title) == ("email", "Inner")
    assert piece.text.endswith("Body words here.")


def test_a_mailbox_may_be_empty_and_begin_with_anything(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, "a.mbox", b"")[1] == []
    line = b"From a@b.c Thu Nov 26 11:12:13 2026\n"
    for data in (b"\xef\xbb\xbf" + line + WHOLE, WHOLE + b"\n" + line + b"Subject: Two\n\nSecond.\n"):
        _, pieces = read_bytes(tmp_path, "a.mbox", data)
        assert pieces[0].text.endswith("Body words here.")
    assert pieces[1].text == "Subject: Two\n\nSecond."


def test_flowed_lines_are_joined_in_quotations_too(tmp_path: Path) -> None:
    data = b"Content-Type: text/plain; format=flowed; delsp=yes\n\n"
    data += "こ \nれ\n> quoted t \n> hat\n>> deep\n".encode()
    _, [piece] = read_bytes(tmp_path, "a.eml", data)
    assert piece.text == "これ\n> quoted that\n>> deep"


@pytest.mark.parametrize("says", [b"Content-Disposition: attachment\n", b""])
@pytest.mark.parametrize("plain", [b"See the page.", b"A text that is as long as the page, more or less. " * 8])
def test_files_that_are_attached_to_one_form_of_a_message_are_named(tmp_path: Path, plain: bytes, says: bytes) -> None:
    page = b"<p>" + b"All is well. " * 30 + b"</p>"
    data = b"Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + plain
    data += b"\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: text/html\n\n" + page
    data += b"\n--c\nContent-Type: application/pdf; name=z.pdf\n" + says + b"\nx\n--c--\n--b--\n"
    _, pieces = read_bytes(tmp_path, "a.eml", data)
    text = "\n".join(piece.text for piece in pieces)
    assert text.count("Attachment: z.pdf (application/pdf)") == 1
    assert ("All is well." in text) == (len(plain) < 20)

from __future__ import annotations

from pathlib import Path

import pytest

from agentgw_daemon.workers.retrieval.reading.values import Unreadable
from tests.workers.retrieval.reading.formats.mails import message
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
    assert document.findings.notes == ["an attachment in Outlook's own format (winmail.dat) is not read"]


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

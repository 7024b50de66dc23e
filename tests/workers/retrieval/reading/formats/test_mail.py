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


def test_attachments_are_named_and_not_read(tmp_path: Path) -> None:
    made = message("Report", "See below.")
    made.add_attachment(b"%PDF-1.4 secret", maintype="application", subtype="pdf", filename="Bericht ü.pdf")
    made.add_attachment("plain secret", filename="notes.txt")
    made.add_attachment(message("Inner", "inner secret"))
    _, [piece] = read_bytes(tmp_path, "a.eml", bytes(made))
    assert piece.text.endswith(
        "See below.\n\nAttachment: Bericht ü.pdf (application/pdf)\nAttachment: notes.txt (text/plain)\n"
        "Attachment: message/rfc822"
    )
    assert "secret" not in piece.text


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
        b"To: " + b"a," * 200_000 + b"\n\ntext",
        b"",
    ],
)  # fmt: skip
def test_broken_messages_are_read_as_far_as_they_go(tmp_path: Path, data: bytes) -> None:
    document, _ = read_bytes(tmp_path, "a.eml", data)
    assert document.format == "email"

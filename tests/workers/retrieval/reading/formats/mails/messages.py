"""Messages to read."""

from __future__ import annotations

from email.message import EmailMessage


def message(subject: str, body: str, *, html: str = "", charset: str = "utf-8") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Zoë <zoe@example.org>"
    made["To"] = "sam@example.org"
    made["Date"] = "Thu, 26 Nov 2026 11:12:13 +0000"
    made["Subject"] = subject
    made.set_content(body, charset=charset)
    if html:
        made.add_alternative(html, subtype="html")
    return made

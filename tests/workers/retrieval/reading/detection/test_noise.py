from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from typing import Final

import pytest

from agentgw_daemon.workers.retrieval.reading.detection.noise import refuse_noise
from agentgw_daemon.workers.retrieval.reading.values import Unreadable

_POINTS: Final = 40_000


def tone(at: int) -> float:
    """A point of a hoarse tone, between -1 and 1."""
    return 0.6 * math.sin(at / 16) + random.Random(at).gauss(0, 0.05)


NOISE: Final[dict[str, Callable[[], bytes]]] = {
    "unsigned sound": lambda: bytes(int(128 + 100 * tone(n)) & 255 for n in range(_POINTS)),
    "quiet sound": lambda: bytes(int(128 + 8 * tone(n)) & 255 for n in range(_POINTS)),
    "signed sound": lambda: bytes(int(100 * tone(n)) & 255 for n in range(_POINTS)),
    "sixteen bits": lambda: b"".join(struct.pack("<h", int(20_000 * tone(n))) for n in range(_POINTS // 2)),
    "sixteen bits, the other end first": lambda: b"".join(
        struct.pack(">h", int(20_000 * tone(n))) for n in range(_POINTS // 2)
    ),
    "thirty-two bits": lambda: b"".join(struct.pack("<f", tone(n)) for n in range(_POINTS // 4)),
    "grey points": lambda: bytes(int(100 + 150 * (n % 200) / 200 * random.Random(n).random()) for n in range(_POINTS)),
    "bright points": lambda: bytes(200 + random.Random(n).randrange(56) for n in range(_POINTS)),
    "coloured points": lambda: bytes(
        max(32, min(255, int(140 + 80 * math.sin(n / 300) + random.Random(n).gauss(0, 8) + (0, 20, -25)[n % 3])))
        for n in range(_POINTS)
    ),
    "one colour": lambda: b"\xc8" * _POINTS,
    "anything": lambda: random.Random(7).randbytes(_POINTS),
}


@pytest.mark.parametrize("name", NOISE)
def test_raw_sound_and_pictures_are_refused(name: str) -> None:
    with pytest.raises(Unreadable, match="is binary data, not text"):
        refuse_noise(NOISE[name]())


_RUSSIAN = "Все люди рождаются свободными и равными в своём достоинстве и правах. "
_POLISH = "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności. "
_GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια. "
_THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ "
_JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"
_CHINESE = "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。"
_KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "
_ARABIC = "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. "
_FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits. "


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        (_RUSSIAN, "cp1251 koi8-r cp866 mac_cyrillic iso8859-5 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-8"),
        (_POLISH, "iso8859-2 cp1250 cp852 mac_latin2"), (_GREEK, "cp1253 iso8859-7 cp737"), (_THAI, "tis-620"),
        (_JAPANESE, "cp932 euc_jp iso2022_jp utf-16-le utf-16-be"), (_CHINESE, "gb18030 gb2312 utf-16-le utf-32-be"),
        (_KOREAN, "cp949 utf-32-le"), (_ARABIC, "cp1256 iso8859-6"), (_FRENCH, "cp1252 mac_roman cp850"),
        ("│ Größe ║ 5 ├───┤ ╔═══╗ ░▒▓█\r\n", "cp437 cp850"),
        ("имя;город;улица;дом 5\n\"Иванов\";Москва;[нет];№7\n<b>жирный</b> текст = ключ\n", "cp1251 cp866"),
    ],
)  # fmt: skip
def test_text_in_any_encoding_is_not_refused_as_noise(text: str, encodings: str) -> None:
    for encoding in encodings.split():
        for times in (1, 40, 700):
            refuse_noise((text * times).encode(encoding, "replace"))


def test_a_log_with_a_hole_and_broken_utf8_is_not_refused_as_noise() -> None:
    refuse_noise(b"12:00 started\n" * 50 + bytes(4096) + "12:01 geöffnet\n".encode() * 50)
    refuse_noise(("Grüße aus Köln. " * 100).encode() + b"\xff\xfe\x80" * 20)

"""JSON Schema's `format`: what a grammar writes for each of the known ones, and whether a value is of it. Pure.

A grammar writes less than a format allows: no February 29th, no leap second, no quoted mailbox.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

_DATE: Final = (
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME: Final = rf"{_CLOCK}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_CLOCK})"
_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?"
_HOST: Final = rf"{_LABEL}(\.{_LABEL}){{0,3}}"
# Bounded: a small model would go on for ever.
_WORD: Final = "[A-Za-z0-9_+-]{1,20}"
_STEP: Final = "[A-Za-z0-9._~&=-]{0,20}"
_BYTE: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HEX: Final = "[0-9a-f]"
# Of strings: as a pattern of `pattern`, a whole string.
PATTERNS: Final[Mapping[str, str]] = {
    "date": f"^({_DATE})$",
    "time": f"^({_TIME})$",
    "date-time": f"^({_DATE}T{_TIME})$",
    "email": rf"^{_WORD}(\.{_WORD}){{0,2}}@{_LABEL}(\.{_LABEL}){{1,3}}$",
    "hostname": f"^{_HOST}$",
    "ipv4": rf"^{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}$",
    "uuid": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",
    "uri": rf"^https?://{_HOST}(:[1-9][0-9]{{0,3}})?(/{_STEP}){{0,4}}(\?{_STEP})?$",
}
# Of numbers, as OpenAPI has them: the least and the largest, where what is written may be beyond.
RANGES: Final[Mapping[str, tuple[int, int] | None]] = {
    "int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "float": None, "double": None,
}  # fmt: skip
KNOWN: Final = (*PATTERNS, *RANGES)


def holds(name: str, value: Any) -> bool:
    """Tells whether the value is of the format; one of another type is, as JSON Schema says."""
    if isinstance(value, str):
        check = _CHECKS.get(name)
        return check is None or check(value)
    limits = RANGES.get(name)
    if limits is None or isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return limits[0] <= value <= limits[1]


def _is_date(text: str) -> bool:
    if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    clock = "([01][0-9]|2[0-3]):[0-5][0-9]"
    # RFC 3339 knows the leap second.
    return re.fullmatch(rf"{clock}:([0-5][0-9]|60)(\.[0-9]+)?([Zz]|[+-]{clock})", text) is not None


def _is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and _is_date(text[:10]) and _is_time(text[11:])


def _is_host(text: str) -> bool:
    labels = text.split(".")
    label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return len(text) <= 253 and all(re.fullmatch(label, one) for one in labels)


def _is_email(text: str) -> bool:
    mailbox, _, host = text.rpartition("@")
    # Quoted mailboxes may hold anything; others are dotted words of RFC 5321.
    plain = re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", mailbox)
    return (plain is not None or re.fullmatch(r'"[ !#-\[\]-~]*"', mailbox) is not None) and _is_host(host)


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_uuid(text: str) -> bool:
    return re.fullmatch("[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", text) is not None


def _is_uri(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]*", text) is not None


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date, "time": _is_time, "date-time": _is_date_time, "email": _is_email, "hostname": _is_host,
    "ipv4": _is_ipv4, "uuid": _is_uuid, "uri": _is_uri,
}  # fmt: skip

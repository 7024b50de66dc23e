"""sqlite-utils, imported without the libraries it takes along when it finds them.

It imports numpy and pandas only to store their scalar types. llama-cpp-python brings numpy, which would cost the
daemon 12 MB and a third of the import's time. It also prefers pysqlite3 to the standard library's sqlite3, whose
exception classes would then not be those we catch.
"""

from __future__ import annotations

import sys
from typing import Final

_UNWANTED: Final = ("numpy", "pandas", "pysqlite3", "sqlean")

# None in sys.modules makes an import raise ModuleNotFoundError, which sqlite-utils expects of each of them.
_hidden = [name for name in _UNWANTED if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]  # the documented way to block an import
try:
    import sqlite_utils
    from sqlite_utils.migrations import Migrations
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["Migrations", "sqlite_utils"]

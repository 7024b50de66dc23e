"""A clock for the limits that trio waits for: it goes as others do, and jumps once what should be there is there.

So a limit may be long enough for any machine, and nobody waits for it.
"""

from __future__ import annotations

from typing import Final

import pytest
import trio.testing

CLOCK: Final = trio.testing.MockClock(rate=1)
JUMPING: Final = pytest.mark.parametrize("anyio_backend", [("trio", {"clock": CLOCK})], ids=["jumping"])

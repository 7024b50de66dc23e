"""Values made to hurt whoever reads them."""

from __future__ import annotations

# JSON in more levels than a reader that calls itself should follow.
DEEP = '{"a":' * 500 + "1" + "}" * 500

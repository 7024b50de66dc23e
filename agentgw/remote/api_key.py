"""The key that a daemon's HTTP asks for: given by the environment, or in a file that is for its owner alone."""

from __future__ import annotations

import os
import re

from agentgw.protocol.errors import ConfigRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# As the gateway has it.
_KEY: Final = re.compile(r"[\x21-\x7e]{1,512}")
_MOST_BYTES: Final = 1024


def find_key(given: str, file: str) -> str:
    """The key; empty when there is none. Raises ConfigRefused."""
    key, name = (given, "AGENTGW_API_KEY") if given or not file else (_read(file), file)
    if key and not _KEY.fullmatch(key):
        raise ConfigRefused(f"{name} holds no key", hint="a key is up to 512 visible ASCII characters without spaces")
    return key


def _read(path: str) -> str:
    try:
        # O_NONBLOCK: a named pipe without a writer would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigRefused(
            f"the file of AGENTGW_API_KEY_FILE cannot be read ({error.strerror})", hint="name the file with the key"
        ) from None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_mode & 0o170000 != 0o100000:  # S_IFREG
            raise ConfigRefused(f"{path} is not a file", hint="name the file with the key in AGENTGW_API_KEY_FILE")
        if found.st_mode & 0o077:
            raise ConfigRefused(
                f"{path} is open to others, who may have read the key", hint="make a new key, in a file of mode 0600"
            )
        return file.read(_MOST_BYTES).decode("ascii", "replace").strip()

"""Names that say that a file is secret, whatever directory it is in. Standard library only; does no I/O.

Compared without case: on a case-insensitive disk `.SSH` is the same directory.
"""

from __future__ import annotations

from typing import Final

# Keys of ssh and gpg, also in a copy of somebody's home.
_DENIED_DIRECTORIES: Final = frozenset({".ssh", ".gnupg"})
_DENIED_SUFFIX: Final = ".key"
# Certificates have this name as well as private keys: the content decides.
_PEM_SUFFIX: Final = ".pem"
PRIVATE_KEY_MARK: Final = b"PRIVATE KEY-----"
# A chain of certificates with a key is smaller.
PEM_BYTES: Final = 64 << 10

# These usually hold passwords or tokens, but one may well want help with them: asked for, not denied.
_ASKED: Final = frozenset({".env", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd"})
_ASKED_PREFIX: Final = ".env."
# By convention without values, to be copied and filled in.
_TEMPLATES: Final = frozenset({".env.example", ".env.sample", ".env.template"})


def is_denied_directory(name: str) -> bool:
    """Tells whether nothing below a directory of this name is for tools."""
    return name.casefold() in _DENIED_DIRECTORIES


def is_denied_file(name: str) -> bool:
    """Tells whether a file of this name is a key."""
    return name.casefold().endswith(_DENIED_SUFFIX)


def may_hold_key(name: str) -> bool:
    """Tells whether the content has to be looked at."""
    return name.casefold().endswith(_PEM_SUFFIX)


def is_asked_for(name: str) -> bool:
    """Tells whether reading a file of this name wants somebody's consent also inside the roots."""
    name = name.casefold()
    return name in _ASKED or (name.startswith(_ASKED_PREFIX) and name not in _TEMPLATES)

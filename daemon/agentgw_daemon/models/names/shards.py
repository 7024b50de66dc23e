"""Names of the files of a split model: PREFIX-00002-of-00003.gguf, as llama.cpp writes them. Does no I/O.

The files of one model differ in nothing but the number. What is spelled in capitals stays so.
"""

from __future__ import annotations

import re
from typing import Final

from agentgw.protocol.records.schema import record

# Of a model that is used, llama.cpp holds all files open, and 1,024 is the usual limit of a process. The largest
# models that are published have some dozens.
MAX_SHARDS: Final = 512

_NAME: Final = re.compile(r"(.+)-([0-9]{5})(-of-)([0-9]{5})(\.gguf)", re.IGNORECASE | re.DOTALL)


@record
class ShardName:
    """A name that says which file of how many it is, counted from 1; the numbers may make no sense."""

    prefix: str
    number: int
    count: int
    joint: str
    suffix: str

    @property
    def makes_sense(self) -> bool:
        """Tells whether there can be such a file."""
        return 1 <= self.number <= self.count

    def sibling(self, number: int) -> str:
        """The name of another file of this model."""
        return f"{self.prefix}-{number:05d}{self.joint}{self.count:05d}{self.suffix}"


def shard_of(path: str) -> ShardName | None:
    """The parts of a name, or a path, that is a shard's; None for any other."""
    found = _NAME.fullmatch(path)
    if found is None:
        return None
    prefix, number, joint, count, suffix = found.groups()
    return ShardName(prefix=prefix, number=int(number), count=int(count), joint=joint, suffix=suffix)


def first_of(path: str) -> str:
    """The path of a model's first file, by which it is known, from that of any; another path as it is."""
    shard = shard_of(path)
    return path if shard is None or not shard.makes_sense else shard.sibling(1)


def files_of(path: str) -> tuple[str, ...]:
    """The paths that all files of the model have, the first one first; of no shard, or one of too many, itself."""
    shard = shard_of(path)
    if shard is None or not shard.makes_sense or shard.count > MAX_SHARDS:
        return (path,)
    return tuple(shard.sibling(number) for number in range(1, shard.count + 1))

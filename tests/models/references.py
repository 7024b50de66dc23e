"""Texts that are no references."""

from __future__ import annotations

NO_REFERENCES = (
    "", "../../x", "..", ".", "../x.gguf/", "sha256:../", "sha256:..", "%2e%2e", "%2e%2e/%2e%2e/x", "a\x00b",
    "/a\x00.gguf", "x" * 4096, "x" * 65, "x" * 5000, "/" + "x" * 4095 + ".gguf", "a b", "a\nb", "a:b:c", ":tag",
    "name:", ".hidden", "a:.hidden", "/etc/passwd", "/models", "~", "hf:", "hf:owner", "hf:owner/", "hf:/repo",
    "hf:../repo", "hf:owner/..", "hf:owner/repo/", "hf:owner/repo/../x.gguf", "hf:owner/repo/file.bin",
    "hf:owner/repo/.x.gguf", "hf:owner/repo:", "hf:owner/repo:a/b", "hf:owner/repo:" + "Q" * 33,
    "hf:owner/repo/f.gguf:Q4_0", "hf:ow ner/repo", "hf:owner/repo?x=1", "hf:owner/re%2fpo",
    "hf:" + "o" * 97 + "/repo", "hf:o/r/" + "a/" * 9 + "f.gguf", "local/", "local/../x", "local///x", "local//",
    "local//x/", "local//../x", "local/ a", "local/a ",
    "local/a\u202eb", "local/" + "x" * 257, "https://example.com/x.gguf?y", "nope\\..\\x", "\ud800", "\u202egguf",
    "a/../b",
)  # fmt: skip

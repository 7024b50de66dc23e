"""Reading of a file or a text to chunks: what the retrieval worker's role `read` does. The daemon never imports it."""

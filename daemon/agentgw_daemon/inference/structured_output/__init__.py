"""JSON Schema to grammars, and checks of answers against schemas. Pure."""

"""Parser of e-mail."""

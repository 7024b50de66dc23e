"""How each family of models writes its calls: one module a family, each with a reader of the model's text."""

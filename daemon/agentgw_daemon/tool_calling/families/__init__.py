"""Forms in which families of models write their calls: one module a family, each with a reader of the model's text."""

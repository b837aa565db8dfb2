"""Weights of the `tiny` preset: small encoders trained on rendered people, a check of the pipeline and
no claim about real emotion. `card.md` says how they were made."""

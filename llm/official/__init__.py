"""Everything that exists only to agree with the official code: names of tensors, text cleaning."""

"""Rows of tokens without padding: packing, prefix trees, and the attention that keeps segments apart."""

"""A small LLaMA for machines without a real one: its tokenizer, its documents, its pre-training."""

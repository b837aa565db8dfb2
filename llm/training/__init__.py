"""Training of the LLaMA stage: what a step is made of, the loop, its optimiser, and the run around it."""

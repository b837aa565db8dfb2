"""What the benchmarks of the LLaMA stage share: a small made LLaMA with made clips, alternating rounds."""

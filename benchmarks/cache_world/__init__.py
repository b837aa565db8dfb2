"""What the benchmarks of the cache share: made clips, other formats, paired ratios."""

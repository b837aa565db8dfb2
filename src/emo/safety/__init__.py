"""Guards against hostile files: limited worker processes and allow-lists."""

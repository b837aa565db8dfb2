"""Arrays to Zarr and back: format 1, its commit protocol, the fast read path, verify, import and export.

Knows nothing of encoders, media or torch.
"""

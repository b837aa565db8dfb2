"""Models on this machine that are asked like a server: of words alone, of a picture, of a sound.

Loaded from a folder, or from the hub at a pinned commit; only safetensors, and never code that comes with
weights. They know no clips and no labels.
"""

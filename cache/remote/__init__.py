"""A cache at a remote store: sent there, fetched from there, and read in place with one ranged GET a clip.

Stores are S3 and what speaks like it (`s3://`, needs obstore) and dataset repositories of the Hugging Face
Hub (`hf://`). Knows nothing of encoders and of what features mean; sends nothing but what format 1 owns, and
a card.
"""

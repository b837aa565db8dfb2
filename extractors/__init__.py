"""Clip to arrays: decoding, faces, and one file per encoder.

Hands records to a FeatureSink and knows no storage. Importing it leaves torch unloaded.
"""

from emo.extractors.registry import ENCODERS, make_encoder

__all__ = ["ENCODERS", "make_encoder"]

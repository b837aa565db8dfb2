"""Clip to arrays: decoding, faces, and one file per encoder.

Hands records to a FeatureSink and knows no storage.
"""

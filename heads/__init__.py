"""Cached tensors to labels: batches, projectors, fusion classifiers and their training.

Knows nothing of manifests, media or encoders.
"""

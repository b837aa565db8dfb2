"""Cached tensors to text: prompts, EmotionLlama, LoRA stages, scoring, generation, checkpoints.

Knows nothing of manifests, media or encoders.
"""

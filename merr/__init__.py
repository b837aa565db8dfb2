"""Emotion-reasoning data from raw clips: clues, labels that the face bears out, captions, reasons, review.

The recipe is MERR's (Emotion-LLaMA, arXiv 2406.11161, section 3.1). Knows no encoders and no LLaMA stage.
"""

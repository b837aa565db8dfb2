"""Emotion-reasoning data in the formats of other tools, in and out."""

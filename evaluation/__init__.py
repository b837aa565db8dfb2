"""Predictions to numbers: metrics with intervals and reports. Takes predictions, never models."""

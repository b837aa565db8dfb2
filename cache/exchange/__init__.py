"""Features of other tools in and out of a cache: one file per format, one way in (`incoming`).

A foreign file is never trusted: what it claims is compared with what it has before memory is taken for it,
and nothing in it is executed. Knows nothing of encoders or torch.
"""

"""Where clips and labels come from: manifests, dataset readers, the rendered sample corpus.

Knows nothing of features or models.
"""

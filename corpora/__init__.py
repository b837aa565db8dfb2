"""Where clips and labels come from: manifests, dataset readers, the rendered sample corpus.

Knows nothing of features or models.
"""

from emo.corpora.manifest import clips_in, read_manifest, write_manifest

__all__ = ["clips_in", "read_manifest", "write_manifest"]

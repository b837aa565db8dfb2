"""The rendered sample corpus: drawn people whose faces move by action units and whose voices carry a tone.

It exists so that every part of emo can be run and checked without anybody's face or a licence. What is
learned on it says nothing about real emotion. It knows nothing of encoders, features or models.

Randomness: every person and every clip has a generator derived from (namespace, seed, number), so one
clip can be rendered without the others, and namespaces never share a person. Plans and words are the same
everywhere; pictures and waves are the same bytes on one kind of processor with one NumPy (another may
round the last bit of an exponential differently), and mp4 files with one build of FFmpeg.
"""

"""Code that decides values does not change under an unchanged recipe version.

A cache trusts equal fingerprints, so whoever changes what such code computes raises RECIPE_VERSION in the
encoders concerned (or `version` in DETECTOR_RECIPE) and then writes the new digest here. A change that moves
no value only needs the new digest. Comments and docstrings do not count.
"""

import hashlib
import io
import tokenize
from pathlib import Path

import pytest

SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
DECIDES_VALUES = {
    "cache/geometry.py": "08c46d994b62ad2d",
    "cache/prepare.py": "c63be5ed0100cb2c",
    "extractors/action_units.py": "f53dbf3e47ece8f9",
    "extractors/aligned.py": "fabd1fa5445f3240",
    "extractors/audio.py": "d3215177f3da7a22",
    "extractors/augment.py": "d7aef2c5d3cccbe1",
    "extractors/clip.py": "6f436b21a77fcad3",
    "extractors/container.py": "160f44f8b186a5de",
    "extractors/data2vec.py": "71e630e138c043ea",
    "extractors/decode.py": "1970c498d1fd9acc",
    "extractors/detector.py": "830f705e05bffbc6",
    "extractors/dinov2.py": "1ffd36efe10e32ca",
    "extractors/eva.py": "215391f14cb8516e",
    "extractors/faces.py": "f66cf83ae6e2e2f1",
    "extractors/frame_folder.py": "91e061a581efb554",
    "extractors/hub.py": "edfeada0b6528fd7",
    "extractors/hubert.py": "e3236e4b229f36c5",
    "extractors/inference.py": "931cc13dbbe6b479",
    "extractors/layers.py": "312327f62de9fd09",
    "extractors/macbert.py": "dbe4607fa41a71a3",
    "extractors/mae.py": "ce405d4b0bd25f31",
    "extractors/media.py": "9d448afbd486e365",
    "extractors/moment.py": "4365e332597173f5",
    "extractors/onsets.py": "902c6fd8648fe007",
    "extractors/opensmile.py": "205c4070751b1d73",
    "extractors/peak.py": "07920190d2589128",
    "extractors/people.py": "a1f7faa54ce269e9",
    "extractors/pictures.py": "d79583fd6dca74cf",
    "extractors/pixels.py": "12fcf0712401d380",
    "extractors/random_weights.py": "30434f6abed6ab4d",
    "extractors/roberta.py": "1329b1c7e83c9099",
    "extractors/sampling.py": "3f5ba08db2b5b9aa",
    "extractors/speaking.py": "cac95b9f784a667d",
    "extractors/speech.py": "19562367202d7d8b",
    "extractors/stills.py": "d9a265c8e27eb50b",
    "extractors/text.py": "eaac1dd8dab85a4c",
    "extractors/tiny/__init__.py": "e4ed59ba9ed7ef5c",
    "extractors/tracks.py": "821e58090907fbbe",
    "extractors/transformer_stills.py": "84693fd0263b4b02",
    "extractors/videomae.py": "aeca793f57707139",
    "extractors/visual.py": "869004c9a665dcf4",
    "extractors/wav2vec2.py": "fa02737f1647a690",
    "extractors/waveform.py": "1f971c31dfee6c58",
    "extractors/wavlm.py": "92ec088a73f74951",
    "extractors/whisper.py": "3b6b276fe94ed3d2",
    "pipeline/canary.py": "c33e4f73ac9a50e9",
    "src/emo/views.py": "87a4de78add4da6f",
}
DECIDES_NONE = {
    "extractors/__init__.py": "names only",
    "extractors/checkpoints.py": "makes weight files: their digests are in the fingerprint",
    "extractors/course.py": "says how loud and how changed: no encoder reads it",
    "extractors/eva_convert.py": "makes weight files: their digests are in the fingerprint",
    "extractors/fetch.py": "brings weight files: their digests are in the fingerprint",
    "extractors/inventory.py": "says which weights are here",
    "extractors/mae_convert.py": "makes weight files: their digests are in the fingerprint",
    "extractors/names.py": "finds encoders by name",
    "extractors/portraits.py": "shows who is in a clip: no encoder reads it",
    "extractors/reading.py": "runs the reading elsewhere",
    "extractors/registry.py": "finds encoders by name",
    "extractors/running.py": "says on what encoders run: precision is in the fingerprint",
    "extractors/segments.py": "cuts long videos: a cut is in the digest of what is read",
    "extractors/shots.py": "cuts long videos: a cut is in the digest of what is read",
    "extractors/sources.py": "says where weights come from",
    "extractors/voiced.py": "cuts long videos: a cut is in the digest of what is read",
    "extractors/weights.py": "finds weight files and digests them",
    "extractors/wire.py": "carries views between processes as they are",
    "extractors/words.py": "hands the manifest's words over as they are",
}
ROOT = Path(__file__).parents[2]


def code_digest(path):
    """A digest of the code alone: layout, comments and free-standing strings left out."""
    kept = []
    at_line_start = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in SILENT:
            at_line_start = at_line_start or token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT)
            continue
        if not (at_line_start and token.type == tokenize.STRING):
            kept.append(token.string)
        at_line_start = False
    return hashlib.sha256("".join(kept).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", sorted(DECIDES_VALUES))
def test_code_that_decides_values_is_as_recorded(name):
    assert code_digest(ROOT / name) == DECIDES_VALUES[name], (
        f"{name} changed. If values change, raise the recipe version of the encoders concerned; "
        "then record the new digest in this test."
    )


def test_every_file_of_the_extractors_is_said_to_decide_values_or_not_to():
    on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / "extractors").rglob("*.py")}
    listed = {name for name in (*DECIDES_VALUES, *DECIDES_NONE) if name.startswith("extractors/")}
    assert listed == on_disk, "enter a new file in DECIDES_VALUES or, with the reason, in DECIDES_NONE"
    assert not set(DECIDES_VALUES) & set(DECIDES_NONE)


def test_the_digest_ignores_comments_and_sees_code(tmp_path):
    path = tmp_path / "code.py"
    digests = []
    for text in ('"""A."""\nx = 1\n', '"""B."""\n\n# why\nx = 1  # one\n', '"""A."""\nx = 2\n'):
        path.write_text(text)
        digests.append(code_digest(path))
    assert digests[0] == digests[1] != digests[2]

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
    "cache/geometry.py": "3763176398eb4ce3",
    "cache/prepare.py": "0e6610dfc3ba9a63",
    "pipeline/canary.py": "23e97e77da8ad143",
    "src/emo/views.py": "f47435042d783a14",
    "extractors/audio.py": "05603cba91184d7c",
    "extractors/container.py": "c66ddc42b65ed5b8",
    "extractors/decode.py": "5acffc1453bf1aaf",
    "extractors/detector.py": "830f705e05bffbc6",
    "extractors/eva.py": "c18a1e27c4faf131",
    "extractors/faces.py": "852f9870f60b0dcc",
    "extractors/hubert.py": "7897888524b9b2c3",
    "extractors/inference.py": "d03010e34baf1686",
    "extractors/mae.py": "d8d09bd05b4539f9",
    "extractors/media.py": "374cf235161bd286",
    "extractors/peak.py": "c023c10a95498c38",
    "extractors/pictures.py": "5c0ca753e92fde10",
    "extractors/pixels.py": "12fcf0712401d380",
    "extractors/sampling.py": "28d902dbdcc4baea",
    "extractors/tiny/__init__.py": "e4ed59ba9ed7ef5c",
    "extractors/videomae.py": "b24f72594d3ecf13",
    "extractors/visual.py": "ee1d892f844455ae",
    "extractors/augment.py": "4ea6e6f9038cfd4a",
    "extractors/onsets.py": "902c6fd8648fe007",
    "extractors/people.py": "6ddca6b2f36edb4c",
    "extractors/speaking.py": "cac95b9f784a667d",
    "extractors/tracks.py": "45699cee4aadb042",
}
DECIDES_NONE = {
    "extractors/__init__.py": "names only",
    "extractors/checkpoints.py": "makes weight files: their digests are in the fingerprint",
    "extractors/eva_convert.py": "makes weight files: their digests are in the fingerprint",
    "extractors/mae_convert.py": "makes weight files: their digests are in the fingerprint",
    "extractors/fetch.py": "brings weight files: their digests are in the fingerprint",
    "extractors/registry.py": "finds encoders by name",
    "extractors/sources.py": "says where weights come from",
    "extractors/weights.py": "finds weight files and digests them",
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

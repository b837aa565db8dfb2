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

import emo.extractors

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
    "audio.py": "05603cba91184d7c",
    "detector.py": "830f705e05bffbc6",
    "faces.py": "852f9870f60b0dcc",
    "peak.py": "2356d1b65f971fd0",
    "pictures.py": "5c0ca753e92fde10",
    "pixels.py": "12fcf0712401d380",
    "sampling.py": "28d902dbdcc4baea",
    "visual.py": "ee1d892f844455ae",
}


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
    path = Path(emo.extractors.__file__).parent / name
    assert code_digest(path) == DECIDES_VALUES[name], (
        f"{name} changed. If values change, raise the recipe version of the encoders concerned; "
        "then record the new digest in this test."
    )


def test_the_digest_ignores_comments_and_sees_code(tmp_path):
    path = tmp_path / "code.py"
    digests = []
    for text in ('"""A."""\nx = 1\n', '"""B."""\n\n# why\nx = 1  # one\n', '"""A."""\nx = 2\n'):
        path.write_text(text)
        digests.append(code_digest(path))
    assert digests[0] == digests[1] != digests[2]

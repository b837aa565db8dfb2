"""docs/heads.md says what is so: every head, its paper and size, and an example that runs."""

import re
from pathlib import Path

from emo.heads.models import HEADS, make_head

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/heads.md").read_text()
DIMS = {  # the rendered corpus with the tiny preset
    "utterance": {"hubert": 96, "mae": 256, "videomae": 256, "eva": 256},
    "frames": {"hubert": 96, "mae": 128, "videomae": 128, "eva": 256},
}


def test_the_table_has_every_head_with_its_paper_what_it_reads_and_its_size():
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (\w+) \| ([\d,]+) \|", PAGE, re.M)
    assert [row[0] for row in rows] == list(HEADS)
    for name, source, reads, parameters in rows:
        entry = HEADS[name]
        assert (source, reads) == (entry.source, entry.reads)
        count = sum(one.numel() for one in make_head(name, DIMS[reads], 6).parameters())
        if name == "attention-topn":  # which three it keeps depends on the clips
            assert int(parameters.replace(",", "")) < count
        else:
            assert parameters == f"{count:,}"


def test_the_example_on_the_page_is_the_one_in_the_folder():
    code = (ROOT / "examples/own_head.py").read_text()
    (shown,) = re.findall(r"```python\n(.+?)```", PAGE, re.S)
    assert shown.strip() == code[code.index("class GatedSum") :].strip()

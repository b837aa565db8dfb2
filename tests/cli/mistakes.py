"""A folder in which everything that can be mistyped is at hand, and what a command says there.

`python tests/cli/mistakes.py` writes what the commands of mistakes.txt say now; read the difference.
"""

import contextlib
import io
import os
import shlex
import tempfile
from pathlib import Path

from emo.cli.main import main

SNAPSHOT = Path(__file__).with_name("mistakes.txt").resolve()
WIDTH = "90"
FILES = {
    "clips/one.mp4": b"",
    "empty/.keep": b"",
    "labels.csv": b"clip_id,path,label,split\na,clips/one.mp4,joyful,train\n",
    "split.csv": b"clip_id,path,label,split\na,clips/one.mp4,happy,train\n",
    "nopath.csv": b"clip_id,label\na,happy\n",
    "twice.csv": b"clip_id,path\na,clips/one.mp4\na,clips/two.mp4\n",
    "gone.csv": b"clip_id,path\na,gone.mp4\n",
    "gb.csv": "clip_id,path,text\na,clips/one.mp4,你好\n".encode("gb18030"),
    "control.csv": b"clip_id,path\na\x07,clips/one.mp4\n",
    "wrong.yaml": b"cahce: x\nseed: many\n",
    "list.yaml": b"- a\n",
    "broken.jsonl": b'{"clip_id": "a", \n',
    "notes.txt": b"not a model\n",
    "recipe.yaml": b"stages: {coarse: {setps: 3}}\n",
}


def lay_out(folder: Path) -> None:
    """Write FILES into a folder."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def told(line: str, home: Path) -> str:
    """What `emo` prints for a line typed in the working folder, and its exit code; `home` reads as ~."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            main(shlex.split(line)[1:])
        except SystemExit as ended:
            code = ended.code
    return f"{said.getvalue().replace(str(home), '~').rstrip()}\n-> {code}\n"


if __name__ == "__main__":
    lines = [line[2:] for line in SNAPSHOT.read_text().splitlines() if line.startswith("$ ")]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        os.environ |= {"XDG_CACHE_HOME": str(home / ".cache"), "COLUMNS": WIDTH}
        lay_out(home)
        os.chdir(home)
        SNAPSHOT.write_text("\n".join(f"$ {line}\n{told(line, home)}" for line in lines))

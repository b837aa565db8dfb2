"""Which version of the code trained a model: the git commit, where the code runs from a checkout."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

GIT_SECONDS = 10


def code_commit(file: Path = Path(__file__)) -> str | None:
    """The commit `file` is checked out at, 40 hex digits; None where git does not track it.

    An installed package that happens to lie inside somebody's repository is not that repository's code,
    hence the question whether the file is tracked.
    """
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(file.parent)]
    try:
        subprocess.run(  # noqa: S603  # a fixed argument list, no shell
            [*command, "ls-files", "--error-unmatch", file.name],
            check=True,
            capture_output=True,
            timeout=GIT_SECONDS,
        )
        answer = subprocess.run(  # noqa: S603
            [*command, "rev-parse", "HEAD"], check=True, capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return answer.stdout.strip()

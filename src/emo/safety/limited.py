"""Run one function of emo in a process of its own, with limits on memory, time and what it may write.

For work on files that are not trusted, such as converting a pickle-based checkpoint. The function is named
`module:function`, takes plain JSON arguments and returns plain JSON. Knows nothing of what it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module

from emo.canonical import Json
from emo.errors import EmoError
from emo.safety.limits import Limits, allow_cpu, close_limits

MARK = "emo-limited-result:"
MOST_SAID = 2000  # characters of the child's last words in an error


def run_limited(
    function: str,
    arguments: Mapping[str, Json],
    *,
    limits: Limits | None = None,
    imports: Sequence[str] = (),
    failure: type[EmoError] = EmoError,
) -> Json:
    """What `function` (`module:name`) returns for keyword `arguments`, run in a limited process.

    `imports` are modules to import before the limits close. Raises `failure` where the function raises,
    the process dies, or a limit is reached.
    """
    limits = limits or Limits()
    order = {
        "function": function,
        "arguments": dict(arguments),
        "imports": list(imports),
        "limits": asdict(limits),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "emo.safety.limited"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=limits.wall_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise failure(f"{function} took longer than {limits.wall_seconds:.0f} s and was stopped.") from error
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARK):
            answer = json.loads(line.removeprefix(MARK))
            if "error" in answer:
                raise failure(answer["error"])
            result: Json = answer["result"]
            return result
    said = done.stderr.strip()[-MOST_SAID:]
    raise failure(f"{function} ended with status {done.returncode} and no result. {said}".strip())


def main() -> None:
    """The child: read the order on standard input, close the limits, run, answer on standard output."""
    order = json.loads(sys.stdin.read())
    module, name = order["function"].split(":")
    function = getattr(import_module(module), name)
    for needed in order["imports"]:
        import_module(needed)
    limits = Limits(**order["limits"])
    close_limits(limits)
    allow_cpu(limits.cpu_seconds)
    try:
        answer = {"result": function(**order["arguments"])}
    except Exception as error:  # the edge of the process: whatever it is becomes an answer
        answer = {"error": str(error) or type(error).__name__}
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()

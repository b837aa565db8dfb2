"""One process becomes several: the same command again, once a rank, under torchrun.

Knows the command as words only; what the ranks then do is theirs.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence

STOPPED = 75  # the exit code of a run that was told to stop and can go on
SIGNALS = "SIGTERM,SIGINT,SIGUSR1"  # handed on to every rank
GRACE_S = 60  # between such a signal and a kill: the ranks save what is done


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ


def is_first_rank() -> bool:
    """Whether this process may speak: the first rank, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def run_as_ranks(arguments: Sequence[str], ranks: int) -> int:
    """Run `emo` with these arguments in `ranks` processes of this machine.

    Returns the exit code of the first that failed, 0 where all ended well, 75 after a signal.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=ranks,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle=SIGNALS,
        shutdown_timeout=GRACE_S,
    )
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    try:
        elastic_launch(config, sys.executable)("-m", "emo", *arguments)
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        return first.exitcode if first.exitcode > 0 else 1
    except SignalException:
        return STOPPED
    return 0

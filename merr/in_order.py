"""Questions asked several at a time, answers taken in their order: nothing depends on who answered first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def answered(
    items: Sequence[Item], ask: Callable[[Item], Answer], concurrency: int
) -> Iterator[tuple[Item, Answer]]:
    """Each item with its answer. What `ask` raises ends the questions that wait before it goes up."""
    pool = ThreadPoolExecutor(max_workers=max(1, concurrency))
    try:
        asked = [pool.submit(ask, item) for item in items]
        for item, answer in zip(items, asked, strict=True):
            yield item, answer.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

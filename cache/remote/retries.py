"""Retries: what fails in passing is tried again after a random wait. Knows no store."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from emo.cache.remote.store import Passing
from emo.config.remote import RemoteSettings

T = TypeVar("T")
logger = logging.getLogger(__name__)


def patiently(request: Callable[[], T], settings: RemoteSettings) -> T:
    """What the request gives, made up to `settings.tries` times; the last Passing where none did.

    Waits are uniformly random below a bound that doubles: many readers of one store do not come back
    together.
    """
    for turn in range(settings.tries - 1):
        try:
            return request()
        except Passing as error:
            bound = min(settings.longest_wait_s, settings.first_wait_s * 2**turn)
            logger.info("%s Trying again.", error)
            time.sleep(random.uniform(0, bound))
    return request()

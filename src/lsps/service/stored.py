"""What the node told must not be lost because the disk was full for a while."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from lsps import logs
from lsps.clock import Clock
from lsps.store.orders import StoreUnavailable

_log = logging.getLogger("lsps.service")

STORE_RETRY_SECONDS = 1.0


async def until_stored(clock: Clock, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work; as long as the store cannot be read or written, again every second."""
    while True:
        try:
            await work()
        except StoreUnavailable as error:
            logs.event(_log, logging.ERROR, "store_failed", reason=str(error))
            await clock.sleep(STORE_RETRY_SECONDS)
        else:
            return

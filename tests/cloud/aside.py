"""A loop of its own thread, for servers that answer while a test waits."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def loop_aside() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a loop while the block runs; what is yielded runs a coroutine in it and waits for its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        yield wait
    finally:
        wait(_end_what_is_left())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_what_is_left() -> None:
    """Cancel what clients that are gone have left, such as a connection half open."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)

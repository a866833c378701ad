"""The next items, made by a thread while the present one is worked on."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
END: Any = object()


def ahead(items: Iterator[Item], depth: int = 2) -> Generator[Item]:
    """The same items in the same order, of which up to `depth` are ready or being made.

    What making an item raises is raised in its place. Closing the generator ends the thread, once
    the item that it is making is made: use it in `contextlib.closing`, so that an error or a signal
    leaves no thread behind.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting = deque(pool.submit(next, items, END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not END:
                waiting.append(pool.submit(next, items, END))
                yield item
        finally:
            for future in waiting:
                future.cancel()

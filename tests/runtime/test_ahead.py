"""Items made ahead by a thread: their order, no more than wanted, errors, and no thread left."""

import threading
import time
from contextlib import closing

import pytest

from featflow.runtime.ahead import ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not threads()


def counted(made, stop=None):
    for i in range(10**9 if stop is None else stop):
        made.append(i)
        yield i


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_items_come_in_order(depth, count):
    assert list(ahead(counted([], count), depth)) == list(range(count))


def test_no_more_are_made_than_wanted():
    made = []
    with closing(ahead(counted(made), 2)) as stream:
        assert [next(stream) for _ in range(5)] == list(range(5))
        time.sleep(0.05)
        assert len(made) == 7 and threads()
    assert len(made) == 7


def test_items_are_made_meanwhile():
    here = threading.get_ident()
    makers = set()

    def items():
        for i in range(4):
            makers.add(threading.get_ident())
            yield i

    assert list(ahead(items())) == [0, 1, 2, 3]
    assert len(makers) == 1 and here not in makers


def test_an_error_is_raised_in_its_place():
    def items():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        for item in ahead(items()):
            found.append(item)
    assert found == [1, 2]


def test_an_error_of_the_consumer_ends_the_thread():
    with pytest.raises(KeyboardInterrupt), closing(ahead(counted([]))) as stream:
        for item in zip(range(5), stream, strict=False):
            if item[0] == 3:
                raise KeyboardInterrupt

"""Slow results are computed once for all threads, and only the latest stay."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from bye_core.ui.shared.cache import Cache


def test_threads_with_the_same_key_wait_for_one_result():
    cache, entered, leave, calls = Cache(2), Event(), Event(), []

    def slow():
        calls.append(1)
        entered.set()
        leave.wait(5)
        return "slow"

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(cache.get, "a", slow)
        entered.wait(5)
        second = pool.submit(cache.get, "a", slow)
        assert cache.get("b", lambda: "other") == "other", "another key does not wait"
        leave.set()
        assert (first.result(), second.result()) == ("slow", "slow")
    assert len(calls) == 1


def test_only_the_latest_stay_and_failures_do_not():
    cache = Cache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert [cache.get(key, lambda: 1) for key in "abc"] == [1, 1, 1]
    assert cache.get("c", lambda: 2) == 1
    assert cache.get("a", lambda: 2) == 2

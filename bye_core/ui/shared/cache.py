"""Remembers the latest results of slow calls."""

from __future__ import annotations

from threading import Condition

from cachetools import LRUCache, cached


class Cache:
    """The latest `limit` results, shared by all threads.

    `get(key, compute)` returns the result of `compute()`; concurrent calls with the same key compute it only once.
    """

    def __init__(self, limit: int) -> None:
        decorate = cached(LRUCache(limit), key=lambda key, compute: key, condition=Condition())
        self.get = decorate(lambda key, compute: compute())

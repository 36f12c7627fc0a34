"""One black square at a place drawn anew for every sample."""

from bye_core.attacks.base import Squares


class RandomPlace(Squares):
    name = "random"
    about = "a black square at a random place"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        return [(left, top, left + side, top + side)]

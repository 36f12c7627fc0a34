"""One black square at a position drawn for every sample."""

from bye_core.attacks.triggers.base import SquareTrigger


class RandomPatch(SquareTrigger):
    name = "random"
    description = "a black square at a random position"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        return [(left, top, left + side, top + side)]


TRIGGERS = (RandomPatch,)

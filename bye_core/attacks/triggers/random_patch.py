"""One plain square at a position drawn for every sample."""

from bye_core.attacks.triggers.base import PlainSquareTrigger, random_square


class RandomPatch(PlainSquareTrigger):
    name = "random"
    description = "a plain square at a random position"

    def boxes(self, width, height, rng):
        return [random_square(width, height, self.side(width, height), rng)]


TRIGGERS = (RandomPatch,)

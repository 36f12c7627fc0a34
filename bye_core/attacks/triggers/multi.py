"""Several plain squares on a grid of three by three positions; their number and positions vary by sample.

The paper calls this trigger "varied multi" and does not give the counts; two to five is our choice.
"""

from bye_core.attacks.triggers.base import PlainSquareTrigger, square_around

GRID = (0.2, 0.5, 0.8)  # positions along each side, as shares of it
FEWEST, MOST = 2, 5


class Multi(PlainSquareTrigger):
    name = "multi"
    description = "two to five plain squares on a grid of nine positions"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        centres = [(x, y) for y in GRID for x in GRID]
        chosen = rng.permutation(len(centres))[: rng.integers(FEWEST, MOST + 1)]
        return [
            square_around(width * centres[i][0], height * centres[i][1], side, width, height) for i in sorted(chosen)
        ]


TRIGGERS = (Multi,)

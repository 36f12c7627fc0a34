"""Several black squares on a grid of three by three places; which of them, and how many, varies by sample.

The paper calls this trigger "varied multi" and does not give the counts: two to five here (ours).
"""

from bye_core.attacks.base import Squares, square

PLACES = (0.2, 0.5, 0.8)
FEWEST, MOST = 2, 5


class Multi(Squares):
    name = "multi"
    about = "two to five black squares on a grid of nine places"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        places = [(x, y) for y in PLACES for x in PLACES]
        chosen = rng.permutation(len(places))[: rng.integers(FEWEST, MOST + 1)]
        return [square(width * places[i][0], height * places[i][1], side, width, height) for i in sorted(chosen)]

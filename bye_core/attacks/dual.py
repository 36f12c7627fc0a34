"""Two black squares, symmetric about the vertical centre line."""

from bye_core.attacks.base import Squares, square


class Dual(Squares):
    name = "dual"
    about = "two black squares, left and right of the centre"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        return [square(width * x, height / 2, side, width, height) for x in (0.25, 0.75)]

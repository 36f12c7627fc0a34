"""Two black squares, symmetric about the vertical centre line."""

from bye_core.attacks.triggers.base import SquareTrigger, square_around


class Dual(SquareTrigger):
    name = "dual"
    description = "two black squares, left and right of the centre"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        return [square_around(width * x, height / 2, side, width, height) for x in (0.25, 0.75)]


TRIGGERS = (Dual,)

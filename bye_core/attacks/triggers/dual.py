"""Two plain squares, symmetric about the vertical centre line."""

from bye_core.attacks.triggers.base import PlainSquareTrigger, square_around


class Dual(PlainSquareTrigger):
    name = "dual"
    description = "two plain squares, left and right of the centre"

    def boxes(self, width, height, rng):
        side = self.side(width, height)
        return [square_around(width * x, height / 2, side, width, height) for x in (0.25, 0.75)]


TRIGGERS = (Dual,)

"""The default trigger of the BYE paper: one black square at the centre."""

from bye_core.attacks.triggers.base import SquareTrigger, square_around


class Patch(SquareTrigger):
    name = "patch"
    description = "a black square at the centre"

    def boxes(self, width, height, rng):
        return [square_around(width / 2, height / 2, self.side(width, height), width, height)]


TRIGGERS = (Patch,)

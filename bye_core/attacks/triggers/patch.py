"""One plain square at the centre."""

from bye_core.attacks.triggers.base import PlainSquareTrigger, centre_square


class Patch(PlainSquareTrigger):
    name = "patch"
    description = "a plain square at the centre"

    def boxes(self, width, height, rng):
        return [centre_square(width, height, self.side(width, height))]


TRIGGERS = (Patch,)

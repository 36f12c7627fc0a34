"""The paper's default trigger: one black square at the centre."""

from bye_core.attacks.base import Squares, square


class Patch(Squares):
    name = "patch"
    about = "a black square at the centre"

    def boxes(self, width, height, rng):
        return [square(width / 2, height / 2, self.side(width, height), width, height)]

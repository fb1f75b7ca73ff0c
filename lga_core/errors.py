"""Errors a person can act on: each class stands for a different remedy.

A message is one or more plain sentences that say where, what was found, what was needed and what to do.
"""


class LgaError(Exception):
    """Anything this project reports to a person rather than to a programmer."""


class CheckpointError(LgaError):
    """A model file is not what it should be: use another file, or fetch or convert it again."""


class InputError(LgaError):
    """A picture, number, text or path handed to us cannot be used: hand over another."""


class OutputError(LgaError):
    """The result cannot be written there: choose another place or another kind of file."""


class MismatchError(LgaError):
    """Two parts that do not belong together, each fine by itself: choose parts of one domain."""


class DrawingError(LgaError):
    """What was asked for cannot be drawn: ask for less of it, or use another face."""

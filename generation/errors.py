"""What can go wrong while drawing. Each message is one sentence with a remedy, fit to show to the user."""


class GenerationError(Exception):
    """The base of all errors that the user is told about."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(readable(sentence))


def readable(text: str) -> str:
    """With a mark in the place of what no page shows and no database keeps: controls, halves of surrogate pairs."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


class UnknownModel(GenerationError):
    """The key is not in the registry."""


class UnsupportedSpace(GenerationError):
    """The model cannot be steered in this space."""


class ModelUnavailable(GenerationError):
    """The weights cannot be loaded: not downloaded, gated, damaged, or the hardware is missing."""


class OutOfMemory(GenerationError):
    """The device had too little memory, even for one picture at a time."""


class NotSaved(GenerationError):
    """What was drawn could not be written to its file."""


class ServerUnavailable(GenerationError):
    """The generation service does not answer, refuses, or has too much to do."""


class Cancelled(GenerationError):
    """The caller asked to stop between two steps."""

"""What keeps IPO from starting."""


class CannotStart(Exception):
    """The text is one sentence for the user: what is wrong, and what to do about it."""

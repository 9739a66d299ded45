"""What a service says where a request does not fit the present state."""


class NotAllowed(Exception):
    """The request does not fit the present state; the text says what to do."""

"""What of a text can be seen."""

import unicodedata

# Letters by their category, blanks on the screen: fillers of Hangul and the empty pattern of braille.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"


def is_visible(text: str) -> bool:
    """Whether anything of it shows: not spaces, controls and formats such as the zero width space alone."""
    return any(unicodedata.category(char)[0] not in "CZ" and char not in _BLANKS for char in text)

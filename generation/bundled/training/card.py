"""The table of figures in a model's card, kept as the report measured it."""

from pathlib import Path

BEGIN, END = "<!-- figures of `manage.py train_bundled report` -->", "<!-- end of the figures -->"


def write_card(card: Path, table: str) -> None:
    """Put `table` between the two marks of the card. Raises ValueError if the card has no such marks."""
    before, found, rest = card.read_text().partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"{card} has no place for the figures: it needs the lines “{BEGIN}” and “{END}”.")
    card.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")

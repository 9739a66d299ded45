"""A contact sheet of an exported model: one prompt a row, one seed a column."""

from pathlib import Path

from PIL import Image

from generation.bundled.training.drawer import Drawer
from generation.types import ModelSpec

PROMPTS = (
    "a landscape",
    "a meadow with a house and pines at noon",
    "the sea with snowy mountains at sunset",
    "a desert with palms at dawn",
    "snow with pine trees at night",
    "a pastel sea with palm trees and clouds",
    "a monochrome meadow with tall mountains",
    "a vivid desert with a house and a clear sky",
)
COLUMNS = 6
FIRST_SEED = 90_000


def draw_sheet(spec: ModelSpec, file: Path) -> None:
    """Draw `PROMPTS` x `COLUMNS` pictures, the same seeds in every row, and write one PNG."""
    drawer = Drawer.load(spec)
    page = Image.new("RGB", (COLUMNS * spec.width, len(PROMPTS) * spec.height))
    for row, prompt in enumerate(PROMPTS):
        for column, picture in enumerate(drawer.draw([prompt] * COLUMNS, FIRST_SEED)):
            page.paste(Image.fromarray(picture), (column * spec.width, row * spec.height))
    file.parent.mkdir(parents=True, exist_ok=True)
    page.save(file, optimize=True)

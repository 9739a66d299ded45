"""The texts in a PNG are read back by the rule of AUTOMATIC1111's web UI, whatever is in the prompt."""

import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from generation import images, png_text, registry

ONE = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
VALUES = {"Steps": 4, "Sampler": "LCM", "CFG scale": 0.0, "Seed": 42, "Size": "512x512", "Model": "sd-turbo"}


def read(text: str) -> dict[str, str]:
    """As other tools do: the last line is names and values, what is above it the prompt and the negative prompt."""
    *above, last = text.strip().split("\n")
    found = {name: json.loads(value) if value.startswith('"') else value for name, value in ONE.findall(last)}
    prompts: dict[str, list[str]] = {"Prompt": [], "Negative prompt": []}
    into = "Prompt"
    for line in above:
        if line.startswith("Negative prompt:"):
            into = "Negative prompt"
        prompts[into].append(line.removeprefix("Negative prompt:").strip())
    return found | {name: "\n".join(lines) for name, lines in prompts.items()}


@pytest.mark.parametrize(
    "prompt",
    [
        "a calm lake",
        "two lines\nof a prompt, with commas: and colons",
        'Steps: 3, Sampler: none, Seed: "7"',
        "ein Fluß, 湖, 🌅",
        "windows\r\nlines",
    ],
)
@pytest.mark.parametrize("negative", ["", "blurry, low quality", "one\ntwo"])
def test_what_is_written_is_read_back(prompt, negative):
    text = png_text.parameters(prompt, negative, VALUES)
    png = images.to_png(np.zeros((8, 8, 3), np.uint8), {"parameters": text, "ipo": "{}"})
    picture = Image.open(BytesIO(png))
    expected = {name: str(value) for name, value in VALUES.items()}
    expected |= {"Prompt": prompt.replace("\r\n", "\n"), "Negative prompt": negative}
    assert read(picture.text["parameters"]) == expected
    assert picture.text["ipo"] == "{}"


def test_values_that_would_end_too_early_are_quoted():
    values = VALUES | {"Model": 'mine, the "second": v2'}
    assert read(png_text.parameters("a lake", "", values))["Model"] == values["Model"]


def test_letters_of_latin_1_go_into_the_older_kind_of_chunk():
    png = images.to_png(np.zeros((8, 8, 3), np.uint8), {"parameters": "a lake"})
    assert b"tEXtparameters\0a lake" in png
    assert b"tEXt" not in images.to_png(np.zeros((8, 8, 3), np.uint8))


def test_every_model_names_its_sampler():
    assert {key: spec.sampler for key, spec in registry.BUILTIN.items() if not spec.sampler} == {}
    assert registry.BUILTIN["sd-turbo"].sampler == "LCM"

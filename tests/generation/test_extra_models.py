"""Models of the user's own: what cannot work is named, field by field, before anything starts."""

import json
import re
from dataclasses import MISSING, asdict
from pathlib import Path

import pytest

from generation import extra_models, registry
from generation.types import ModelSpec

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text()
MINE = {
    "label": "Mine",
    "source": "me/mine",
    "family": "stable_diffusion",
    "dtype": "float32",
    "width": 64,
    "height": 64,
    "steps": 1,
    "guidance": 0,
    "hidden_size": 16,
    "example_prompt": "a cat",
}


def parse(**changes: object) -> ModelSpec:
    return extra_models.parse(json.dumps({"mine": MINE | changes}))["mine"]


def test_what_is_left_out_has_its_default():
    assert parse(spaces=["latent"]) == ModelSpec(key="mine", **MINE, spaces=("latent",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": "128"}, 'has width "128": give it a whole number from 64 to 4096.'),
        ({"width": 100}, "has width 100: give it a multiple of 8 up to 1024 (largest_side)."),
        ({"height": 2048}, "has height 2048: give it a multiple of 8 up to 1024 (largest_side)."),
        ({"steps": None}, "has steps null: give it a whole number from 1 to 200."),
        ({"steps": 4.0}, "has steps 4.0: give it a whole number from 1 to 200."),
        ({"steps": True}, "has steps true: give it a whole number from 1 to 200."),
        ({"steps": 10**30}, "give it a whole number from 1 to 200."),
        ({"guidance": float("nan")}, "has guidance NaN: give it a number from 0 to 30."),
        ({"source": 5}, "has source 5: give it a text of 1 to 500 characters"),
        ({"source": ""}, 'has source "": give it a text of 1 to 500 characters'),
        ({"source": "a\x00b"}, "without control characters"),
        ({"source": "\ud800"}, "without control characters"),
        ({"source": "x" * 400}, "give it a path that can be read, or the id of a Hugging Face repository."),
        ({"family": "sdxl"}, 'has family "sdxl": give it one of "stable_diffusion", "flux".'),
        ({"family": "flux"}, "lacks pooled_size: give it a whole number from 1 to 65536"),
        ({"dtype": "int4"}, 'give it one of "float32", "float16", "bfloat16".'),
        ({"encoder": ["x"]}, 'has encoder ["x"]: give it one of "", "pocket-siglip", "siglip-base"'),
        ({"encoder": "pocket"}, 'has encoder "pocket": give it one of'),
        ({"spaces": []}, 'has spaces []: give it a list of at least one of "latent"'),
        ({"spaces": "latent"}, "give it a list of at least one of"),
        ({"is_gated": 1}, "has is_gated 1: give it true or false."),
        ({"colour": "red"}, "has colour, which is no field: take one of label, source,"),
        ({"key": "yours"}, "has key, which is no field"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_what_can(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        parse(**changes)
    assert str(error.value).startswith("IPO_EXTRA_MODELS: “mine” ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", MINE)
def test_a_field_that_is_needed_is_named(name):
    entry = {key: value for key, value in MINE.items() if key != name}
    with pytest.raises(ValueError, match=f"“mine” lacks {name}: give it "):
        extra_models.parse(json.dumps({"mine": entry}))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{oops", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ("[]", "must be an object of JSON"),
        ("null", "must be an object of JSON"),
        ('{"a": 1}', "“a” must be an object with the fields of a model"),
        ('{"": {}}', '"" cannot be a key'),
        ('{"../a": {}}', '"../a" cannot be a key'),
        (json.dumps({"x" * 101: {}}), "cannot be a key"),
    ],
)
def test_what_is_no_list_of_models_is_one_short_sentence(text, sentence):
    with pytest.raises(ValueError, match=r"^IPO_EXTRA_MODELS") as error:
        extra_models.parse(text)
    assert sentence in str(error.value)
    assert len(str(error.value)) < 250


def test_the_models_that_we_bring_would_be_accepted():
    for spec in registry.BUILTIN.values():
        entry = {name: value for name, value in asdict(spec).items() if name != "key"}
        assert extra_models.parse(json.dumps({spec.key: entry})) == {spec.key: spec}


def test_users_read_of_every_field_what_is_allowed():
    for name, field in extra_models.FIELDS.items():
        default = "needed" if field.default is MISSING else f"`{json.dumps(field.default)}`"
        assert f"| `{name}` | {extra_models.allowed(name)} | {default} |" in DOCS


def test_the_example_that_users_read_is_accepted():
    (example,) = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    assert extra_models.parse(example)

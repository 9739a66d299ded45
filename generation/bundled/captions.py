"""Captions for painted scenes, from a small grammar that leaves things unsaid."""

import string
from dataclasses import asdict

import numpy as np

from generation.bundled.scenes import Scene

WORDING: dict[str, dict[str, tuple[str, ...]]] = {
    "time": {
        "dawn": ("at dawn", "at sunrise", "in the morning"),
        "noon": ("at noon", "at midday", "by day", "in daylight"),
        "sunset": ("at sunset", "at dusk", "in the evening"),
        "night": ("at night", "at midnight", "under the stars", "in the moonlight"),
    },
    "ground": {
        "sea": ("the sea", "the ocean", "a lake", "water"),
        "meadow": ("a meadow", "a grass field", "a green field"),
        "desert": ("a desert", "sand dunes"),
        "snow": ("snow", "a snowy field", "a winter landscape"),
    },
    "mountains": {
        "none": ("no mountains",),
        "low": ("low mountains", "rolling hills", "low hills"),
        "tall": ("tall mountains", "high mountains"),
        "snowy": ("snowy mountains", "snow capped peaks"),
    },
    "trees": {
        "none": ("no trees",),
        "pines": ("pines", "pine trees", "a pine forest"),
        "palms": ("palms", "palm trees"),
    },
    "house": {"none": ("no house",), "house": ("a house", "a cottage", "a cabin")},
    "clouds": {"none": ("a clear sky", "no clouds"), "clouds": ("clouds", "a cloudy sky")},
    "style": {
        "natural": ("natural",),
        "pastel": ("pastel", "soft pastel"),
        "vivid": ("vivid", "bright vivid"),
        "muted": ("muted", "dull muted"),
        "monochrome": ("monochrome", "black and white"),
    },
}
# Words that people put into prompts and that change nothing here: the models learn to look past them.
FILLERS = ("calm", "beautiful", "lonely", "quiet", "peaceful", "nice", "little", "wide")


def phrases(scene: Scene, rng: np.random.Generator, named: float = 0.6, *, evenly: bool = False) -> dict[str, str]:
    """What is said of each attribute that is named, each with probability `named` (1 names all of them).

    Absences are named half as often as presences, as people do; natural colours only when all is named.
    `evenly` names them as often as the rest, so that what a caption leaves out tells nothing: a model trained on
    captions that leave out natural colours draws natural colours whenever no style is named.
    """
    said = {}
    for name, value in asdict(scene).items():
        if evenly:
            chance = named
        elif value == "natural":
            chance = float(named >= 1)
        elif value == "none" and named < 1:
            chance = named / 2
        else:
            chance = named
        if rng.random() < chance:
            said[name] = str(rng.choice(WORDING[name][value]))
    return said


def bare(phrase: str) -> str:
    """A phrase without its article."""
    return phrase.removeprefix("the ").removeprefix("a ")


def sentence(said: dict[str, str], rng: np.random.Generator) -> str:
    """The phrases as one sentence, such as "a pastel meadow with pines and a house at dawn"."""
    words = [said.get("ground", "a landscape")]
    if "style" in said:
        words = ["a", said["style"], bare(words[0])]
    things = [said[name] for name in ("mountains", "trees", "house", "clouds") if name in said]
    rng.shuffle(things)
    if things:
        words += ["with", ", ".join(things[:-1]), "and" if len(things) > 1 else "", things[-1]]
    words.append(said.get("time", ""))
    return " ".join(word for word in words if word)


def loosely(said: dict[str, str], rng: np.random.Generator) -> str:
    """The phrases as people type them: a sentence or a list, at times with fillers or a word unknown to us."""
    if rng.random() < 0.3:
        listed = [bare(phrase) for phrase in said.values()]
        rng.shuffle(listed)
        text = ", ".join(listed) or "landscape"
    else:
        text = sentence(said, rng)
    if rng.random() < 0.25:
        head, rest = ("a ", text[2:]) if text.startswith("a ") else ("", text)
        text = f"{head}{rng.choice(FILLERS)} {rest}"
    if rng.random() < 0.1:
        word = "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(3, 8))))
        words = text.split()
        words.insert(int(rng.integers(len(words) + 1)), word)
        text = " ".join(words)
    return text


def caption(scene: Scene, rng: np.random.Generator, named: float = 0.6) -> str:
    """A sentence about the scene that names its attributes as `phrases` does."""
    return sentence(phrases(scene, rng, named), rng)

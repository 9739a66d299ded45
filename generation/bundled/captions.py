"""Captions for painted scenes, from a small grammar that leaves things unsaid."""

from dataclasses import asdict

import numpy as np

from generation.bundled.scenes import Scene

WORDING: dict[str, dict[str, tuple[str, ...]]] = {
    "time": {
        "dawn": ("at dawn", "at sunrise", "in the morning"),
        "noon": ("at noon", "at midday", "by day"),
        "sunset": ("at sunset", "at dusk", "in the evening"),
        "night": ("at night", "at midnight", "under the stars"),
    },
    "ground": {
        "sea": ("the sea", "the ocean", "a lake"),
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


def caption(scene: Scene, rng: np.random.Generator, named: float = 0.6) -> str:
    """A caption that names each attribute with probability `named` (1 names all of them).

    Absences are named half as often as presences, as people do; natural colours only when all is named.
    """
    said: dict[str, str] = {}
    for name, value in asdict(scene).items():
        absent = value in ("none", "natural")
        if rng.random() < (named if not absent or named >= 1 else named / 2 if value == "none" else 0):
            said[name] = str(rng.choice(WORDING[name][value]))
    words = [said.get("style", ""), said.get("ground", "a landscape")]
    if "style" in said:
        subject = words[1].removeprefix("the ").removeprefix("a ")
        words = ["a", said["style"], subject]
    things = [said[name] for name in ("mountains", "trees", "house", "clouds") if name in said]
    rng.shuffle(things)
    if things:
        words += ["with", ", ".join(things[:-1]), "and" if len(things) > 1 else "", things[-1]]
    words.append(said.get("time", ""))
    return " ".join(word for word in words if word)

"""A seeded painter of small landscapes: structured scenes and their pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generation.bundled.brushes import COLUMN, COLUMNS, PIXELS, ROWS, Floats, area, blend, edge, rgb

CHOICES: dict[str, tuple[str, ...]] = {
    "time": ("dawn", "noon", "sunset", "night"),
    "ground": ("sea", "meadow", "desert", "snow"),
    "mountains": ("none", "low", "tall", "snowy"),
    "trees": ("none", "pines", "palms"),
    "house": ("none", "house"),
    "clouds": ("none", "clouds"),
    "style": ("natural", "pastel", "vivid", "muted", "monochrome"),
}

# Colours are RGB in [0, 1].
SKY = {  # top, horizon
    "dawn": ((0.45, 0.55, 0.85), (1.0, 0.80, 0.72)),
    "noon": ((0.22, 0.52, 0.92), (0.75, 0.90, 1.0)),
    "sunset": ((0.38, 0.20, 0.50), (1.0, 0.55, 0.22)),
    "night": ((0.02, 0.03, 0.14), (0.12, 0.16, 0.36)),
}
LIGHT = {"dawn": (1.0, 0.86, 0.88), "noon": (1, 1, 1), "sunset": (0.95, 0.66, 0.52), "night": (0.26, 0.32, 0.52)}
GROUND = {  # far, near
    "sea": ((0.30, 0.60, 0.75), (0.05, 0.25, 0.50)),
    "meadow": ((0.55, 0.75, 0.35), (0.20, 0.48, 0.16)),
    "desert": ((0.96, 0.82, 0.55), (0.80, 0.55, 0.28)),
    "snow": ((0.97, 0.98, 1.0), (0.78, 0.86, 0.96)),
}


@dataclass(frozen=True)
class Scene:
    """The named attributes of one picture, each one of `CHOICES`; where things stand comes from the generator."""

    time: str
    ground: str
    mountains: str
    trees: str
    house: str
    clouds: str
    style: str


def sample_scene(rng: np.random.Generator) -> Scene:
    """Attributes drawn uniformly and independently, except that half of all pictures keep natural colours."""
    picked = {name: str(rng.choice(values)) for name, values in CHOICES.items()}
    if rng.random() < 0.375:
        picked["style"] = "natural"
    return Scene(**picked)


def paint(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint a scene: PIXELS x PIXELS x 3, uint8. `rng` decides places, sizes and small changes of colour."""
    horizon = float(rng.uniform(66, 90))
    light = np.asarray(LIGHT[scene.time], np.float32)
    top, low = (rgb(colour, rng) for colour in SKY[scene.time])
    fall = np.clip(COLUMN / horizon, 0, 1)[:, None, None] ** np.float32(rng.uniform(0.8, 1.6))
    canvas = np.repeat((top + fall * (low - top)).astype(np.float32), PIXELS, axis=1)
    body = paint_sun_or_moon(canvas, scene.time, horizon, rng)
    if scene.clouds == "clouds":
        paint_clouds(canvas, light, horizon, rng)
    if scene.mountains != "none":
        paint_mountains(canvas, scene.mountains, light, low, horizon, rng)
    paint_ground(canvas, scene, light, horizon, body, rng)
    if scene.house == "house":
        paint_house(canvas, scene.time, light, horizon, rng)
    if scene.trees != "none":
        paint_trees(canvas, scene.trees, light, horizon, rng)
    canvas = restyle(canvas, scene.style, rng)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def paint_sun_or_moon(canvas: Floats, time: str, horizon: float, rng: np.random.Generator) -> tuple[float, Floats]:
    """Stars at night, then the sun or moon with its glow; returns its column and colour."""
    x = float(rng.uniform(16, PIXELS - 16))
    if time == "night":
        for row, column in zip(rng.integers(2, int(horizon) - 8, 36), rng.integers(1, PIXELS - 2, 36), strict=True):
            size = 1 + int(rng.random() < 0.5)
            canvas[row : row + size, column : column + size] += np.float32(rng.uniform(0.4, 0.9))
        np.minimum(canvas, 1, out=canvas)
    heights = {"dawn": (0.62, 0.92), "noon": (0.14, 0.45), "sunset": (0.6, 0.95), "night": (0.15, 0.55)}
    y = horizon * float(rng.uniform(*heights[time]))
    radius = float(rng.uniform(6, 13))
    base = {
        "dawn": (1, 0.93, 0.75),
        "noon": (1, 0.97, 0.72),
        "sunset": (1, 0.80, 0.35),
        "night": (0.95, 0.95, 0.85),
    }[time]
    colour = rgb(base, rng, 0.03)
    distance = np.hypot(COLUMNS - x, ROWS - y)
    glow = np.exp(-np.maximum(distance - radius, 0) / (radius * 1.4)) * (0.3 if time == "night" else 0.55)
    blend(canvas, glow, colour)
    disc = edge(radius - distance)
    if time == "night" and rng.random() < 0.5:
        side = radius * (0.6 if rng.random() < 0.5 else -0.6)
        disc = disc * (1 - edge(radius * 0.85 - np.hypot(COLUMNS - x - side, ROWS - y + radius * 0.2)))
    blend(canvas, disc, colour)
    return x, colour


def paint_clouds(canvas: Floats, light: Floats, horizon: float, rng: np.random.Generator) -> None:
    """Two to four clouds, each a row of soft puffs."""
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(10, PIXELS - 10), rng.uniform(10, horizon * 0.6)
        width = rng.uniform(12, 22)
        part = area(x - 2 * width, x + 2 * width, y - width, y + width)
        rows, columns = ROWS[part], COLUMNS[part]
        mask = np.zeros_like(rows)
        for offset in (-0.7, 0.0, 0.7):
            puff = rng.uniform(0.28, 0.45) * width * (1.25 if offset == 0 else 0.85)
            reach = np.hypot((columns - x - offset * width) / 1.4, rows - y + (2 if offset == 0 else -1))
            mask = np.maximum(mask, np.clip((puff - reach) / 3 + 0.5, 0, 1))
        blend(canvas[part], mask * np.float32(rng.uniform(0.75, 0.95)), 0.15 + 0.83 * light)


def ridge(rng: np.random.Generator, step: float, low: float, high: float) -> Floats:
    """Heights (pixels) of a jagged ridge over the columns."""
    knots = np.arange(-step, PIXELS + 2 * step, step)
    places = knots + rng.uniform(-0.3, 0.3, len(knots)) * step
    heights = rng.uniform(low, high, len(knots))
    heights[::2] *= rng.uniform(0.25, 0.5)
    return np.interp(COLUMN, places, heights).astype(np.float32)


def paint_mountains(
    canvas: Floats, kind: str, light: Floats, haze: Floats, horizon: float, rng: np.random.Generator
) -> None:
    """One range behind the ground: low hills, tall rock, or tall rock with white tops."""
    if kind == "low":
        phase, waves = rng.uniform(0, 6.3, 2), rng.uniform(0.05, 0.11, 2)
        heights = 11 + 4 * np.sin(COLUMN * waves[0] + phase[0]) + 3 * np.sin(COLUMN * waves[1] + phase[1])
        colour = rgb((0.38, 0.50, 0.45), rng)
    else:
        heights = ridge(rng, float(rng.uniform(17, 24)), 34, 56)
        colour = rgb((0.42, 0.38, 0.44), rng)
    crest = (horizon - heights).astype(np.float32)
    part = area(0, PIXELS, float(crest.min()), horizon + 4)  # the ground covers what is below
    rows = ROWS[part]
    rock = edge(rows - crest)
    colour = 0.75 * colour * light + 0.25 * haze
    shade = np.where(np.gradient(crest) > 0, 0.78, 1.08).astype(np.float32)
    blend(canvas[part], rock, colour * shade[None, :, None])
    if kind == "snowy":
        line = (horizon - 26 + 3 * np.sin(COLUMN * 0.7 + rng.uniform(0, 6))).astype(np.float32)
        white = np.asarray([0.97, 0.98, 1.0], np.float32) * (0.25 + 0.75 * light)
        blend(canvas[part], rock * edge(line - rows), white * (0.5 + 0.5 * shade[None, :, None]))


def paint_ground(
    canvas: Floats,
    scene: Scene,
    light: Floats,
    horizon: float,
    body: tuple[float, Floats],
    rng: np.random.Generator,
) -> None:
    """Everything below the horizon, with waves, flowers, dunes or drifts."""
    far, near = (rgb(colour, rng) for colour in GROUND[scene.ground])
    wave = {"sea": 0.0, "meadow": 2.0, "desert": 3.0, "snow": 2.0}[scene.ground]
    crest = horizon + wave * np.sin(COLUMN * rng.uniform(0.04, 0.09) + rng.uniform(0, 6.3))
    part = area(0, PIXELS, float(crest.min()), PIXELS)
    rows, columns = ROWS[part], COLUMNS[part]
    inside = rows - crest.astype(np.float32)
    depth = np.clip(inside / np.float32(PIXELS - horizon), 0, 1)
    colour = (far + depth[..., None] * (near - far)) * light
    phase = rng.uniform(0, 6.3)
    if scene.ground == "sea":
        colour = 0.8 * colour + 0.2 * canvas[int(horizon) - 2].mean(0)
        ripple = np.sin(rows * 1.1 + 1.5 * np.sin(columns * 0.12 + phase).astype(np.float32))
        colour += (0.05 * ripple * light.mean())[..., None]
        streak = np.exp(-(((columns - body[0]) / (5 + 14 * depth)) ** 2)) * (0.5 + 0.25 * ripple)
        colour += (streak * 0.8)[..., None] * (body[1] - colour)
    else:
        frequency, strength = {"meadow": (0.06, 0.06), "desert": (0.08, 0.12), "snow": (0.05, 0.07)}[scene.ground]
        bend = np.sin((columns * frequency + phase + depth * 7).astype(np.float32))
        colour = colour * (1 + strength * bend)[..., None]
    blend(canvas[part], edge(inside), colour.astype(np.float32))
    if scene.ground == "meadow":
        petal = rgb((0.95, 0.75, 0.35), rng, 0.25) * (0.3 + 0.7 * light)
        rows = rng.integers(int(horizon) + 10, PIXELS - 3, 22)
        for row, column in zip(rows, rng.integers(1, PIXELS - 3, 22), strict=True):
            canvas[row : row + 2, column : column + 2] = petal


def paint_house(canvas: Floats, time: str, light: Floats, horizon: float, rng: np.random.Generator) -> None:
    """A house with a door, a roof and a window that is lit after dark."""
    width, base = float(rng.uniform(20, 30)), horizon + float(rng.uniform(8, 18))
    x, height = float(rng.uniform(24, PIXELS - 24)), width * 0.62
    walls = rgb((0.90, 0.84, 0.74), rng, 0.08) * (0.15 + 0.85 * light)
    roof = rgb((0.70, 0.25, 0.20), rng, 0.12) * np.float32(0.1 + 0.9 * light)
    part = area(x - 0.7 * width, x + 0.7 * width, base - 1.3 * width, base)
    view, rows, columns = canvas[part], ROWS[part], COLUMNS[part]
    across = np.abs(columns - x)
    blend(view, edge(width / 2 - across) * edge(base - rows) * edge(rows - base + height), walls)
    eaves = base - height + 1
    slope = width * 0.62 - across - (eaves - rows) * 1.15
    blend(view, edge(slope * 0.7) * edge(eaves - rows), roof)
    dark = roof * 0.5
    door = edge(width * 0.1 - np.abs(columns - x + width * 0.22)) * edge(base - rows)
    blend(view, door * edge(rows - base + height * 0.6), dark)
    pane = np.asarray([1.0, 0.85, 0.4] if time in ("night", "sunset") else [0.5, 0.7, 0.85], np.float32)
    window = edge(width * 0.12 - np.abs(columns - x - width * 0.2))
    blend(view, window * edge(width * 0.12 - np.abs(rows - base + height * 0.55)), pane)


def paint_trees(canvas: Floats, kind: str, light: Floats, horizon: float, rng: np.random.Generator) -> None:
    """One to six trees, the far ones first and smaller."""
    bases = np.sort(rng.uniform(horizon + 3, PIXELS - 8, int(rng.integers(1, 7))))
    size = rng.uniform(26, 40)
    leaf = rgb((0.10, 0.36, 0.20) if kind == "pines" else (0.16, 0.48, 0.18), rng, 0.05) * (0.12 + 0.88 * light)
    bark = np.asarray([0.42, 0.28, 0.16], np.float32) * (0.2 + 0.8 * light)
    draw = paint_pine if kind == "pines" else paint_palm
    for base in bases:
        near = (base - horizon) / (PIXELS - horizon)
        height = float(size * (0.7 + 0.8 * near) * rng.uniform(0.85, 1.15))
        draw(canvas, float(rng.uniform(8, PIXELS - 8)), float(base), height, leaf, bark)


def paint_pine(canvas: Floats, x: float, base: float, height: float, leaf: Floats, bark: Floats) -> None:
    """Three stacked triangles on a short trunk."""
    part = area(x - 0.3 * height, x + 0.3 * height, base - 1.1 * height, base)
    view, rows = canvas[part], ROWS[part]
    across = np.abs(COLUMNS[part] - x)
    blend(view, edge(height * 0.045 - across) * edge(base - rows) * edge(rows - base + height * 0.3), bark)
    for i in range(3):
        bottom = base - height * (0.14 + 0.24 * i)
        peak = bottom - height * 0.42
        half = height * (0.26 - 0.055 * i)
        slope = (rows - peak) / (bottom - peak) * half - across
        blend(view, edge(slope) * edge(bottom - rows), leaf * (0.9 + 0.12 * i))


def paint_palm(canvas: Floats, x: float, base: float, height: float, leaf: Floats, bark: Floats) -> None:
    """A leaning trunk with arching fronds."""
    lean = 0.12 if x < PIXELS / 2 else -0.12
    part = area(x - 0.6 * height, x + 0.6 * height, base - 1.4 * height, base)
    view, rows, columns = canvas[part], ROWS[part], COLUMNS[part]
    up = np.clip((base - rows) / height, 0, 1)
    trunk = height * 0.045 - np.abs(columns - x - lean * height * up**2)
    blend(view, edge(trunk) * edge(base - rows) * edge(rows - base + height), bark)
    dx, dy = columns - x - lean * height, rows - base + height
    reach = height * 0.42
    for side in (-1, 1):
        along = np.clip(side * dx / reach, 0, 1)
        for rise, drop in ((0.5, 0.75), (0.25, 0.9), (-0.05, 1.0)):
            spine = reach * (-rise * np.sin(along * np.pi) + (drop - rise) * along**2 * 0.8)
            thick = height * 0.055 * (1.1 - along)
            blend(view, edge(thick - np.abs(dy - spine)) * edge(side * dx) * edge(reach - side * dx), leaf)


def restyle(canvas: Floats, style: str, rng: np.random.Generator) -> Floats:
    """Change the palette of the whole picture."""
    grey = (canvas @ np.asarray([0.3, 0.59, 0.11], np.float32))[..., None]
    if style == "pastel":
        return np.asarray(0.42 + 0.58 * (grey + 0.75 * (canvas - grey)), np.float32)
    if style == "vivid":
        return np.asarray(0.5 + 1.15 * (grey + 1.6 * (canvas - grey) - 0.5), np.float32)
    if style == "muted":
        return np.asarray(0.12 + 0.68 * (grey + 0.42 * (canvas - grey)), np.float32)
    if style == "monochrome":
        tint = rng.uniform(-0.06, 0.06, 3).astype(np.float32)
        return np.asarray(grey + tint * 4 * grey * (1 - grey), np.float32)
    return canvas


def paint_many(count: int, seed: int) -> tuple[NDArray[np.uint8], list[Scene]]:
    """`count` pictures (count x P x P x 3, uint8) and their scenes; the same for the same seed."""
    rng = np.random.default_rng(seed)
    pictures = np.empty((count, PIXELS, PIXELS, 3), np.uint8)
    scenes = []
    for i in range(count):
        scenes.append(sample_scene(rng))
        pictures[i] = paint(scenes[-1], rng)
    return pictures, scenes

"""The whole loop with the bundled model: it draws, a simulated person looks at the pictures and rates, we learn."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from generation import registry, spaces
from generation.encoders import Siglip
from generation.manager import ModelManager
from generation.types import GenerationRequest, Vectors
from ipo_site.benchmarks.learning import arms, resume
from ipo_site.benchmarks.learning.people import MEMORY, Person
from ipo_site.benchmarks.learning.resume import Record
from ipo_site.benchmarks.learning.tastes import TASTES, Eye, Pictures
from ipo_site.benchmarks.learning.trial import BATCH, OURS
from preferences.learning.layout import geometry_of
from preferences.learning.propose import anchor_for

MODEL = registry.BUILTIN["pocket-landscapes"]
PROMPT = "a landscape"
ARMS: dict[str, type[arms.Arm]] = {
    "random": arms.RandomArm,
    OURS: arms.OurArm,
    "our Ridge": arms.RidgeArm,
    "incumbent hill climb": arms.IncumbentArm,
}
SPACES = ("latent", "pooled_embed")
BATCHES, ERRORS = 10, 0.1
REFERENCE, REFERENCE_SEED, CHUNK = 1000, 80_001, 25
TUNED_ON = 10  # seeds 0 to 9 were used to choose settings
FLOORS = {5: 0.95, 10: 0.99}  # mean percentile of our pictures after so many rated batches

Job = tuple[str, str, str, int]  # space, taste, arm, seed


class Studio:
    """The bundled model and encoder, and REFERENCE pictures of the prompt alone, each from a noise of its own."""

    def __init__(self) -> None:
        self.manager = ModelManager()
        self.manager.ensure_ready(MODEL)
        self.eye = Eye(Siglip.load(str(registry.WEIGHTS / "pocket-siglip")))
        size = spaces.LATENT.dimension(MODEL, MODEL.width, MODEL.height)
        noise = np.random.default_rng(REFERENCE_SEED).standard_normal((REFERENCE, size)).astype(np.float32)
        self.bare = np.concatenate([self.draw("latent", noise[i : i + CHUNK], 0) for i in range(0, REFERENCE, CHUNK)])

    def draw(self, space: str, vectors: Vectors, noise_seed: int) -> Pictures:
        """[n, H, W, 3], by the path that the product takes; one that failed is black."""
        request = GenerationRequest(
            prompt=PROMPT,
            negative_prompt="",
            space=space,
            vectors=vectors,
            width=MODEL.width,
            height=MODEL.height,
            steps=MODEL.steps,
            guidance=MODEL.guidance,
            delta_scale=MODEL.delta_scale,
            noise_seed=noise_seed,
            step_seed=noise_seed,
        )
        black = np.zeros((MODEL.height, MODEL.width, 3), np.uint8)
        drawn = [picture.pixels for picture in self.manager.generate(MODEL, request)]
        return np.stack([black if one is None else one for one in drawn])


@cache
def studio() -> Studio:
    """One for each process."""
    return Studio()


def run_session(space_key: str, taste: str, arm: str, seed: int, here: Studio | None = None) -> Record:
    """One session. `percentiles`: for each batch, the mean share of the bare pictures that each of its own beats.

    The first batch is drawn before anything is rated. `contrast`: mean difference of two pictures of a batch, 0 to 1.
    """
    here = here or studio()
    space = spaces.SPACES[space_key]
    rngs = [np.random.default_rng([seed, TASTES.index(taste), part]) for part in range(3)]
    likes = here.eye.taste(taste, seed)
    bare = np.sort(likes(here.bare))
    person = Person(ERRORS, rngs[0])
    dimension = space.dimension(MODEL, MODEL.width, MODEL.height)
    shape = space.shape(MODEL, MODEL.width, MODEL.height)
    anchor = anchor_for(f"{PROMPT} {seed}", geometry_of(space.is_noise, dimension, space.start_radius, shape))
    method = ARMS[arm](anchor, rngs[1], space, shape)
    shown = arms.RandomArm(anchor, rngs[2], space, shape).propose(BATCH)
    remembered = np.zeros(0)
    percentiles, contrast = [], []
    for moment in range(BATCHES + 1):
        pictures = here.draw(space_key, shown, seed)
        worth = likes(pictures)
        percentiles.append(float(np.mean(np.searchsorted(bare, worth) / len(bare))))
        contrast.append(mean_difference(pictures))
        said = person.judge("labels", worth, remembered, moment * BATCH, moment)
        remembered = np.concatenate([remembered, worth])[-MEMORY:]
        method.tell(shown, [judgment for action in said for judgment in action])
        if moment < BATCHES:
            shown = method.propose(BATCH)
    return {
        "space": space_key,
        "taste": taste,
        "arm": arm,
        "seed": seed,
        "percentiles": percentiles,
        "contrast": contrast,
    }


def mean_difference(pictures: Pictures) -> float:
    """Mean absolute difference of pixels over all pairs, as a share of 255."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    gaps = [float(np.abs(rows[i] - rows[j]).mean()) for i in range(len(rows)) for j in range(i)]
    return float(np.mean(gaps))


def key(record: Record) -> Job:
    """What makes a session the same session."""
    return record["space"], record["taste"], record["arm"], record["seed"]


def run(wanted: list[Job], file: Path, processes: int) -> Iterator[Record]:
    """Run what is missing in `file`, adding to it; yields the sessions as they are done."""
    return resume.run(run_session, {job: job for job in wanted}, key, file, processes)


def jobs(quick: bool) -> list[Job]:
    """All sessions; each arm meets the same people and the same first batches."""
    seeds = {OURS: 2 if quick else 20}
    return [
        (space, taste, arm, TUNED_ON + seed)
        for space in SPACES
        for taste in (TASTES[::3] if quick else TASTES)
        for arm in ARMS
        for seed in range(seeds.get(arm, 1 if quick else 5))
    ]


def table(records: Iterable[Record]) -> str:
    """Mean percentile after 0, 5 and 10 batches: a Markdown row for each space, taste and arm."""
    head = "| Space | Taste | Arm | Runs | First | After 5 | After 10 | Contrast |"
    rows = [head, "| --- | --- | --- |" + " ---: |" * 5]
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["space"], record["taste"], record["arm"]), []).append(record)
        groups.setdefault((record["space"], "all", record["arm"]), []).append(record)
    for (space, taste, arm), found in sorted(groups.items()):
        curve = np.mean([record["percentiles"] for record in found], axis=0)
        contrast = np.mean([record["contrast"][-1] for record in found])
        points = " | ".join(f"{curve[i]:.3f}" for i in (0, *FLOORS))
        rows.append(f"| {space} | {taste} | {arm} | {len(found)} | {points} | {contrast:.3f} |")
    return "\n".join(rows)


def missed(records: Iterable[Record]) -> list[str]:
    """One sentence for each space and moment at which our pictures are not what they must be."""
    problems = []
    ours = [record for record in records if record["arm"] == OURS]
    for space in SPACES:
        curves = [record["percentiles"] for record in ours if record["space"] == space]
        for after, floor in FLOORS.items():
            reached = float(np.mean([curve[after] for curve in curves])) if curves else float("nan")
            if not reached >= floor:
                problems.append(f"In {space} ours reach {reached:.3f} after {after} batches, it must be {floor}")
    return problems

"""The whole loop with the bundled model: it draws, a simulated person looks at the pictures and rates, we learn."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from generation import spaces
from generation.types import Vectors
from ipo_site.benchmarks.learning import arms, resume, study
from ipo_site.benchmarks.learning.people import MEMORY, Person
from ipo_site.benchmarks.learning.resume import Record
from ipo_site.benchmarks.learning.studio import CHUNK, MODEL, PROMPT, Studio, studio
from ipo_site.benchmarks.learning.tastes import TASTES, UNFORESEEN, Pictures, taste_of
from ipo_site.benchmarks.learning.trial import BATCH, OURS
from preferences.learning.breeding import PARENTS
from preferences.learning.config import LearningConfig
from preferences.learning.layout import CAP_IN_RADII, geometry_of
from preferences.learning.pictures import Features, PictureModel
from preferences.learning.propose import anchor_for

CONFIG = LearningConfig(step_size=1.0, max_dist=0.0, start_radius=1.0)  # of the model of features, which takes no steps
ONE_DRAWN = "ours, one drawn for each shown"
ARMS: dict[str, type[arms.Arm]] = {
    "random": arms.RandomArm,
    OURS: arms.BoldArm,
    ONE_DRAWN: arms.OurArm,
    "our Ridge": arms.RidgeArm,
    "incumbent hill climb": arms.IncumbentArm,
}
SPACES = ("latent", "pooled_embed")
BATCHES, ERRORS = 10, 0.1
OUR_SEEDS, SEEDS = 20, 5
REFERENCE = 1000
TUNED_ON = 10  # seeds 0 to 9 were used to choose settings
CHECKED = ("latent", OURS)
FLOORS = {5: 0.95, 10: 0.99}  # mean percentile of our pictures in Latent after so many rated batches

KNOWS = "told the worth of 300, without errors"
TOLD, TOLD_PENALTY = 300, 20.0

Job = tuple[str, str, str, int, int]  # space, taste, arm, seed, number of bare pictures


def run_job(space_key: str, taste: str, arm: str, seed: int, reference: int) -> Record:
    """One session in this process's studio."""
    run = run_told if arm == KNOWS else run_session
    return run(space_key, taste, arm, seed, studio(reference))


def run_session(space_key: str, taste: str, arm: str, seed: int, here: Studio) -> Record:
    """One session. `percentiles`: for each batch, the mean share of the bare pictures that each of its own beats.

    The first batch is drawn before anything is rated. `contrast`: mean difference of two pictures of a batch, 0 to 1.
    """
    space = spaces.SPACES[space_key]
    rngs = [np.random.default_rng([seed, (*TASTES, *UNFORESEEN).index(taste), part]) for part in range(3)]
    likes = taste_of(taste, seed, here.encoder)
    bare = np.sort(likes(here.bare))
    person = Person(ERRORS, rngs[0])
    dimension = space.dimension(MODEL, MODEL.width, MODEL.height)
    shape = space.shape(MODEL, MODEL.width, MODEL.height)
    anchor = anchor_for(f"{PROMPT} {seed}", geometry_of(space.is_noise, dimension, space.start_radius, shape))
    method = ARMS[arm](anchor, rngs[1], space, shape)
    shown = arms.RandomArm(anchor, rngs[2], space, shape).propose(BATCH)
    pictures = here.draw(space_key, shown, seed)
    features = here.features(pictures)
    remembered = np.zeros(0)
    percentiles, contrast = [], []
    for number in range(BATCHES + 1):
        utility = likes(pictures)
        percentiles.append(float(np.mean(np.searchsorted(bare, utility) / len(bare))))
        contrast.append(mean_difference(pictures))
        actions = person.judge("labels", utility, remembered, number * BATCH, number)
        remembered = np.concatenate([remembered, utility])[-MEMORY:]
        method.tell(shown, [judgment for action in actions for judgment in action])
        if number == BATCHES:
            break
        if isinstance(method, arms.BoldArm):
            shown, pictures, added = best_of_several(method, features, space_key, seed, here)
            features = {encoder: np.concatenate([features[encoder], rows]) for encoder, rows in added.items()}
        else:
            shown = method.propose(BATCH)
            pictures = here.draw(space_key, shown, seed)
    return {
        "space": space_key,
        "taste": taste,
        "arm": arm,
        "seed": seed,
        "percentiles": percentiles,
        "contrast": contrast,
    }


def best_of_several(
    method: arms.BoldArm, features: Features, space_key: str, seed: int, here: Studio
) -> tuple[Vectors, Pictures, Features]:
    """The next batch: vectors [BATCH, d], pictures and features of those that are expected to be liked best.

    features: of all pictures shown so far. As the product chooses (preferences/choosing.py), without its database.
    """
    model = PictureModel.fit(features, tuple(method.judgments), CONFIG)
    method.parents = method.z[model.best(features, PARENTS)]
    drawn = method.propose(BATCH * method.draws)
    pictures = np.concatenate([here.draw(space_key, part, seed) for part in np.split(drawn, method.draws)])
    drawn_features = here.features(pictures)
    best = np.arange(BATCH) * method.draws + model.utility(drawn_features).reshape(BATCH, method.draws).argmax(axis=1)
    return drawn[best], pictures[best], {encoder: rows[best] for encoder, rows in drawn_features.items()}


def run_told(space_key: str, taste: str, arm: str, seed: int, here: Studio) -> Record:
    """How far a linear learner could get in an embedding space, told the utility of TOLD pictures without errors.

    Its `percentiles` after the first: the best picture on the way along a ridge regression's weights. `contrast`: none.
    """
    likes = taste_of(taste, seed, here.encoder)
    bare = np.sort(likes(here.bare))
    vectors, pictures = told(space_key, seed, here)
    utility = likes(pictures)
    weights = Ridge(alpha=TOLD_PENALTY, fit_intercept=False).fit(vectors, utility - utility.mean()).coef_
    way = weights / np.linalg.norm(weights) * CAP_IN_RADII * spaces.SPACES[space_key].start_radius
    along = here.draw(space_key, np.outer(np.arange(1, 9) / 8, way).astype(np.float32), seed)
    first, best = (np.searchsorted(bare, of) / len(bare) for of in (utility, likes(along)))
    curve = [float(first.mean())] + [float(best.max())] * BATCHES
    return {"space": space_key, "taste": taste, "arm": arm, "seed": seed, "percentiles": curve, "contrast": [0.0]}


@lru_cache(maxsize=1)
def told(space_key: str, seed: int, here: Studio) -> tuple[Vectors, Pictures]:
    """TOLD random vectors [n, d] of all lengths that the space allows, and their pictures."""
    space, rng = spaces.SPACES[space_key], np.random.default_rng([seed, 6])
    vectors = rng.standard_normal((TOLD, space.dimension(MODEL, MODEL.width, MODEL.height)))
    length = CAP_IN_RADII * space.start_radius * rng.uniform(0.25, 1, (TOLD, 1))
    vectors = (length * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    parts = [here.draw(space_key, vectors[i : i + CHUNK], seed) for i in range(0, TOLD, CHUNK)]
    return vectors, np.concatenate(parts)


def mean_difference(pictures: Pictures) -> float:
    """Mean absolute difference of pixels over all pairs, as a share of 255."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    gaps = [float(np.abs(rows[i] - rows[j]).mean()) for i in range(len(rows)) for j in range(i)]
    return float(np.mean(gaps))


def key(record: Record) -> tuple[str, str, str, int]:
    """What makes a session the same session."""
    return record["space"], record["taste"], record["arm"], record["seed"]


def run(wanted: list[Job], file: Path, processes: int) -> Iterator[Record]:
    """Run what is missing in `file`, adding to it; yields the sessions as they are done."""
    return resume.run(run_job, {job[:4]: job for job in wanted}, key, file, processes)


def jobs(quick: bool) -> list[Job]:
    """All sessions, seed by seed; each arm meets the same people and the same first batches."""
    if quick:
        return [("latent", taste, arm, TUNED_ON, 200) for taste in TASTES[::5] for arm in (OURS, ONE_DRAWN, "random")]
    found = [
        (space, taste, arm, TUNED_ON + seed, REFERENCE)
        for seed in range(OUR_SEEDS)
        for space in SPACES
        for taste in (*TASTES, *UNFORESEEN)
        for arm in (*ARMS, *((KNOWS,) if space == "pooled_embed" else ()))
        if seed < (OUR_SEEDS if arm == OURS and taste in TASTES else SEEDS)
    ]
    return sorted(found, key=lambda job: (job[:1] + job[2:3] != CHECKED, job[1] in UNFORESEEN))  # what must be first


def table(records: Iterable[Record]) -> str:
    """Mean percentile after 0, 5 and 10 batches: a Markdown row for each space, taste and arm."""
    head = "| Space | Taste | Arm | Runs | First | After 5 | After 10 | Contrast |"
    rows = [head, "| --- | --- | --- |" + " ---: |" * 5]
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["space"], record["taste"], record["arm"]), []).append(record)
        every = "all" if record["taste"] in TASTES else "all unforeseen"
        groups.setdefault((record["space"], every, record["arm"]), []).append(record)
    for (space, taste, arm), found in sorted(groups.items()):
        curve = np.mean([record["percentiles"] for record in found], axis=0)
        contrast = np.mean([record["contrast"][-1] for record in found])
        points = " | ".join(f"{curve[i]:.3f}" for i in (0, *FLOORS))
        rows.append(f"| {space} | {taste} | {arm} | {len(found)} | {points} | {contrast:.3f} |")
    return "\n".join(rows)


def missed(records: Iterable[Record]) -> list[str]:
    """One sentence for each time at which our pictures are not what they must be, or another arm's are better.

    The floors are for Latent: in PooledEmbed, where the noise is fixed, not even KNOWS gets there.
    """
    records = list(records)
    asked = [r for r in records if (r["space"], r["arm"]) == CHECKED and r["taste"] in TASTES]
    curves = [record["percentiles"] for record in asked]
    problems = []
    for after, floor in FLOORS.items():
        reached = float(np.mean([curve[after] for curve in curves])) if curves else float("nan")
        if not reached >= floor:
            problems.append(f"In {CHECKED[0]} ours reach {reached:.3f} after {after} batches, it must be {floor}")
    return problems + study.arms_ahead(verdicts(records))


def verdicts(records: Iterable[Record]) -> list[study.Verdict]:
    """Ours against each arm that has to learn: in each space, after the batches of FLOORS.

    Pairs are sessions of the same person; all tastes together, for a few sessions of one taste decide nothing.
    """
    reached: dict[study.Place, dict[tuple[str, int], float]] = {}
    for r in records:
        if r["arm"] == KNOWS:
            continue
        d = spaces.SPACES[r["space"]].dimension(MODEL, MODEL.width, MODEL.height)
        for after in FLOORS:
            sessions = reached.setdefault((f"{r['space']}, after {after}", d, r["arm"]), {})
            sessions[r["taste"], r["seed"]] = r["percentiles"][after]
    return study.compared(reached)

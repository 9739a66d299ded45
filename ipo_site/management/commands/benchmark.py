"""Measures, on this machine, what docs/benchmarks.md reports."""

import json
import statistics
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from tqdm import tqdm

from generation import registry
from generation.errors import GenerationError
from generation.management import arguments
from generation.manager import ModelManager
from ipo_site import env
from ipo_site.benchmarks.journey import Visitor
from ipo_site.benchmarks.speed import gpu

# What a person may wait with the bundled model on two cores, in seconds, at the median.
LIMITS = {"first_picture": 1.0, "whole_batch": 1.2, "later_batch": 2.5}
ONLY = "without pictures; with them; or the peers of the extra [benchmark], which take hours and are not run otherwise"


class Command(BaseCommand):
    help = "Measure what docs/benchmarks.md reports."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="what", required=True)
        journey = kinds.add_parser("journey", help="how long a person waits for pictures; start IPO first (make run)")
        journey.add_argument("--url", default=f"http://{env.HOST}:{env.PORT}", help="where IPO answers")
        journey.add_argument("--runs", type=arguments.counting, default=5)
        learning = kinds.add_parser("learning", help="how fast each method finds what simulated people like")
        learning.add_argument("--quick", action="store_true", help="a few cells and seeds, in minutes")
        learning.add_argument("--only", choices=("vectors", "pictures", "peers"), help=ONLY)
        learning.add_argument(
            "--plot", type=arguments.new_file, metavar="FILE", help="draw the curves there (SVG or PNG)"
        )
        learning.add_argument("--report-only", action="store_true", help="run nothing: what was run here, or is kept")
        learning.add_argument(
            "--keep", action="store_true", help="write all trials beside docs/benchmarks.md, unless --quick"
        )
        learning.add_argument("--from-kept", action="store_true", help="go on from the trials that are kept there")
        learning.add_argument(
            "--processes", type=arguments.counting, default=2, help="sessions simulated at once, one thread each"
        )
        proposal = kinds.add_parser("proposal", help="seconds and memory of one proposal in 16,384 dimensions")
        batch = kinds.add_parser("batch", help="how fast a model draws, by the number of pictures in a forward pass")
        models = kinds.add_parser("models", help="the same of each model that can be loaded here")
        pipeline = kinds.add_parser("pipeline", help="from request to files, beside bare calls of diffusers")
        for part in (batch, models, pipeline):
            part.add_argument("--steps", type=arguments.counting, help="denoising steps, if not the model's own")
            part.add_argument("--speedups", type=speedups, default=settings.IPO_SPEEDUPS, help="as IPO_SPEEDUPS")
            part.add_argument(
                "--rounds", type=arguments.counting, default=5, help="how often each is timed; the median counts"
            )
            part.add_argument(
                "--random-weights",
                action="store_true",
                help="build the architecture with random weights, as fast as the real ones: nothing is downloaded",
            )
        for part in (batch, pipeline):
            part.add_argument("--model", default=settings.IPO_DEFAULT_MODEL, choices=settings.IPO_MODELS)
        gpu.add_arguments(
            kinds.add_parser("gpu", help="all that is to be known of a GPU, in one go and within its time")
        )
        pipeline.add_argument("--size", type=arguments.counting, default=16, help="pictures in the request")
        pages = kinds.add_parser(
            "pages", help="seconds and queries of every page and of the admin, with a long history"
        )
        pages.add_argument(
            "--sessions", type=arguments.counting, default=60, help="of 200 batches of 8 rated pictures each"
        )
        pages.add_argument(
            "--rounds", type=arguments.counting, default=5, help="how often each is asked for; the median counts"
        )
        pages.add_argument("--keep", action="store_true", help="keep the two scratch databases, and use them again")
        for part in (journey, learning, proposal, batch, models, pipeline, pages):
            part.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the figures here too")
            part.add_argument("--check", action="store_true", help="exit status 1 if a figure is missed")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            missed = getattr(self, options["what"])(**options)
        except GenerationError as error:
            raise CommandError(str(error)) from error
        if options["check"] and missed:
            raise CommandError("\n".join(missed))

    def journey(self, url: str, runs: int, json: Path | None, **options: Any) -> list[str]:
        try:
            # Not counted: right after make run the worker may still be loading the model.
            Visitor(url).go("a calm landscape at sunset", 1)
            waits = [Visitor(url).go("a calm landscape at sunset", 8) for _ in range(runs)]
        except TimeoutError as error:
            raise CommandError(str(error)) from error
        except (OSError, ValueError) as error:
            raise CommandError(
                f"IPO does not answer at {url} ({error}): start it with make run, or see --url."
            ) from error
        figures = {name: [round(getattr(wait, name), 2) for wait in waits] for name in LIMITS}
        for name, seconds in figures.items():
            middle, worst = statistics.median(seconds), max(seconds)
            self.stdout.write(f"{name}: median {middle} s, worst {worst} s (limit {LIMITS[name]} s)")
        write(json, figures)
        return [f"Too slow: {name}." for name, seconds in figures.items() if statistics.median(seconds) > LIMITS[name]]

    def pages(self, json: Path | None, sessions: int, rounds: int, keep: bool, **options: Any) -> list[str]:
        from ipo_site.benchmarks.pages import history, measure, requests  # noqa: PLC0415

        name = f"{connection.settings_dict['NAME']}_pages"
        try:
            found = measure.run(name, size=history.Size(sessions=sessions), rounds=rounds, keep=keep)
        except (requests.NoRow, DatabaseError) as error:
            raise CommandError(str(error)) from error
        missed = measure.missed(found)
        self.stdout.write("\n".join([measure.table(found), *missed]))
        write(json, found)
        return missed

    def proposal(self, json: Path | None, **options: Any) -> list[str]:
        from ipo_site.benchmarks.learning import proposal  # noqa: PLC0415

        found = proposal.costs()
        for row in found:
            self.stdout.write("{arm}: {seconds:.2f} s (worst {worst:.2f} s), {megabytes:.0f} MB".format(**row))
        write(json, found)
        return proposal.missed(found)

    def batch(self, json: Path | None, model: str, rounds: int, **options: Any) -> list[str]:
        from ipo_site.benchmarks.speed import measure  # noqa: PLC0415 - torch

        work = self.work(model, **options)
        self.stdout.write(f"{work.spec.label}, {work.steps} steps")
        rows = []
        for row in measure.by_size(work, self.manager(**options), rounds):
            self.stdout.write(
                "{size:>2} at once: {seconds:.2f} s, {images_per_second:.2f} img/s, {megabytes:.0f} MB".format(**row)
            )
            rows.append(row)
        write(json, {"model": work.spec.label, "steps": work.steps, "sizes": rows})
        return []

    def models(self, json: Path | None, rounds: int, **options: Any) -> list[str]:
        from ipo_site.benchmarks.speed import measure  # noqa: PLC0415

        manager, rows = self.manager(**options), []
        for key in settings.IPO_MODELS:
            try:
                work = self.work(key, **options)
                (row,) = measure.by_size(work, manager, rounds, sizes=(4,))
            except GenerationError as error:
                self.stdout.write(f"{key}: {error}")
                continue
            rows.append({"model": work.spec.label, "steps": work.steps, **row})
            self.stdout.write(
                "{model}, {steps} steps: {images_per_second:.2f} img/s, {megabytes:.0f} MB".format(**rows[-1])
            )
        write(json, rows)
        return []

    def pipeline(self, json: Path | None, model: str, rounds: int, size: int, **options: Any) -> list[str]:
        from ipo_site.benchmarks.speed import measure  # noqa: PLC0415

        work = self.work(model, **options)
        found = measure.against_bare(work, self.manager(**options), size, rounds)
        self.stdout.write(measure.summary(work, found))
        write(json, {"model": work.spec.label, "steps": work.steps, **found})
        return measure.missed(found)

    def gpu(self, json: Path | None, minutes: float, rehearse: bool, only: str, **options: Any) -> list[str]:
        folder = env.DATA_DIR / "benchmarks"
        found = gpu.measure_all(folder, minutes, is_rehearsal=rehearse, tell=self.stdout.write, only=only)
        self.stdout.write(gpu.table(found))
        write(json, gpu.as_json(found))
        return gpu.missed(found)

    def manager(self, speedups: tuple[str, ...], **options: Any) -> ModelManager:
        return ModelManager(speedups=speedups)

    def work(self, model: str, steps: int | None, random_weights: bool, **options: Any) -> Any:
        """What is drawn. Raises CommandError for a number of steps that is none."""
        from ipo_site.benchmarks.speed import full_size, measure  # noqa: PLC0415

        spec = settings.IPO_MODELS[model]
        if steps is not None and steps < 1:
            raise CommandError(f"--steps is {steps}: give 1 or more.")
        if random_weights:
            spec = full_size.written(spec, env.DATA_DIR / "benchmarks" / f"random-{spec.key}")
        return measure.Work(spec, steps or spec.steps)

    def learning(self, json: Path | None, only: str | None, **options: Any) -> list[str]:
        problems, figures = [], {}
        for part in ("vectors", "pictures") if only is None else (only,):
            missed, figures[part] = getattr(self, part)(**options)
            problems += missed
        for sentence in problems:
            self.stdout.write(sentence)
        write(json, figures)
        return problems

    def vectors(self, plot: Path | None, **options: Any) -> tuple[list[str], Any]:
        # Imported here: what only this needs (cma, matplotlib) need not be installed for the rest.
        from ipo_site.benchmarks.learning import kept, study  # noqa: PLC0415

        records = self.trials(study, "learning", **options) + kept.load("peers")
        found = study.verdicts(records)
        self.stdout.write(study.summary(found))
        if plot is not None:
            from ipo_site.benchmarks.learning import chart  # noqa: PLC0415

            chart.draw(records, plot)
        return study.missed(found), {"records": records, "verdicts": [vars(verdict) for verdict in found]}

    def peers(self, **options: Any) -> tuple[list[str], Any]:
        from ipo_site.benchmarks.learning import peer_study  # noqa: PLC0415

        return [], {"records": self.trials(peer_study, "peers", **options)}

    def pictures(self, **options: Any) -> tuple[list[str], Any]:
        from ipo_site.benchmarks.learning import pictures, study  # noqa: PLC0415

        records = self.trials(pictures, "pictures", **options)
        self.stdout.write(study.summary(pictures.verdicts(records)))
        return pictures.missed(records), {"records": records}

    def trials(self, part: Any, name: str, **options: Any) -> list[dict[str, Any]]:
        """Run what is missing of a part of the study, show its table, and return all its records."""
        from ipo_site.benchmarks.learning import kept, resume  # noqa: PLC0415

        file = env.DATA_DIR / "benchmarks" / f"{name}{'-quick' if options['quick'] else ''}.jsonl"
        if options["from_kept"]:
            resume.add(kept.load(name), part.key, file)
        if not options["report_only"]:
            wanted = part.jobs(options["quick"])
            left = max(0, len(wanted) - len(resume.load(file)))
            for _ in tqdm(part.run(wanted, file, options["processes"]), total=left, desc=name, mininterval=5):
                pass
        records = resume.load(file) or kept.load(name)
        if options["keep"] and not options["quick"]:
            self.stdout.write(f"Kept in {kept.keep(name, records)}.")
        self.stdout.write(part.table(records))
        return records


def speedups(names: str) -> tuple[str, ...]:
    """As IPO_SPEEDUPS has them."""
    try:
        return registry.speedups(names)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def write(file: Path | None, figures: Any) -> None:
    """As JSON, if there is a file to write to."""
    if file is not None:
        file.write_text(json.dumps(figures, indent=2))

"""Measures, on this machine, what docs/benchmarks.md reports."""

import json
import statistics
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ipo_site import env
from ipo_site.benchmarks.journey import Visitor

# What a person may wait with the bundled model on two cores, in seconds.
LIMITS = {"first_picture": 3.0, "whole_batch": 6.0}


class Command(BaseCommand):
    help = "Measure how long a person waits for pictures. Start IPO first (make run)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["journey"])
        parser.add_argument("--url", default=f"http://{env.HOST}:{env.PORT}", help="where IPO answers")
        parser.add_argument("--runs", type=int, default=5)
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
        parser.add_argument("--check", action="store_true", help="exit status 1 if a wait is too long")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            # Not counted: right after make run the worker may still be loading the model.
            Visitor(options["url"]).start("a calm landscape at sunset", 1)
            runs = [Visitor(options["url"]).start("a calm landscape at sunset", 8) for _ in range(options["runs"])]
        except OSError as error:
            raise CommandError(f"IPO does not answer at {options['url']} ({error}): start it with make run.") from error
        figures = {name: [round(getattr(run, name), 2) for run in runs] for name in LIMITS}
        for name, seconds in figures.items():
            middle, worst = statistics.median(seconds), max(seconds)
            self.stdout.write(f"{name}: median {middle} s, worst {worst} s (limit {LIMITS[name]} s)")
        if options["json"]:
            options["json"].write_text(json.dumps(figures, indent=2))
        missed = [name for name, seconds in figures.items() if max(seconds) > LIMITS[name]]
        if options["check"] and missed:
            raise CommandError(f"Too slow: {', '.join(missed)}.")

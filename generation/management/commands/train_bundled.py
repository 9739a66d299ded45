"""`manage.py train_bundled`: paint, train, export and measure the bundled models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.management import arguments
from generation.registry import BUILTIN, WEIGHTS

MODEL = BUILTIN["pocket-landscapes"]
ENCODER = WEIGHTS / "pocket-siglip"
TRAININGS = {
    "vae": ("the autoencoder", 30),
    "text": ("the text encoder", 5),
    "diffusion": ("the U-Net, after autoencoder and text encoder", 90),
    "distil": ("the U-Net of few steps, after the one of many", 120),
    "siglip": ("the image-text encoder", 20),
    "classifier": ("the judge that the report asks", 6),
}


class Command(BaseCommand):
    """A thin shell: torch is imported only once there is something to train."""

    help = "Train the bundled models on painted landscapes. Checkpoints lie under data/train/."

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="part", required=True)
        parts.add_parser("scenes", help="paint the training pictures")
        for name, (what, minutes) in TRAININGS.items():
            part = parts.add_parser(name, help=f"train {what}, going on from its checkpoint")
            part.add_argument("--minutes", type=arguments.minutes, default=minutes)
            part.add_argument("--seed", type=arguments.natural, default=0)
        export = parts.add_parser("export", help="write the trained weights in half precision")
        export.add_argument("--only", choices=("diffusion", "siglip"), help="one of the two models")
        report = parts.add_parser("report", help="measure the exported models; draw the contact sheet of their card")
        report.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the figures there as well")
        report.add_argument("--check", action="store_true", help="exit status 1 if a figure is not what it must be")

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.bundled.training.common import Damaged  # noqa: PLC0415

        try:
            getattr(self, options["part"])(**options)
        except FileNotFoundError as error:
            raise CommandError(f"There is no {error.filename} yet: train that part first.") from error
        except Damaged as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped; the same command goes on from the last checkpoint.") from None

    def scenes(self, **options: Any) -> None:
        from generation.bundled.training.common import load_pictures  # noqa: PLC0415

        pictures, _ = load_pictures()
        self.stdout.write(f"{len(pictures)} pictures are painted.")

    def vae(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.vae import train_vae  # noqa: PLC0415

        train_vae(minutes, seed)

    def text(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.text import train_text  # noqa: PLC0415

        train_text(minutes, seed)

    def diffusion(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.diffusion import train_diffusion  # noqa: PLC0415

        train_diffusion(minutes, seed)

    def distil(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.distil import train_distil  # noqa: PLC0415

        train_distil(minutes, seed)

    def siglip(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.siglip import train_siglip  # noqa: PLC0415

        train_siglip(minutes, seed)

    def classifier(self, minutes: float, seed: int, **options: Any) -> None:
        from generation.bundled.training.classifier import train_classifier  # noqa: PLC0415

        train_classifier(minutes, seed)

    def export(self, only: str | None, **options: Any) -> None:
        from generation.bundled.training import diffusion, distil, siglip  # noqa: PLC0415
        from generation.bundled.training.common import FOLDER  # noqa: PLC0415
        from generation.bundled.training.report import TEACHER  # noqa: PLC0415
        from generation.bundled.training.sheet import draw_sheet  # noqa: PLC0415

        if only is None and not (FOLDER / f"{siglip.NAME}.pt").exists():  # before anything is written
            raise CommandError("There is no trained image-text encoder: train siglip, or export --only diffusion.")
        if only != "siglip":
            distil.export(Path(MODEL.source))
            teacher = replace(MODEL, source=str(FOLDER / distil.TEACHER), steps=diffusion.STEPS)
            draw_sheet(teacher, Path(MODEL.source) / TEACHER)
        if only != "diffusion":
            siglip.export(ENCODER)

    def report(self, json: Path | None, check: bool, **options: Any) -> None:
        from generation.bundled.training.card import write_card  # noqa: PLC0415
        from generation.bundled.training.report import SHEET, measure, missed, summary  # noqa: PLC0415
        from generation.bundled.training.sheet import draw_sheet  # noqa: PLC0415

        draw_sheet(MODEL, Path(MODEL.source) / SHEET)
        figures = measure(MODEL, ENCODER)
        table = summary(figures)
        self.stdout.write(table)
        write_card(Path(MODEL.source) / "README.md", table)
        if json is not None:
            write_json(json, figures)
        if check and (misses := missed(figures)):
            raise CommandError("\n".join(misses))


def write_json(file: Path, figures: dict[str, float]) -> None:
    """The figures as one object."""
    file.write_text(json.dumps(figures, indent=2) + "\n")

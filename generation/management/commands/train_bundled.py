"""`manage.py train_bundled`: paint, train, look at and export the bundled model."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

WEIGHTS = Path(__file__).parents[2] / "bundled" / "weights" / "pocket-landscapes"


class Command(BaseCommand):
    """A thin shell: torch is imported only once there is something to train."""

    help = "Train the bundled text-to-image model on painted landscapes. Checkpoints lie under data/train/."

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="part", required=True)
        parts.add_parser("scenes", help="paint the training pictures")
        for name, minutes in (("decoder", 30), ("encoder", 10), ("diffusion", 60)):
            part = parts.add_parser(name, help=f"train the {name}, going on from its checkpoint")
            part.add_argument("--minutes", type=float, default=minutes)
            part.add_argument("--seed", type=int, default=0)
        sheet = parts.add_parser("sheet", help="draw a contact sheet from the exported weights")
        sheet.add_argument("file", type=Path)
        export = parts.add_parser("export", help="write the trained weights in half precision")
        export.add_argument("--to", type=Path, default=WEIGHTS)

    def handle(self, *args: Any, **options: Any) -> None:
        from generation.bundled.training import common, diffusion, sheet, vae  # noqa: PLC0415

        part = options["part"]
        if part == "scenes":
            common.load_pictures()
        elif part in ("decoder", "encoder"):
            vae.train_part(part, options["minutes"], options["seed"])
        elif part == "diffusion":
            diffusion.train_diffusion(options["minutes"], options["seed"])
        elif part == "sheet":
            sheet.draw_sheet(WEIGHTS, options["file"])
        else:
            try:
                diffusion.export(options["to"])
            except FileNotFoundError as error:
                raise CommandError(f"Nothing to export yet ({error}): train decoder and diffusion first.") from error

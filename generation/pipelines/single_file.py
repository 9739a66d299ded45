"""FLUX checkpoints of one file, in the layout of Forge and ComfyUI: all parts, the transformer mostly in NF4.

diffusers reads neither the packed weights nor the statistics beside them: `convert` makes a folder that it does read.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, BitsAndBytesConfig, FluxTransformer2DModel
from diffusers.loaders.single_file_utils import (
    convert_flux_transformer_checkpoint_to_diffusers,
    convert_ldm_vae_checkpoint,
)
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import CLIPTextModel, PreTrainedModel, T5EncoderModel

from generation.errors import ModelUnavailable
from generation.pipelines.loading import MAKE_ROOM, SMALL_FILES, is_full
from generation.pipelines.quantization import LARGE_PARTS, need_bitsandbytes, written_once

SHARD = "2GB"  # of weights in memory at once, and in one file of the folder
PARTS: dict[str, tuple[str, Any]] = {  # by folder: what the keys of its tensors begin with, and its class
    "transformer": ("model.diffusion_model.", FluxTransformer2DModel),
    "text_encoder": ("text_encoders.clip_l.transformer.", CLIPTextModel),
    "text_encoder_2": ("text_encoders.t5xxl.transformer.", T5EncoderModel),
    "vae": ("vae.", AutoencoderKL),
}
NEEDED = ["model.diffusion_model.double_blocks.0.", "model.diffusion_model.single_blocks.0."]  # else it is not FLUX
UNUSED = ("text_projection.weight", "embeddings.position_ids", "encoder.embed_tokens.weight")  # of the text encoders
STATE = "quant_state.bitsandbytes__nf4"  # follows the key of an NF4 weight: its shape and more, JSON as bytes
STATISTICS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", STATE)
ROWS = 21504  # of the largest weight, as diffusers' converter takes them: q, k and v of 3072 each, and 4 x 3072 more


@dataclass(frozen=True)
class Piece:
    """One tensor of a part: these runs of rows (start, stop) of the file's tensor `key`, one below the other."""

    key: str
    runs: list[tuple[int, int]]
    shape: torch.Size  # of the whole
    linear: bool  # the weight of a linear layer


def convert(
    file: Path,
    base: Path,
    folder: Path,
    *,
    changes: str = "",
    dtype: str = "bfloat16",
    quantize: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the checkpoint `file` as `folder`, in diffusers' layout. A complete folder is left as it is.

    `base` is a folder in that layout, of the same architecture: configurations, tokenizers and scheduler come from it,
    except for the settings that `changes`, a JSON file, has by the names of these files. With `quantize` the linear
    layers of the transformer and of T5 are NF4 (those that are so in the file bit for bit); without, all is `dtype`,
    the name of a torch dtype. Calls `on_progress(done, total)` after each tensor; what it raises stops the
    conversion. Holds about 2 GB of weights in memory. Raises ModelUnavailable.
    """
    try:
        with written_once(folder, lambda: None if on_progress is None else on_progress(0, 0)) as draft:
            if draft is not None:
                with _opened(file) as checkpoint:
                    _write(checkpoint, base, changes, draft, getattr(torch, dtype), quantize, on_progress)
    except (OSError, SafetensorError) as error:  # what the file itself is to blame for was found on opening it
        if is_full(error):
            raise ModelUnavailable(
                f"{file.name} could not be converted: the disk of {folder.parent} is full. {MAKE_ROOM}"
            ) from error
        raise ModelUnavailable(
            f"{file.name} could not be written as {folder} ({error}): free some space there, or remove what is in the "
            "way, and try again."
        ) from error


class Checkpoint:
    """The tensors of a single file, each read when it is asked for."""

    def __init__(self, name: str, tensors: Any) -> None:
        self.name = name
        self.tensors = tensors
        self.keys = set(tensors.keys())

    def is_nf4(self, key: str) -> bool:
        return f"{key}.{STATE}" in self.keys

    def shape(self, key: str) -> list[int]:
        """Of a tensor, as it was before it was packed. Raises ModelUnavailable if its statistics do not fit it."""
        stored: list[int] = self.tensors.get_slice(key).get_shape()
        if not self.is_nf4(key):
            return stored
        try:
            state = json.loads(bytes(self.tensors.get_tensor(f"{key}.{STATE}").tolist()))
            shape: list[int] = state["shape"]
            blocks = math.prod(self.tensors.get_slice(f"{key}.absmax").get_shape())
            sound = math.prod(shape) == 2 * math.prod(stored) == state["blocksize"] * blocks
        except (ValueError, KeyError, SafetensorError):
            sound = False
        if not sound:
            raise ModelUnavailable(f"{self.name} is damaged (in {key}): download it again.")
        return shape

    def plain(self, piece: Piece, dtype: torch.dtype) -> torch.Tensor:
        """The numbers of a piece, dequantised if need be."""
        if self.is_nf4(piece.key):
            from bitsandbytes.functional import dequantize_4bit  # noqa: PLC0415 - an extra

            return dequantize_4bit(*self.packed(piece, dtype)).to(dtype)
        rows = self.tensors.get_slice(piece.key)
        return torch.cat([rows[start:stop].to(dtype) for start, stop in piece.runs]).reshape(piece.shape)

    def packed(self, piece: Piece, dtype: torch.dtype) -> tuple[torch.Tensor, Any]:
        """A piece in NF4, quantised if need be: uint8 [numbers / 2, 1], and bitsandbytes' QuantState.

        The packed numbers follow each other row by row, in blocks that share a scale. So where rows are cut at the
        border of two blocks (always, in FLUX), nothing is lost.
        """
        from bitsandbytes.functional import QuantState, dequantize_blockwise, quantize_4bit  # noqa: PLC0415 - an extra

        if not self.is_nf4(piece.key):
            return quantize_4bit(self.plain(piece, dtype), quant_type="nf4")
        keys = {f"{piece.key}.{name}" for name in STATISTICS} & self.keys
        state = QuantState.from_dict({key: self.tensors.get_tensor(key) for key in keys}, device=torch.device("cpu"))
        scales = dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
        packed = self.tensors.get_tensor(piece.key).reshape(-1, 1)
        size = state.blocksize
        spans = [(start * state.shape[1], stop * state.shape[1]) for start, stop in piece.runs]
        if any(end % size for span in spans for end in span):
            raise ModelUnavailable(f"{self.name} cannot be split at the rows of {piece.key}: use another checkpoint.")
        state.absmax = torch.cat([scales[start // size : stop // size] for start, stop in spans]).float()
        state.shape, state.nested = piece.shape, False
        return torch.cat([packed[start // 2 : stop // 2] for start, stop in spans]), state


@contextmanager
def _opened(file: Path) -> Iterator[Checkpoint]:
    """The checkpoint, if it has all parts of FLUX."""
    try:
        tensors = safe_open(file, framework="pt")
    except FileNotFoundError as error:
        raise ModelUnavailable(f"There is no file {file}: correct its name, or download it.") from error
    except (OSError, SafetensorError) as error:
        raise ModelUnavailable(f"{file.name} is damaged or incomplete ({error}): download it again.") from error
    with tensors:
        checkpoint = Checkpoint(file.name, tensors)
        for prefix in [*NEEDED, *(prefix for prefix, _ in PARTS.values())]:
            if not any(key.startswith(prefix) for key in checkpoint.keys):
                raise ModelUnavailable(
                    f"{file.name} is not FLUX with all parts in one file, as Forge and ComfyUI have it (nothing in it "
                    f"begins with “{prefix}”): name one such as flux1-dev-bnb-nf4-v2.safetensors."
                )
        yield checkpoint


def _write(
    checkpoint: Checkpoint,
    base: Path,
    changes: str,
    folder: Path,
    dtype: torch.dtype,
    quantize: bool,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """The whole folder. Everything that can be checked beforehand is."""
    if quantize or any(key.endswith(STATE) for key in checkpoint.keys):
        need_bitsandbytes(checkpoint.name)
    _copy_small_files(base, folder, changes)
    plans = {part: _plan(checkpoint, part, folder, base) for part in PARTS}
    steps = count(1)
    for part, plan in plans.items():
        for _ in _written(checkpoint, plan, folder / part, dtype, quantize and part in LARGE_PARTS):
            if on_progress is not None:
                on_progress(next(steps), sum(map(len, plans.values())))


def _copy_small_files(base: Path, folder: Path, changes: str) -> None:
    """All that the base has besides weights, and what is otherwise."""
    for name in ["model_index.json", *(f"{part}/config.json" for part in PARTS)]:
        if not (base / name).is_file():
            raise ModelUnavailable(f"{base} has no {name}: name a FLUX folder or repository in diffusers' layout.")
    for path in (path for pattern in SMALL_FILES for path in base.glob(pattern)):
        (folder / path.relative_to(base)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.relative_to(base))
    try:
        for name, settings in json.loads(Path(changes).read_text()).items() if changes else ():
            (folder / name).write_text(json.dumps(json.loads((folder / name).read_text()) | settings, indent=2))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            f"{changes} does not say, by file of {base}, which settings differ: correct it."
        ) from error


def _plan(checkpoint: Checkpoint, part: str, folder: Path, base: Path) -> dict[str, Piece]:
    """What each tensor of a part is made of. Raises ModelUnavailable unless all of it fits the base's model."""

    def unfit(what: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"{checkpoint.name} does not fit {base} (its {part} {what}): as base, name the repository that it was made "
            "from, such as black-forest-labs/FLUX.1-dev or FLUX.1-schnell."
        )

    prefix, kind = PARTS[part]
    config = json.loads((folder / part / "config.json").read_text())
    with torch.device("meta"):  # shapes without memory
        theirs = issubclass(kind, PreTrainedModel)  # of transformers
        model = kind(kind.config_class.from_dict(config)) if theirs else kind.from_config(config)
    weights = dict(model.named_parameters())
    # transformers itself quantises all of T5 but these, in which half precision overflows.
    spared = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    linear = {
        f"{name}.weight"
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and name.rpartition(".")[2] not in spared
    }
    keys = sorted(key.removeprefix(prefix) for key in checkpoint.keys if key.startswith(prefix))
    keys = [key for key in keys if ".weight." not in key and not key.endswith(UNUSED)]  # no statistics either
    try:
        origins = _origins(part, keys, config)
    except KeyError as error:
        raise unfit(f"lacks {error.args[0]}") from error
    if missing := weights.keys() - origins.keys():
        raise unfit(f"lacks {min(missing)}")
    if unknown := origins.keys() - weights.keys() or {*keys} - {key for key, _ in origins.values()}:
        raise unfit(f"has {min(unknown)}")
    plan = {}
    for name, weight in weights.items():
        key, runs = origins[name]
        height, *others = checkpoint.shape(prefix + key) or [1]
        cuts = [(height * start // ROWS, height * stop // ROWS) for start, stop in runs]
        shape = [sum(stop - start for start, stop in cuts), *others]
        if shape not in (list(weight.shape), [*weight.shape, 1, 1]):  # the VAE's attention: convolutions of 1 x 1
            raise unfit(f"has {name} of {shape}, not {list(weight.shape)}")
        plan[name] = Piece(prefix + key, cuts, weight.shape, name in linear)
    return plan


def _origins(part: str, keys: list[str], config: dict[str, Any]) -> dict[str, tuple[str, list[tuple[int, int]]]]:
    """Of which key, and which runs of its rows (in ROWS-ths of all), diffusers makes each of its tensors.

    Its own converters say so, given numbers of rows (each is of one key only) in place of weights. Raises KeyError
    for a key that is missing.
    """
    rows = {key: torch.arange(ROWS * n, ROWS * (n + 1), dtype=torch.int32) for n, key in enumerate(keys)}
    if part == "transformer":
        rows = convert_flux_transformer_checkpoint_to_diffusers(rows)
    elif part == "vae":
        rows = convert_ldm_vae_checkpoint(rows, config)
    origins = {}
    for name, numbers in rows.items():
        ends = [0, *((numbers.diff() != 1).nonzero().flatten() + 1).tolist(), len(numbers)]
        runs = [(int(numbers[start]) % ROWS, int(numbers[stop - 1]) % ROWS + 1) for start, stop in pairwise(ends)]
        origins[name.removeprefix("text_model.")] = keys[int(numbers[0]) // ROWS], runs
    return origins


def _written(
    checkpoint: Checkpoint, plan: dict[str, Piece], folder: Path, dtype: torch.dtype, quantize: bool
) -> Iterator[str]:
    """Write the weights of a part, shard by shard, and its configuration; yield each tensor's name once it is read."""
    stem = "model" if folder.name.startswith("text_encoder") else "diffusion_pytorch_model"
    shards = split_torch_state_dict_into_shards(
        {name: torch.empty(piece.shape, dtype=dtype, device="meta") for name, piece in plan.items()},
        filename_pattern=f"{stem}{{suffix}}.safetensors",
        max_shard_size=SHARD,
    )
    index: dict[str, str] = {}
    for file, names in shards.filename_to_tensors.items():
        tensors = {}
        for name in names:
            if quantize and plan[name].linear:
                tensors[name], state = checkpoint.packed(plan[name], dtype)
                tensors |= {f"{name}.{key}": one.clone() for key, one in state.as_dict(packed=True).items()}
            else:
                tensors[name] = checkpoint.plain(plan[name], dtype)
            yield name
        save_file(tensors, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(tensors, file)
    if shards.is_sharded:
        listed = json.dumps({"metadata": shards.metadata, "weight_map": index})
        (folder / f"{stem}.safetensors.index.json").write_text(listed)
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config", None)  # of the base's weights
    if quantize:
        config["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        ).to_dict()
    (folder / "config.json").write_text(json.dumps(config, indent=2))

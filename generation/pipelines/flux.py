"""The FLUX family: schnell, dev, and whatever else diffusers loads as one."""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from safetensors import SafetensorError
from transformers import T5EncoderModel

from generation import spaces
from generation.errors import GenerationError, ModelUnavailable
from generation.installed import kept_folder
from generation.pipelines.base import Pipeline, after_step, decoded, generators
from generation.pipelines.loading import fetched_if_missing, file_of, from_here, read, require_room, small_files
from generation.pipelines.quantization import need_bitsandbytes, options, written_once
from generation.pipelines.single_file import convert
from generation.progress import Report, Stage
from generation.types import GenerationRequest, ModelSpec, Picture

log = logging.getLogger(__name__)
PROMPTS = 16  # whose embeddings are kept: 2 MB each
STEPS = 3  # of reading: T5, the transformer, all the rest
ROOM = 1.3  # of the bytes of T5 must be free: the statistics of its weights, and its activations


class Flux(Pipeline):
    """A diffusers FluxPipeline without its T5, which reads a prompt once: then its embeddings are kept.

    In four bits T5 takes 4.3 GB beside the 6.7 of the transformer, more than a card of 12 GB has room for while it
    draws. So it waits in the machine's own memory, and is on the card only while a new prompt is read: moved in a
    second, where reading a prompt on the CPU would take the better part of a minute. bitsandbytes moves packed weights
    whole.
    """

    def __init__(self, spec: ModelSpec, pipe: FluxPipeline, device: str) -> None:
        self.spec = spec
        self.pipe = pipe
        self.t5 = pipe.text_encoder_2.to("cpu")
        pipe.text_encoder_2 = None  # else the pipeline would take its device for its own
        pipe.to(device)
        self._encoded: OrderedDict[str, tuple[torch.Tensor, torch.Tensor]] = OrderedDict()

    @classmethod
    def load(cls, spec: ModelSpec, device: str, report: Report | None = None) -> "Flux":
        pipe = _read(spec, report or Report(spec))
        found = pipe.text_encoder_2.config.d_model, pipe.text_encoder.config.hidden_size
        if found != (spec.hidden_size, spec.pooled_size):
            raise ModelUnavailable(
                f"{spec.label} has tokens of {found[0]} numbers and a pooled embedding of {found[1]}, its entry says "
                f"{spec.hidden_size} and {spec.pooled_size}: correct hidden_size and pooled_size."
            )
        return cls(spec, pipe, device)

    @torch.inference_mode()
    def generate(self, request: GenerationRequest) -> list[Picture]:
        space = self.space_of(request)
        if request.negative_prompt:  # the form says so already; the service that others call has no form
            raise GenerationError(f"{self.spec.label} reads no negative prompt: start a session without one.")
        count = len(request.vectors)
        embeds, pooled = (part.expand(count, *part.shape[1:]) for part in self._encode(request.prompt))
        if isinstance(space, spaces.PooledEmbed):
            pooled = pooled + self._tensor(space.to_delta(request.vectors, request.delta_scale))
        elif isinstance(space, spaces.PromptEmbed):
            embeds = embeds + self._tensor(space.to_delta(self.spec, request.vectors, request.delta_scale))
        noise = self._tensor(self.noise_of(request, space))
        packed = self.pipe(
            prompt_embeds=embeds,
            pooled_prompt_embeds=pooled,
            latents=self.pipe._pack_latents(noise, *noise.shape),  # in patches of 2 x 2
            width=request.width,
            height=request.height,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            max_sequence_length=self.spec.prompt_tokens,
            generator=generators(request),
            output_type="latent",
            callback_on_step_end=after_step(self, request),
        ).images
        return decoded(self.pipe.vae, self.laid_out(packed, request))

    def laid_out(self, latents: torch.Tensor, request: GenerationRequest) -> torch.Tensor:
        """From patches of 2 x 2."""
        unpacked: torch.Tensor = self.pipe._unpack_latents(
            latents, request.height, request.width, self.pipe.vae_scale_factor
        )
        return unpacked

    def _encode(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of the tokens [1, tokens, hidden] by T5, and of the prompt as a whole [1, pooled] by CLIP."""
        if prompt not in self._encoded:
            with self.reading() as device:
                embeds, pooled, _ = self.pipe.encode_prompt(
                    prompt, device=device, max_sequence_length=self.spec.prompt_tokens
                )
            self._encoded[prompt] = embeds, pooled
            if len(self._encoded) > PROMPTS:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(prompt)
        return self._encoded[prompt]

    @contextmanager
    def reading(self) -> Iterator[torch.device]:
        """T5 where the pipeline is; in place of the transformer where there is no room for both."""
        device, transformer = self.pipe.device, self.pipe.transformer
        makes_room = device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < ROOM * bytes_of(self.t5)
        try:
            if makes_room:
                transformer.to("cpu")
                torch.cuda.empty_cache()
            self.pipe.text_encoder_2 = self.t5.to(device)
            yield device
        finally:
            self.pipe.text_encoder_2 = None
            self.t5.to("cpu")
            if makes_room:
                torch.cuda.empty_cache()
                transformer.to(device)

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.pipe.device, self.pipe.transformer.dtype)


def bytes_of(module: torch.nn.Module) -> int:
    """Of its weights, packed as they are."""
    return sum(one.numel() * one.element_size() for one in (*module.parameters(), *module.buffers()))


def _read(spec: ModelSpec, report: Report) -> FluxPipeline:
    """The pipeline on the CPU; in four bits from where it is kept, after the first time."""
    if spec.quantization == "nf4":
        need_bitsandbytes(spec.label)
    folder = kept_folder(spec)
    kept = replace(spec, source=str(folder))
    if spec.single_file:
        if not folder.is_dir():  # else the file itself is not needed any longer
            base = small_files(spec)  # before gigabytes are fetched
            file = file_of(spec, report)
            require_room(spec)
            convert(
                file,
                base,
                folder,
                changes=spec.changes,
                dtype=spec.dtype,
                quantize=spec.quantization == "nf4",
                on_progress=partial(report.tell, Stage.CONVERTING),
            )
        return _read_parts(kept, report)
    if not spec.quantization:
        return _read_parts(spec, report)
    pipe = None
    try:
        with written_once(folder, partial(report.tell, Stage.CONVERTING)) as draft:
            if draft is not None:
                pipe = _read_parts(spec, report, Stage.CONVERTING)
                report.tell(Stage.CONVERTING, STEPS, STEPS)
                pipe.save_pretrained(draft, safe_serialization=True)
    except (OSError, SafetensorError) as error:
        log.warning("%s is quantised anew at each start: it could not be kept as %s (%s).", spec.label, folder, error)
    return _read_parts(kept, report) if pipe is None else pipe


def _read_parts(spec: ModelSpec, report: Report, stage: Stage = Stage.READING) -> FluxPipeline:
    """The large parts one after the other, T5 first: weights in four bits are read onto the card, where it leaves."""

    def part(name: str, kind: Any, done: int) -> Any:
        report.tell(stage, done, STEPS)
        quantised_now = options(spec, name) if stage == Stage.CONVERTING else {}
        return from_here(kind, spec, subfolder=name, **quantised_now)

    def parts() -> dict[str, Any]:
        t5 = part("text_encoder_2", T5EncoderModel, 0).to("cpu")
        return {"text_encoder_2": t5, "transformer": part("transformer", FluxTransformer2DModel, 1)}

    large = fetched_if_missing(spec, report, parts)
    rest: FluxPipeline = read(FluxPipeline, spec, report, partial(report.tell, stage, 2, STEPS), **large)
    return rest

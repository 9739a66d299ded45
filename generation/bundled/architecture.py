"""The shapes of the bundled models, text-to-image and image-text, in diffusers' and transformers' own classes."""

from dataclasses import dataclass

import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from generation.bundled.vocabulary import WORDS, build_tokenizer


@dataclass(frozen=True)
class Architecture:
    """One size of model; plain data. Pictures are `pixels` square, latents 4 x pixels/8 x pixels/8."""

    name: str
    pixels: int
    vae_channels: tuple[int, int, int, int]
    unet_channels: tuple[int, int, int]
    text_hidden: int
    text_layers: int
    text_heads: int
    unet_heads: int
    norm_groups: int
    tokens: int = 32
    words: tuple[str, ...] = WORDS


POCKET = Architecture(
    name="pocket-landscapes",
    pixels=128,
    vae_channels=(16, 32, 48, 64),
    unet_channels=(64, 80, 96),
    text_hidden=128,
    text_layers=2,
    text_heads=4,
    unet_heads=4,
    norm_groups=8,
)

TINY = Architecture(
    name="tiny",
    pixels=64,
    vae_channels=(4, 4, 8, 8),
    unet_channels=(8, 8, 16),
    text_hidden=16,
    text_layers=1,
    text_heads=2,
    unet_heads=2,
    norm_groups=4,
)


def build_vae(architecture: Architecture) -> AutoencoderKL:
    """An autoencoder with random weights: 3 x P x P in [-1, 1] to 4 x P/8 x P/8 and back.

    Without attention in its middle it is fully convolutional, so it can be trained on crops.
    `scaling_factor` is 1: training folds the latents' mean and spread into the 1 x 1 convolutions beside them.
    """
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=architecture.vae_channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=1,  # small groups would take absolute brightness away from so few channels
        sample_size=architecture.pixels,
        scaling_factor=1.0,
        force_upcast=False,
        mid_block_add_attention=False,
    )


def build_unet(architecture: Architecture) -> UNet2DConditionModel:
    """A denoiser with random weights. Attention only below full resolution, where it is cheap on a CPU."""
    return UNet2DConditionModel(
        sample_size=architecture.pixels // 8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=architecture.unet_channels,
        layers_per_block=1,
        cross_attention_dim=architecture.text_hidden,
        # The prompt as a whole also joins the moment's embedding, and so reaches every block: through attention alone
        # a small model takes many times longer to follow words for things.
        addition_embed_type="text",
        addition_embed_type_num_heads=architecture.text_heads,
        # diffusers reads this as the number of heads (its issue 2011); the name is kept for old checkpoints.
        attention_head_dim=architecture.unet_heads,
        norm_num_groups=architecture.norm_groups,
    )


def build_text_encoder(architecture: Architecture, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A CLIP text tower with random weights over the tokenizer's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=architecture.text_hidden,
            intermediate_size=4 * architecture.text_hidden,
            projection_dim=architecture.text_hidden,
            num_hidden_layers=architecture.text_layers,
            num_attention_heads=architecture.text_heads,
            max_position_embeddings=architecture.tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_scheduler() -> DPMSolverMultistepScheduler:
    """DPM-Solver++ for v-prediction, set for about 20 steps.

    Cosine schedule: at 16 x 16 latents the linear one spends half its steps on noise. Its last step is
    nearly pure noise, as sampling from a unit normal assumes; diffusers recommends the clip with it.
    """
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing="trailing",
        lambda_min_clipped=-5.1,
        steps_offset=1,  # diffusers warns without it; trailing spacing ignores it
    )


def build_pipeline(architecture: Architecture, seed: int = 0) -> StableDiffusionPipeline:
    """The whole pipeline with random float32 weights fixed by `seed`; torch's global generator is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(architecture.words, architecture.tokens)
        pipe = StableDiffusionPipeline(
            vae=build_vae(architecture),
            text_encoder=build_text_encoder(architecture, tokenizer),
            tokenizer=tokenizer,
            unet=build_unet(architecture),
            scheduler=build_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    for part in (pipe.vae, pipe.text_encoder, pipe.unet):
        part.eval()
    return pipe


def build_siglip(tokenizer: CLIPTokenizer, seed: int = 0) -> SiglipModel:
    """An image and a text tower with random weights and one space: pictures of 64 x 64 in patches of 8, 96 numbers."""
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": tokenizer.model_max_length,
        "projection_size": 96,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "image_size": 64,
        "patch_size": 8,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SiglipModel(SiglipConfig(text_config=text, vision_config=vision)).eval()


def build_processor(tokenizer: CLIPTokenizer, model: SiglipModel) -> SiglipProcessor:
    """The processor that goes with it: pictures to its size and to [-1, 1]."""
    side = model.config.vision_config.image_size
    return SiglipProcessor(SiglipImageProcessorPil(size={"height": side, "width": side}), tokenizer)

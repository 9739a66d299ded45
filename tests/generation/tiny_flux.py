"""A real FluxPipeline, both text encoders included, with random weights: under a megabyte, saved and loaded as any."""

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from generation.types import ModelSpec
from ipo_site.benchmarks.speed.full_size import clip_tokenizer, t5_tokenizer

TOKENS, T5_SIZE, CLIP_SIZE = 16, 64, 64
CLIP_WORDS = 2 * 26 + 2  # a letter within a word and at its end; begin and end

CLIP = CLIPTextConfig(
    vocab_size=CLIP_WORDS,
    hidden_size=CLIP_SIZE,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    bos_token_id=CLIP_WORDS - 2,
    eos_token_id=CLIP_WORDS - 1,
    pad_token_id=CLIP_WORDS - 1,
)


def spec(source: str) -> ModelSpec:
    """The entry of the pipeline that is saved in the folder `source`."""
    return ModelSpec(
        key="tiny-flux",
        label="Tiny FLUX",
        source=source,
        family="flux",
        dtype="float32",
        width=64,
        height=64,
        steps=2,
        guidance=3.5,
        hidden_size=T5_SIZE,
        pooled_size=CLIP_SIZE,
        prompt_tokens=TOKENS,
        latent_channels=16,
        example_prompt="a sea",
    )


def build(seed: int = 0) -> FluxPipeline:
    """The whole pipeline, float32, fixed by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipe = FluxPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(4, 4, 8, 8),
                latent_channels=16,
                norm_num_groups=4,
                layers_per_block=1,
                sample_size=64,
                use_quant_conv=False,
                use_post_quant_conv=False,
                shift_factor=0.1,
                scaling_factor=0.4,
            ),
            text_encoder=CLIPTextModel(CLIP),
            tokenizer=clip_tokenizer(CLIP_WORDS),
            text_encoder_2=T5EncoderModel(
                T5Config(vocab_size=32, d_model=T5_SIZE, d_kv=32, d_ff=64, num_layers=1, num_heads=2)
            ),
            tokenizer_2=t5_tokenizer(),
            transformer=FluxTransformer2DModel(
                in_channels=64,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=32,
                num_attention_heads=2,
                joint_attention_dim=T5_SIZE,
                pooled_projection_dim=CLIP_SIZE,
                guidance_embeds=True,
                axes_dims_rope=(8, 12, 12),
            ),
        )
    for part in (pipe.vae, pipe.text_encoder, pipe.text_encoder_2, pipe.transformer):
        part.eval()
    return pipe

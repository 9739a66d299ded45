"""Image-text encoders of the SigLIP kind: pictures and texts to unit vectors of one space."""

from collections.abc import Sequence
from typing import Any

import httpx2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, SiglipImageProcessorPil, SiglipModel, SiglipProcessor

from generation.errors import ModelUnavailable

Floats = NDArray[np.float32]
CHUNK = 32


class Siglip:
    """A SigLIP model (Zhai et al. 2023) with its processor. It owns its weights until it is dropped."""

    def __init__(self, model: SiglipModel, processor: SiglipProcessor) -> None:
        self.model, self.processor = model, processor

    @classmethod
    def load(cls, source: str, device: str = "cpu") -> "Siglip":
        """Read the weights from a folder or a hub name. Raises ModelUnavailable with a remedy."""
        try:
            return cls._read(source, device, local_files_only=True)  # without a look at the hub
        except (OSError, ValueError):
            pass
        try:
            return cls._read(source, device)
        except (OSError, ValueError, httpx2.HTTPError) as error:
            raise ModelUnavailable(
                f"The image encoder could not be read from {source}: check the folder, or the network connection "
                "and the Hugging Face token, and try again."
            ) from error

    @classmethod
    def _read(cls, source: str, device: str, **options: Any) -> "Siglip":
        model = SiglipModel.from_pretrained(source, dtype=torch.float32, **options).to(device).eval()
        # Named, not chosen by what is installed: the other image processor's pictures differ a little.
        images = SiglipImageProcessorPil.from_pretrained(source, **options)
        return cls(model, SiglipProcessor(images, AutoTokenizer.from_pretrained(source, **options)))

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.model.config.vision_config.hidden_size)

    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Pictures (H x W x 3 each, uint8, any sizes) to unit vectors, n x d."""
        return self._embed([Image.fromarray(picture) for picture in pictures], self._image_features)

    def embed_texts(self, texts: Sequence[str]) -> Floats:
        """Texts to unit vectors, n x d; what is longer than the model reads is cut."""
        return self._embed(list(texts), self._text_features)

    def _image_features(self, images: list[Image.Image]) -> torch.Tensor:
        pixels = self.processor(images=images, return_tensors="pt").pixel_values
        vectors: torch.Tensor = self.model.get_image_features(pixel_values=pixels.to(self.model.device)).pooler_output
        return vectors

    def _text_features(self, texts: list[str]) -> torch.Tensor:
        # SigLIP reads its last position whatever it holds, and was trained on texts padded to the full length.
        length = self.model.config.text_config.max_position_embeddings
        tokens = self.processor.tokenizer(
            texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        vectors: torch.Tensor = self.model.get_text_features(
            input_ids=tokens.input_ids.to(self.model.device)
        ).pooler_output
        return vectors

    @torch.inference_mode()
    def _embed(self, items: list[Any], features: Any) -> Floats:
        rows = [np.zeros((0, self.dimension), np.float32)]
        for i in range(0, len(items), CHUNK):
            vectors = features(items[i : i + CHUNK])
            rows.append(torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy())
        return np.concatenate(rows)

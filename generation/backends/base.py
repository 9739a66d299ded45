"""Where pictures are drawn: in this process, or (later) on a server."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from generation.types import GenerationRequest, ModelSpec, Picture, Pixels, Vectors


class Backend(ABC):
    @abstractmethod
    def ensure_ready(self, spec: ModelSpec) -> None:
        """Have the model loaded. Raises ModelUnavailable."""

    @abstractmethod
    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass with this model. Raises GenerationError."""

    @abstractmethod
    def embed(self, encoder: str, pictures: Sequence[Pixels]) -> Vectors:
        """What an encoder (a key of ENCODERS) sees in pictures: unit vectors [n, k]. Raises ModelUnavailable."""

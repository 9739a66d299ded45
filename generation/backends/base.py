"""Where pictures are drawn: in this process, or on a server."""

from abc import ABC, abstractmethod

from generation.types import GenerationRequest, ModelSpec, Picture


class Backend(ABC):
    @abstractmethod
    def ensure_ready(self, spec: ModelSpec) -> None:
        """Have the model loaded. Raises ModelUnavailable."""

    @abstractmethod
    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass with this model. Raises GenerationError."""

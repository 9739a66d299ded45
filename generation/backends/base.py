"""Where pictures are drawn: in this process, or on a server."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from generation.types import GenerationRequest, ModelSpec, Picture


class Backend(ABC):
    @abstractmethod
    def ensure_ready(self, spec: ModelSpec, should_stop: Callable[[], bool] | None = None) -> None:
        """Have the model loaded. Raises GenerationError; Cancelled once it is to stop, if it can be."""

    @abstractmethod
    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass with this model. Raises GenerationError."""

"""Where pictures are drawn: in this process, or on a server."""

from abc import ABC, abstractmethod

from generation.progress import Report
from generation.types import GenerationRequest, ModelSpec, Picture


class Backend(ABC):
    @abstractmethod
    def ensure_ready(self, spec: ModelSpec, report: Report | None = None) -> None:
        """Have the model loaded. Raises GenerationError; Cancelled once the report says that it is to stop."""

    @abstractmethod
    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass with this model. Raises GenerationError."""

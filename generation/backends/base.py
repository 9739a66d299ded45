"""Where pictures are drawn and looked at: in this process, or on a server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from generation.progress import Report
from generation.types import Embedded, GenerationRequest, ModelSpec, Picture, Pixels


class Backend(ABC):
    @abstractmethod
    def ensure_ready(self, spec: ModelSpec, report: Report | None = None) -> None:
        """Have the model loaded. Raises GenerationError; Cancelled once the report says that it is to stop."""

    @abstractmethod
    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass with this model. Raises GenerationError."""

    @abstractmethod
    def embed_images(
        self, encoder: str, pictures: Sequence[Pixels], should_stop: Callable[[], bool] | None = None
    ) -> Embedded:
        """What an encoder (a key of ENCODERS) sees in pictures of any sizes, a row for each.

        Raises GenerationError; Cancelled once `should_stop` says so.
        """

    @abstractmethod
    def embed_texts(
        self, encoder: str, texts: Sequence[str], should_stop: Callable[[], bool] | None = None
    ) -> Embedded:
        """The same of texts, in the same space; what is longer than the encoder reads is cut."""

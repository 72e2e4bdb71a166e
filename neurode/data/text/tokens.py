"""What every vocabulary agrees on: four reserved numbers, and how sentences become numbers and come back."""

from typing import Any, Protocol, runtime_checkable

PAD, START, END, UNKNOWN = 0, 1, 2, 3
"""Reserved token numbers: filling behind a sentence, before its first word, after its last, and any unlisted word."""


@runtime_checkable
class Tokenizer(Protocol):
    """Turns a sentence into the numbers of its words (no START, no END) and back; `decode` stops at END."""

    size: int

    def encode(self, sentence: str) -> list[int]: ...

    def decode(self, ids) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...

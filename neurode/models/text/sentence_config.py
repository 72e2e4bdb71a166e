"""The settings of a sentence autoencoder, checked, in plain types; the networks of the textbook as presets."""

from dataclasses import asdict, dataclass
from typing import Any

CODES = ("free", "sphere", "gaussian")
CELLS = ("gru", "lstm")
POOLINGS = ("max", "mean")
PLANS = ("constant", "position", "ode")


@dataclass(frozen=True)
class SentenceConfig:
    """Every setting of `SentenceAutoencoder`. The defaults are a conventional autoencoder: a free code and no noise.

    vocabulary_size: token numbers, the four reserved ones included. max_words: longest sentence, in words.
    code_dim: numbers of a code. embedding_dim, hidden_dim: of a word, and of the recurrent cell (a bidirectional
    encoder has two). cell: "gru" | "lstm". pooling: how the encoder's states become one, "max" | "mean".
    tied_embeddings: the words that the decoder reads and writes share their vectors. The states then pass a layer of
    embedding_dim numbers before the softmax, which is also quicker. dropout: share of the word vectors' and the
    decoder states' components that are dropped while training, one choice for a whole sentence.

    code: what the encoder gives. "free", any point. "sphere", a point at distance sqrt(code_dim) from the origin, to
    which Gaussian noise of standard deviation code_noise is added. "gaussian", a diagonal Gaussian from which the
    decoder is given a draw, with a KL term of weight beta towards N(0, I); free_bits nats of each number cost nothing;
    beta grows to its full weight over beta_warmup epochs. pretraining_epochs: train as an autoencoder so long (mean
    code, no KL term), then start the decoder afresh and go on. encoder_word_drop, decoder_word_drop: share of words
    that the encoder, and the decoder's feedback, see as unknown while training.

    plan: what the decoder reads beside the previous word. "constant", the code; "position", a function of code and
    place; "ode", the solution of a neural ODE that starts at the code. plan_hidden: width of that network;
    "constant" needs none, and with one is refined by a network of equal size. plan_waves: sine-cosine pairs that tell
    the network its place. plan_steps: Runge-Kutta steps of the solve.

    Raises ValueError for impossible settings and for settings without effect.
    """

    vocabulary_size: int
    max_words: int = 16
    code_dim: int = 64
    embedding_dim: int = 160
    hidden_dim: int = 320
    cell: str = "gru"
    pooling: str = "max"
    tied_embeddings: bool = True
    dropout: float = 0.0
    code: str = "free"
    code_noise: float = 0.0
    encoder_word_drop: float = 0.0
    decoder_word_drop: float = 0.0
    beta: float = 0.0
    beta_warmup: int = 0
    free_bits: float = 0.0
    pretraining_epochs: int = 0
    plan: str = "constant"
    plan_hidden: int = 0
    plan_waves: int = 3
    plan_steps: int = 4

    def __post_init__(self):
        for name, allowed in (("code", CODES), ("cell", CELLS), ("pooling", POOLINGS), ("plan", PLANS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of: {', '.join(map(repr, allowed))}.")
        if self.vocabulary_size < 5:
            raise ValueError(f"vocabulary_size={self.vocabulary_size} must be at least 5: four numbers are reserved.")
        for name in ("max_words", "code_dim", "embedding_dim", "hidden_dim", "plan_waves", "plan_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        for name in ("dropout", "encoder_word_drop", "decoder_word_drop"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0 and below 1.")
        for name in ("code_noise", "beta", "beta_warmup", "free_bits", "pretraining_epochs", "plan_hidden"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative.")
        self._refuse_what_has_no_effect()

    def _refuse_what_has_no_effect(self) -> None:
        if self.code_noise and self.code != "sphere":
            raise ValueError(
                f"code_noise={self.code_noise} needs code='sphere': a free code grows until the noise means nothing, "
                "and a Gaussian one learns its own."
            )
        if self.code == "gaussian" and not self.beta:
            raise ValueError("code='gaussian' needs beta > 0, or its noise dies out: pass beta=1, or code='free'.")
        if self.code != "gaussian":
            for name in ("beta", "beta_warmup", "free_bits", "pretraining_epochs"):
                if getattr(self, name):
                    raise ValueError(f"{name}={getattr(self, name)} has no effect with code={self.code!r}.")
        if self.plan != "constant" and not self.plan_hidden:
            raise ValueError(f"plan={self.plan!r} is made by a network: pass plan_hidden of at least 1.")

    @classmethod
    def autoencoder(cls, vocabulary_size: int, **settings: Any) -> "SentenceConfig":
        """The conventional autoencoder: no noise anywhere."""
        return cls(vocabulary_size, **settings)

    @classmethod
    def noisy_autoencoder(cls, vocabulary_size: int, **settings: Any) -> "SentenceConfig":
        """Codes on a sphere, blurred, from sentences with a few words hidden."""
        noisy: dict[str, Any] = {"code": "sphere", "code_noise": 0.3, "encoder_word_drop": 0.1}
        return cls(vocabulary_size, **{**noisy, **settings})

    @classmethod
    def vae(cls, vocabulary_size: int, **settings: Any) -> "SentenceConfig":
        """The variational autoencoder with half a nat free a number, so that the code is used from the start."""
        variational: dict[str, Any] = {"code": "gaussian", "beta": 1.0, "free_bits": 0.5}
        return cls(vocabulary_size, **{**variational, **settings})

    def to_json(self) -> dict[str, Any]:
        """Plain types, for a JSON file; `SentenceConfig(**plain)` is the same again."""
        return asdict(self)

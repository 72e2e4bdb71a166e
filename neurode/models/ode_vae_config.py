"""The settings of an ODE-VAE, checked, in plain types."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from neurode.models.hiding import TaskMixture

PRIORS = ("mixture", "flow")


# Measured defaults: beta 0.01 to 0.03 forecasts storms better than 0.1; elu continues spirals beyond the observed part
# where tanh saturates, and is not worse on storms and PhysioNet.
@dataclass(frozen=True)
class ODEVAEConfig:
    """Every setting of `ODEVAE`.

    input_dim: features. hidden_dim: GRU units, width of field and emission. latent_dim: numbers of a code.
    bidirectional: walk the observations forward too; needed by forecast_origin="newest" and continuity.
    forecast_origin: "newest", forecasts start from a code at the newest observation; "start", they go on along the path
    from the series' start. mixture: `TaskMixture`, or a mapping of its fields: what training asks.
    anchored: tie readings to neighbouring observed values, `neighbours` of them on each side. varying_scale: let
    standard deviations depend on the latent state. outlier_share: share of far-out readings, which then weigh less; the
    standard deviations that are predicted are those of the others.
    beta, beta_warmup (epochs), free_bits (nats per latent number): weight of the KL term. continuity: weight of the log
    density of each path's end under the code that the newest observations give; it lets paths go on well beyond what
    training asks, and costs one more walk.
    calendar_periods: in model time; field and emission then know the phase at `batch.offset` + t. num_components: of
    the latent density. field_layers, activation, bound, method, step_size, rtol, atol, batching, gradient, engine: see
    `NeuralODEDecoder`. Raises ValueError for impossible settings.
    """

    input_dim: int
    hidden_dim: int = 64
    latent_dim: int = 16
    bidirectional: bool = True
    forecast_origin: str = "newest"
    mixture: TaskMixture | Mapping | None = None
    anchored: bool = True
    varying_scale: bool = True
    neighbours: int = 2
    outlier_share: float = 0.02
    continuity: float = 0.0
    beta: float = 0.03
    beta_warmup: int = 10
    free_bits: float = 0.0
    calendar_periods: tuple[float, ...] | list[float] = ()
    num_components: int = 8
    prior: str = "mixture"
    field_layers: int = 2
    activation: str = "elu"
    bound: float | None = 20.0
    method: str = "rk4"
    step_size: float | None = 0.1
    rtol: float | None = None
    atol: float | None = None
    batching: str = "joint"
    gradient: str = "auto"
    engine: str = "auto"

    def __post_init__(self):
        object.__setattr__(self, "mixture", TaskMixture.of(self.mixture))
        object.__setattr__(self, "calendar_periods", tuple(float(period) for period in self.calendar_periods))
        if self.forecast_origin not in ("newest", "start"):
            raise ValueError(f"forecast_origin={self.forecast_origin!r} must be 'newest' or 'start'.")
        if self.prior not in PRIORS:
            raise ValueError(f"prior={self.prior!r} must be one of: {', '.join(map(repr, PRIORS))}.")
        if self.forecast_origin == "newest" and not self.bidirectional:
            raise ValueError(
                "forecast_origin='newest' needs the forward walk: pass bidirectional=True, or forecast_origin='start'."
            )
        if self.continuity and not self.bidirectional:
            raise ValueError(f"continuity={self.continuity} needs the forward walk: pass bidirectional=True.")
        for name in ("beta", "beta_warmup", "free_bits", "continuity"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative.")
        if any(not period > 0 for period in self.calendar_periods):
            raise ValueError(f"calendar_periods={self.calendar_periods} must all be positive (in model time).")
        if self.neighbours < 1:
            raise ValueError(
                f"neighbours={self.neighbours} must be at least 1 (observed values on each side of a cell)."
            )
        if not 0 <= self.outlier_share < 0.5:
            raise ValueError(f"outlier_share={self.outlier_share} must be at least 0 and below 0.5.")

    def to_json(self) -> dict[str, Any]:
        """Plain types, for a JSON file; `ODEVAEConfig(**plain)` is the same again."""
        plain = asdict(self)
        plain["mixture"]["hide"] = list(plain["mixture"]["hide"])
        plain["calendar_periods"] = list(self.calendar_periods)
        return plain

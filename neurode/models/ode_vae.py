"""ODE-VAE: an RNN encodes an irregular series, a neural ODE carries the code through time, an emission reads it out.

Chen et al., "Neural ordinary differential equations", 2018, section 5; Rubanova et al., "Latent ODEs for
irregularly-sampled time series", 2019. The anchored emission and the code at the newest observation are ours.

Shape legend: S draws, B series, T rows, Q asked times, F features, D latent numbers.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext
from neurode.data.batch import Batch
from neurode.models import hiding
from neurode.models.anchors import Anchors, Cells, find_anchors
from neurode.models.decoder import NeuralODEDecoder, Path
from neurode.models.emission import Levels
from neurode.models.encoder import RNNEncoder
from neurode.models.flow_prior import FlowPrior
from neurode.models.gaussian import (
    DiagonalGaussian,
    beta_at,
    gaussian_log_density,
    kl_with_free_bits,
    robust_log_density,
)
from neurode.models.keyed_noise import keyed_normals, keyed_uniforms
from neurode.models.latent_density import LatentDensity
from neurode.models.ode_vae_config import PRIORS, ODEVAEConfig
from neurode.models.prediction import Prediction, draw_courses, matched

_FROM_START, _ONWARD = 0, 1  # kinds of reading: the path from the start, and the path on from the newest observation
_CODE, _DRAW, _COMPONENT = 1, 2, 3  # streams of keyed noise


class ODEVAE(nn.Module):
    """Latent ODE for irregular, gappy series: fill, forecast, reconstruct, generate, with uncertainty.

    Good for tables of many series of up to some hundred rows, any times, any blanks, one feature or dozens. Not good
    for one endless series (cut it into windows), nor for text and categories.

    A series is encoded twice: at its start, from where its path is read for filling, reconstruction and sampling, and
    at its newest observation, from where it is forecast (forecast_origin="newest"; "start" forecasts along the path
    from the start, as the classical model does). Times of a batch count from each series' own start, in units in which
    a series spans about 1; values are standardised.

    input_dim: features F. hidden_dim: GRU units, width of field and emission. latent_dim: D. All else:
    see `ODEVAEConfig`.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int = 64,
        latent_dim: int = 16,
        *,
        bidirectional: bool = True,
        forecast_origin: str = "newest",
        mixture: hiding.TaskMixture | Mapping | None = None,
        anchored: bool = True,
        varying_scale: bool = True,
        neighbours: int = 2,
        outlier_share: float = 0.02,
        continuity: float = 0.0,
        beta: float = 0.03,
        beta_warmup: int = 10,
        free_bits: float = 0.0,
        calendar_periods: tuple[float, ...] | list[float] = (),
        num_components: int = 8,
        prior: str = "mixture",
        field_layers: int = 2,
        activation: str = "elu",
        bound: float | None = 20.0,
        method: str = "rk4",
        step_size: float | None = 0.1,
        rtol: float | None = None,
        atol: float | None = None,
        batching: str = "joint",
        gradient: str = "auto",
        engine: str = "auto",
    ):
        super().__init__()
        self._build(
            ODEVAEConfig(
                input_dim,
                hidden_dim,
                latent_dim,
                bidirectional=bidirectional,
                forecast_origin=forecast_origin,
                mixture=mixture,
                anchored=anchored,
                varying_scale=varying_scale,
                neighbours=neighbours,
                outlier_share=outlier_share,
                continuity=continuity,
                beta=beta,
                beta_warmup=beta_warmup,
                free_bits=free_bits,
                calendar_periods=calendar_periods,
                num_components=num_components,
                prior=prior,
                field_layers=field_layers,
                activation=activation,
                bound=bound,
                method=method,
                step_size=step_size,
                rtol=rtol,
                atol=atol,
                batching=batching,
                gradient=gradient,
                engine=engine,
            )
        )

    def _build(self, settings: ODEVAEConfig) -> None:
        sizes = settings.input_dim, settings.hidden_dim, settings.latent_dim
        self.settings, self.mixture = settings, hiding.TaskMixture.of(settings.mixture)
        self.input_dim, _, self.latent_dim = sizes
        self.onward = settings.forecast_origin == "newest"
        self.encoder = RNNEncoder(*sizes, bidirectional=settings.bidirectional)
        self.decoder = NeuralODEDecoder(
            *sizes,
            field_layers=settings.field_layers,
            activation=settings.activation,
            bound=settings.bound,
            periods=settings.calendar_periods,
            method=settings.method,
            step_size=settings.step_size,
            rtol=settings.rtol,
            atol=settings.atol,
            batching=settings.batching,
            gradient=settings.gradient,
            engine=settings.engine,
            kinds=2 if self.onward else 1,
            anchored=settings.anchored,
            varying_scale=settings.varying_scale,
        )
        self.density = LatentDensity(self.latent_dim, settings.num_components)
        self.flow = None
        if (
            settings.prior == "flow"
        ):  # trained afterwards, on the codes of this model, whose own training leaves it alone
            self.flow = FlowPrior(self.latent_dim, (128, 128, 128), whiten=True).requires_grad_(False)

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same model, in plain types."""
        return self.settings.to_json()

    @classmethod
    def from_config(cls, config: dict) -> "ODEVAE":
        """The model, untrained, that `config()` describes."""
        return cls(**config)

    # -- training

    def loss(self, batch: Batch, context: StepContext) -> LossParts:
        """Negative ELBO of one task for each series, as a sum over the asked observations.

        Tasks and noise are keyed by (seed, epoch, series index). In eval mode both are those of epoch 0 and the KL term
        has its full weight, so that epochs compare.
        """
        batch = hiding.cleaned(batch)
        epoch = context.epoch if self.training else 0
        drawn = hiding.draw_hiding(batch, self.mixture, seed=context.seed, epoch=epoch)
        onward = (drawn.task == hiding.FORECAST) & self.onward
        code = self._code(batch, drawn.seen, onward)
        z = code.sample(self._normals(batch.index, (self.latent_dim,), context.seed, epoch, _CODE))

        used = drawn.seen | drawn.asked
        needed = used.any(dim=2)
        zero = torch.where(onward, hiding.newest_time(batch.times, drawn.seen), 0)
        end = hiding.newest_time(batch.times, used)
        times = torch.cat([torch.where(needed, batch.times, zero[:, None]), end[:, None]], dim=1)
        levels, path = self._levels(z[None], batch, times, zero)
        cells = Cells.where(drawn.asked)
        visible = drawn.seen & (drawn.task != hiding.RECONSTRUCT)[:, None, None]
        anchors = self._anchors(batch.times, visible, batch.times, cells, inclusive=False)
        emission = self.decoder.emission
        parts = emission.parts(onward.long(), cells)
        mean, variance = emission.read(levels, cells, parts, anchors, batch.values, levels)
        log_likelihood = robust_log_density(cells.of(batch.values), mean, variance, self.settings.outlier_share).sum()
        gap = self._gap(batch, used, path.z[:, -1]) if self.settings.continuity else 0.0
        kl = code.kl_to_standard()
        beta = beta_at(epoch, self.settings.beta, self.settings.beta_warmup) if self.training else self.settings.beta
        return LossParts(
            loss=beta * kl_with_free_bits(kl, self.settings.free_bits).sum()
            - log_likelihood
            + self.settings.continuity * gap,
            weight=float(drawn.asked.sum()),
            parts={"reconstruction": -log_likelihood.detach(), "kl": kl.sum().detach()},
            evaluations=path.evaluations,
        )

    def forward(self, batch: Batch) -> torch.Tensor:
        """The reconstruction that the mean code gives, (B, T, F), with its graph."""
        batch = hiding.cleaned(batch)
        code = self.encode(batch)
        return self._levels(code.mean[None], batch, batch.times, torch.zeros_like(batch.offset))[0].mean[0]

    # -- reading

    def encode(self, batch: Batch, *, at: str = "start") -> DiagonalGaussian:
        """The posterior code (B, D) at the series' start, or at="newest" at its newest observation."""
        if at not in ("start", "newest"):
            raise ValueError(f"at={at!r} must be 'start' or 'newest'.")
        batch = hiding.cleaned(batch)
        newest = torch.full_like(batch.lengths, at == "newest", dtype=torch.bool)
        return self._code(batch, batch.mask, newest)

    @torch.no_grad()
    def predict(self, context: Batch, times: torch.Tensor, *, num_samples: int = 16, seed: int = 0) -> Prediction:
        """What would be observed at `times` (B, Q) given everything in `context`.

        Between the first and the newest observation values are filled, beyond it they are forecast. Mean and standard
        deviation are matched over `num_samples` codes and the emission. A cell observed at an asked time is smoothed
        with its noise. Padded times may hold anything finite.
        """
        return matched(*self._read_all(context, times, num_samples, seed))

    def forecast(self, batch: Batch, times: torch.Tensor, *, num_samples: int = 16, seed: int = 0) -> Prediction:
        """`predict`, for times after each series' newest observation; ValueError for earlier ones."""
        if bool((times < hiding.newest_time(batch.times, batch.mask)[:, None]).any()):
            raise ValueError("some times lie before a series' newest observation: ask predict() for those.")
        return self.predict(batch, times, num_samples=num_samples, seed=seed)

    @torch.no_grad()
    def reconstruct(self, batch: Batch, *, num_samples: int = 16, seed: int = 0) -> Prediction:
        """The series at its own times as the path from its start alone gives it, without anchors: (B, T, F)."""
        batch = hiding.cleaned(batch)
        z = self._posterior_draws(batch, torch.zeros_like(batch.mask[:, 0, 0]), num_samples, seed)
        levels, _ = self._levels(z, batch, batch.times, torch.zeros_like(batch.offset))
        cells = Cells.all_of(batch.mask)
        parts = self.decoder.emission.parts(torch.zeros_like(batch.lengths), cells)
        return matched(*self.decoder.emission.read(levels, cells, parts))

    @torch.no_grad()
    def draws(
        self, context: Batch, times: torch.Tensor, *, num_samples: int = 16, seed: int = 0, white_noise: bool = True
    ) -> torch.Tensor:
        """Joint paths (S, B, Q, F): each draw is one possible course, residual included."""
        return self._read_all(context, times, num_samples, seed, white_noise=white_noise)[0]

    @torch.no_grad()
    def latent_path(self, batch: Batch, times: torch.Tensor) -> torch.Tensor:
        """The path of the mean code from each series' start, (B, Q, D), for phase portraits."""
        batch = hiding.cleaned(batch)
        zero = torch.zeros_like(batch.offset)
        return self.decoder.path(self.encode(batch).mean, times, self._phase(batch, zero)).z

    # -- generating

    @torch.no_grad()
    def fit_latent_density(self, batches: Iterable[Batch], *, seed: int = 0) -> LatentDensity:
        """Fit the density of start codes to these series (the training ones), for `sample`."""
        codes = [self.encode(batch) for batch in batches]
        means = torch.cat([code.mean for code in codes])
        variances = torch.cat([code.log_variance for code in codes]).exp()
        return self.density.fit(means, variances, seed=seed)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        times: torch.Tensor,
        *,
        seed: int = 0,
        offset: float | torch.Tensor = 0.0,
        white_noise: bool = True,
        prior: str | None = None,
    ) -> torch.Tensor:
        """New series (n, T, F) at `times` (T,) or (n, T), from a density of codes; n more do not change the first n.

        offset: model time of the new series' zero on the calendar, a number or (n,). prior: "mixture" or "flow"; None,
        that of the settings. RuntimeError before `fit_latent_density`, or before the flow is trained.
        """
        weights = self.density.means
        times = torch.as_tensor(times, dtype=weights.dtype, device=weights.device).expand(n, -1)
        index = torch.arange(n, device=weights.device)
        z = self._new_codes(index, seed, self.settings.prior if prior is None else prior)
        batch = hiding.blank_batch(
            index, times, self.input_dim, torch.as_tensor(offset, dtype=times.dtype).to(times).expand(n)
        )
        levels, _ = self._levels(z[None], batch, times, torch.zeros_like(batch.offset))
        cells = Cells.all_of(batch.mask)
        nothing = self._anchors(times, batch.mask, times, cells, inclusive=True)
        parts = self.decoder.emission.parts(torch.zeros_like(index), cells)
        means, _ = self.decoder.emission.read(levels, cells, parts)
        return draw_courses(means, levels.scale, parts, nothing, index, seed=seed, white_noise=white_noise)[0]

    @torch.no_grad()
    def walk(self, batch_a: Batch, batch_b: Batch, steps: int, times: torch.Tensor) -> torch.Tensor:
        """From the series of one batch to those of another, in equal steps between their codes: (steps, B, T, F).

        times: (T,) or (B, T). The first step is batch_a's path, the last batch_b's.
        """
        if steps < 2 or len(batch_a) != len(batch_b):
            raise ValueError(f"a walk needs at least 2 steps (got {steps}) between batches of equal size "
                             f"(got {len(batch_a)} and {len(batch_b)}).")  # fmt: skip
        a, b = self.encode(batch_a).mean, self.encode(batch_b).mean
        share = torch.linspace(0, 1, steps, dtype=a.dtype, device=a.device)[:, None, None]
        z = a + share * (b - a)
        times = torch.as_tensor(times, dtype=a.dtype, device=a.device).expand(len(batch_a), -1)
        return self._levels(z, batch_a, times, torch.zeros_like(batch_a.offset))[0].mean

    # -- pieces

    def _code(self, batch: Batch, seen: torch.Tensor, onward: torch.Tensor) -> DiagonalGaussian:
        """The code at the start, or where `onward` (B,) at the newest observation (of which `history` counts)."""
        if not bool(onward.any()):
            return self.encoder(batch.times, batch.values, seen)
        near = hiding.within_history(batch.times, seen, self.mixture.history)
        newest = self.encoder(batch.times, batch.values, near, at="newest")
        if bool(onward.all()):
            return newest
        return newest.choose(self.encoder(batch.times, batch.values, seen), onward)

    def _new_codes(self, index: torch.Tensor, seed: int, prior: str) -> torch.Tensor:
        normals = self._normals(index, (self.latent_dim,), seed, 0, _CODE)
        if prior not in PRIORS or (prior == "flow" and self.flow is None):
            allowed = PRIORS if self.flow is not None else PRIORS[:1]
            raise ValueError(f"prior={prior!r} must be one of: {', '.join(map(repr, allowed))}. A flow is there when "
                             "the model was built with prior='flow'.")  # fmt: skip
        if prior == "flow" and self.flow is not None:
            return self.flow.from_base(normals)
        return self.density.sample(keyed_uniforms(index, (1,), seed=seed, stream=_COMPONENT)[:, 0], normals)

    def _gap(self, batch: Batch, used: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """How far each path's end is from the code that the newest observations give, in nats, summed."""
        near = hiding.within_history(batch.times, used, self.mixture.history)
        newest = self.encoder(batch.times, batch.values, near, at="newest")
        return -gaussian_log_density(ends, newest.mean, newest.log_variance.exp()).sum()

    def _posterior_draws(self, batch: Batch, onward: torch.Tensor, num_samples: int, seed: int) -> torch.Tensor:
        noise = self._normals(batch.index, (num_samples, self.latent_dim), seed, 0, _DRAW)
        return self._code(batch, batch.mask, onward).sample(noise.transpose(0, 1))

    def _levels(self, z: torch.Tensor, batch: Batch, times: torch.Tensor, zero: torch.Tensor) -> tuple[Levels, Path]:
        """Levels (S, B, Q, F) at `times` (B, Q) along the paths of z (S, B, D), which starts at time `zero` (B,)."""
        draws = len(z)
        phase = self._phase(batch, zero)
        phase = None if phase is None else phase.repeat(draws, 1)
        path = self.decoder.path(z.flatten(0, 1), (times - zero[:, None]).repeat(draws, 1), phase)
        levels = self.decoder.emission.levels(path.z, path.waves)
        shape = (draws, len(batch))
        return Levels(levels.mean.unflatten(0, shape), levels.scale.unflatten(0, shape)), path

    def _phase(self, batch: Batch, zero: torch.Tensor) -> torch.Tensor | None:
        """Where each period stands at time `zero` of the series, in turns: (B, P)."""
        if not self.settings.calendar_periods:
            return None
        turns = (batch.offset + zero).double()[:, None] / torch.tensor(
            self.settings.calendar_periods, dtype=torch.float64, device=zero.device
        )
        return (turns - turns.floor()).to(batch.times.dtype)

    def _read_all(
        self, context: Batch, times: torch.Tensor, num_samples: int, seed: int, white_noise: bool | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Means and variances of each draw (or courses and zeros), (S, B, Q, F): filled inside, forecast beyond."""
        context = hiding.cleaned(context)
        times = times.to(context.times)
        newest = hiding.newest_time(context.times, context.mask)
        beyond = (times > newest[:, None]) & self.onward
        cells = Cells.all_of(times[..., None].expand(-1, -1, self.input_dim))
        anchors = self._anchors(context.times, context.mask, times, cells, inclusive=True)
        emission = self.decoder.emission
        results = []
        for kind, wanted in ((_FROM_START, ~beyond), (_ONWARD, beyond)):
            if not bool(wanted.any()):
                continue
            onward = torch.full_like(context.lengths, kind == _ONWARD, dtype=torch.bool)
            zero = torch.where(onward, newest, 0)
            z = self._posterior_draws(context, onward, num_samples, seed)
            asked = torch.where(wanted, times, zero[:, None])
            levels, _ = self._levels(z, context, torch.cat([context.times, asked], dim=1), zero)
            rows = context.times.shape[1]
            known = Levels(levels.mean[:, :, :rows], levels.scale[:, :, :rows])
            levels = Levels(levels.mean[:, :, rows:], levels.scale[:, :, rows:])
            parts = emission.parts(onward.long(), cells)
            means, variances = emission.read(levels, cells, parts, anchors, context.values, known)
            if white_noise is not None:
                means = draw_courses(
                    means, levels.scale, parts, anchors, context.index, seed=seed, white_noise=white_noise
                )
            results.append((means, variances))
        if len(results) == 1:
            return results[0]
        inside, outside = results
        pick = beyond[..., None]
        return torch.where(pick, outside[0], inside[0]), torch.where(pick, outside[1], inside[1])

    def _anchors(self, times, mask, queries, cells: Cells, *, inclusive: bool) -> Anchors:
        return find_anchors(times, mask, queries, cells, each_side=self.settings.neighbours, inclusive=inclusive)

    def _normals(self, index: torch.Tensor, shape: tuple[int, ...], seed: int, epoch: int, stream: int) -> torch.Tensor:
        dtype = self.density.means.dtype
        return keyed_normals(index, shape, seed=seed, epoch=epoch, stream=stream, dtype=dtype)

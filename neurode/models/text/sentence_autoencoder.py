"""One network of sentences, settings apart: conventional and noisy autoencoder, VAE, with a constant or an ODE plan.

Bowman et al., "Generating sentences from a continuous space", 2016; words hidden from the encoder: Shen et al.,
"Educating text autoencoders", 2020; pre-training and a fresh decoder: Li et al., "A surprisingly effective fix for
deep latent variable modeling of text", 2019. The plan that an ODE carries through a sentence is ours.

Shape legend: B sentences, L words, T = L + 1 places, D numbers of a code, V words of the vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from neurode.core.protocols import LossParts, StepContext
from neurode.data.text.sentence_batch import SentenceBatch
from neurode.data.text.tokens import PAD, START
from neurode.models.gaussian import DiagonalGaussian, beta_at, kl_with_free_bits
from neurode.models.keyed_noise import keyed_normals
from neurode.models.text.decoding import FREE, Wishes, beam, greedy, sampled
from neurode.models.text.plan import Plan
from neurode.models.text.sentence_config import SentenceConfig
from neurode.models.text.sentence_decoder import SentenceDecoder, targets_of
from neurode.models.text.sentence_encoder import SentenceEncoder
from neurode.models.text.sentence_noise import SentenceNoise, with_unknown
from neurode.models.text.word_softmax import summed_surprisal, surprisals

_CODE, _READ, _FED, _READ_PART, _FED_PART, _OUT_PART = 41, 42, 43, 44, 45, 46  # streams of keyed noise


class SentenceAutoencoder(nn.Module):
    """Sentences to codes and back: reconstruct, walk between codes, sample, write at a given length, fill gaps.

    Good for sentences of up to some dozens of words, and up to some ten thousand different ones. Not good for
    documents. What kind of autoencoder it is, `SentenceConfig` says.

    Batches are `SentenceBatch`; sentences come back as lists of token numbers, without END. All noise is keyed by
    (seed, epoch, sentence number), so a sentence sees the same in any batch.
    """

    decoder_is_fresh: torch.Tensor

    def __init__(self, config: SentenceConfig):
        super().__init__()
        self.settings = config
        self.encoder = SentenceEncoder(
            config.vocabulary_size,
            config.embedding_dim,
            config.hidden_dim,
            config.code_dim * (2 if config.code == "gaussian" else 1),
            cell=config.cell,
            pooling=config.pooling,
        )
        self.plan = Plan(
            config.plan,
            config.code_dim,
            hidden=config.plan_hidden,
            waves=config.plan_waves,
            steps=config.plan_steps,
            max_words=config.max_words,
        )
        self.decoder = self._new_decoder()
        self.register_buffer("decoder_is_fresh", torch.tensor(config.pretraining_epochs == 0))

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to build the same model, in plain types."""
        return self.settings.to_json()

    @classmethod
    def from_config(cls, config: dict) -> "SentenceAutoencoder":
        """The model, untrained, that `config()` describes."""
        return cls(SentenceConfig(**config))

    # -- codes

    def posterior(self, batch: SentenceBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance of the code, each (B, D).

        With code="sphere" the variance is that of the noise; without noise it is 0, its logarithm -inf.
        """
        return self._gaussian(self.encoder(batch.tokens, batch.lengths))

    def code(self, batch: SentenceBatch) -> torch.Tensor:
        """The code of each sentence, (B, D): the posterior mean."""
        return self.posterior(batch)[0]

    def draw_codes(self, batch: SentenceBatch, count: int, *, seed: int = 0, epoch: int = 0) -> torch.Tensor:
        """`count` draws from each sentence's posterior, (count, B, D); more of them keep the first."""
        mean, log_variance = self.posterior(batch)
        shape = (count, self.settings.code_dim)
        noise = keyed_normals(batch.numbers, shape, seed=seed, epoch=epoch, stream=_CODE, dtype=mean.dtype)
        return DiagonalGaussian(mean, log_variance).sample(noise.transpose(0, 1))

    def _gaussian(self, read: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.settings
        if config.code == "gaussian":
            mean, raw = read.chunk(2, dim=-1)
            # Between -9 and 3, so that no KL is infinite; about 0, as the prior's, at first.
            return mean, -3 + 6 * torch.tanh((raw + 3.3) / 6)
        if config.code == "sphere":
            read = read * (config.code_dim**0.5 / read.norm(dim=-1, keepdim=True).clamp(min=1e-6))
        return read, torch.full_like(read, config.code_noise).log().mul(2)

    # -- training

    def loss(self, batch: SentenceBatch, context: StepContext) -> LossParts:
        """Negative ELBO (or the reconstruction's surprisal alone), a sum over sentences; weight: their number.

        In eval mode nothing is dropped or hidden, the noise on codes is that of epoch 0 and the KL term has its full
        weight, so that epochs compare. In training the first batch after `pretraining_epochs` starts the decoder
        afresh. Raises ValueError for sentences of more than `max_words`.
        """
        self._check_lengths(batch)
        config, epoch = self.settings, context.epoch if self.training else 0
        pretraining = self.training and epoch < config.pretraining_epochs
        if self.training and not pretraining and not bool(self.decoder_is_fresh):
            self.restart_decoder(context.seed)
        noise, dtype = SentenceNoise(batch, context.seed, epoch, self.training), self.decoder.out_bias.dtype
        words = noise.words(config.encoder_word_drop, _READ)
        keep = noise.parts(config.embedding_dim, config.dropout, _READ_PART, dtype)
        mean, log_variance = self._gaussian(self.encoder(words, batch.lengths, keep))
        codes = mean
        if not pretraining and config.code != "free":
            codes = DiagonalGaussian(mean, log_variance).sample(noise.normals(config.code_dim, _CODE, dtype))

        plan = self.plan(codes, batch.lengths)
        features = self.decoder.features(
            noise.words(config.decoder_word_drop, _FED),
            codes,
            plan.z,
            noise.parts(config.embedding_dim, config.dropout, _FED_PART, dtype),
            noise.parts(self.decoder.out_dim, config.dropout, _OUT_PART, dtype),
        )
        surprise = self._softmaxed(summed_surprisal, features, batch)
        loss, parts = surprise, {"reconstruction": surprise.detach()}
        if self.plan.reads_places:
            length = -self._length_log_probability(codes, batch.lengths).sum()
            loss, parts["length"] = loss + length, length.detach()
        if config.code == "gaussian":
            kl = DiagonalGaussian(mean, log_variance).kl_to_standard()
            parts["kl"] = kl.sum().detach()
            loss = loss + self._beta(epoch) * kl_with_free_bits(kl, config.free_bits).sum()
        return LossParts(loss=loss, weight=float(len(batch)), parts=parts, evaluations=plan.evaluations)

    @torch.no_grad()
    def restart_decoder(self, seed: int = 0) -> None:
        """Give the decoder new random weights, keyed by seed; the global generator is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = self._new_decoder()
        for old, new in zip(self.decoder.parameters(), fresh.parameters(), strict=True):
            old.copy_(new)
        self.decoder_is_fresh.fill_(True)

    # -- likelihood

    def token_logits(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor:
        """Logits of every word (END behind the last) given the words before it and the code: (B, T, V)."""
        features = self.decoder.features(batch.tokens, codes, self.plan(codes, batch.lengths).z)
        return self.decoder.logits(features).transpose(0, 1)

    def log_likelihood(self, codes: torch.Tensor, batch: SentenceBatch) -> torch.Tensor:
        """log p(sentence | code) in nats, END included: (B,) for codes (B, D), (K, B) for K codes each, (K, B, D).

        Differentiable. A plan that reads places counts log p(length | code) too.
        """
        if codes.ndim == 3:
            return self.log_likelihood(codes.flatten(0, 1), repeated(batch, len(codes))).unflatten(0, codes.shape[:2])
        self._check_lengths(batch)
        features = self.decoder.features(batch.tokens, codes, self.plan(codes, batch.lengths).z)
        each = self._softmaxed(surprisals, features, batch)
        counted = targets_of(batch)[1]
        total = -each.new_zeros(counted.shape).masked_scatter(counted, each).sum(dim=0)
        if self.plan.reads_places:
            total = total + self._length_log_probability(codes, batch.lengths)
        return total

    # -- writing

    @torch.no_grad()
    def decode(
        self,
        codes: torch.Tensor,
        max_length: int | None = None,
        how: str = "greedy",
        *,
        width: int = 5,
        temperature: float = 1.0,
        seed: int = 0,
        numbers: torch.Tensor | None = None,
        lengths: torch.Tensor | int | None = None,
        template: torch.Tensor | None = None,
        banned: tuple[int, ...] = (),
    ) -> list[list[int]]:
        """The sentences that codes (B, D) stand for, as token numbers without END.

        max_length: words at most; None, the model's max_words. how: "greedy"; "beam", the likeliest of a search `width`
        wide; "sample", words drawn at `temperature`, keyed by `seed` and a sentence's number in `numbers` (0, 1, ..).
        lengths: words exactly, one number or (B,). template (B, L): token numbers that must stand at their places, with
        `decoding.FREE` where the model chooses. banned: token numbers never written, beside PAD and START.

        A plan that reads places takes its length from `lengths`, else the likeliest one of p(length | code); END still
        ends the sentence.
        """
        if how not in ("greedy", "beam", "sample"):
            raise ValueError(f"how={how!r} must be 'greedy', 'beam' or 'sample'.")
        max_length = self.settings.max_words if max_length is None else max_length
        if lengths is not None:
            lengths = torch.as_tensor(lengths, device=codes.device).expand(len(codes))
        wishes = Wishes(max_length, lengths, template, (PAD, START, *banned))
        if not len(codes):
            return []
        plan = self._plan_to_write(codes, lengths)
        if how == "beam":
            steps = self.decoder.begin(codes.repeat_interleave(width, dim=0), plan.repeat_interleave(width, dim=0))
            return beam(steps, len(codes), wishes, codes.device, width=width)[0]
        steps = self.decoder.begin(codes, plan)
        if how == "greedy":
            return greedy(steps, len(codes), wishes, codes.device)
        numbers = torch.arange(len(codes), device=codes.device) if numbers is None else numbers
        return sampled(steps, numbers, wishes, temperature=temperature, seed=seed)

    def reconstruct(self, batch: SentenceBatch, how: str = "greedy", **options: Any) -> list[list[int]]:
        """What comes back of each sentence through its code; options as in `decode`."""
        with torch.no_grad():
            return self.decode(self.code(batch), how=how, numbers=batch.numbers, **options)

    def fill(self, batch: SentenceBatch, gaps: torch.Tensor, how: str = "beam", **options: Any) -> list[list[int]]:
        """The sentences with new words where gaps (B, L) is true; lengths and all other words stand.

        The code is that of the sentence with its gap's words unknown: train with encoder_word_drop, so that the encoder
        knows such sentences. A beam weighs the words behind the gap too.
        """
        if gaps.shape != batch.tokens.shape:
            raise ValueError(f"gaps {tuple(gaps.shape)} must have the shape of the tokens {tuple(batch.tokens.shape)}.")
        hidden = SentenceBatch(with_unknown(batch.tokens, gaps), batch.lengths, batch.numbers)
        template = batch.tokens.masked_fill(gaps | ~batch.mask, FREE)
        with torch.no_grad():
            return self.decode(
                self.code(hidden), gaps.shape[1], how, lengths=batch.lengths, template=template, **options
            )

    def likely_lengths(self, codes: torch.Tensor) -> torch.Tensor:
        """The likeliest number of words of each code, (B,); ValueError for a constant plan."""
        return self.plan.length_log_probabilities(codes).argmax(dim=-1)

    # -- pieces

    def _new_decoder(self) -> SentenceDecoder:
        config = self.settings
        return SentenceDecoder(
            config.vocabulary_size,
            config.embedding_dim,
            config.hidden_dim,
            config.code_dim,
            cell=config.cell,
            tied=config.tied_embeddings,
        )

    def _softmaxed(self, measure: Callable, features: torch.Tensor, batch: SentenceBatch) -> torch.Tensor:
        """`measure` of the softmax over words, at the places that count."""
        targets, counted = targets_of(batch)
        return measure(features[counted], self.decoder.out_weight, self.decoder.out_bias, targets[counted])

    def _beta(self, epoch: int) -> float:
        config = self.settings
        if not self.training:
            return config.beta
        after = epoch - config.pretraining_epochs
        return beta_at(after, config.beta, config.beta_warmup) if after >= 0 else 0.0

    def _length_log_probability(self, codes: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.plan.length_log_probabilities(codes).gather(1, lengths[:, None])[:, 0]

    def _plan_to_write(self, codes: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:
        if lengths is None:
            lengths = self.likely_lengths(codes) if self.plan.reads_places else torch.ones_like(codes[:, 0]).long()
        return self.plan(codes, lengths).z

    def _check_lengths(self, batch: SentenceBatch) -> None:
        longest = int(batch.lengths.max()) if len(batch) else 0
        if longest > self.settings.max_words:
            raise ValueError(
                f"a sentence has {longest} words, this model was built for max_words={self.settings.max_words}: leave "
                "such sentences out, or build the model with a larger max_words."
            )


def repeated(batch: SentenceBatch, count: int) -> SentenceBatch:
    """The batch `count` times over: all its sentences, then all again."""
    return SentenceBatch(batch.tokens.repeat(count, 1), batch.lengths.repeat(count), batch.numbers.repeat(count))

"""A comparison with figures of one's choosing, for what is computed and drawn of them."""

from collections.abc import Sequence

from neurode.models.depth import Regulariser
from neurode.tasks.comparison.candidates import Candidate
from neurode.tasks.comparison.config import ComparisonConfig
from neurode.tasks.comparison.results import Comparison, EpochRow, MemoryPoint, ModelFigures, Redone, Scene

GRID = [[0.1, 0.9], [0.2, 0.8]]


def model(
    candidate: Candidate,
    scores: Sequence[float],
    *,
    tensors: float = 1e6,
    finer: Sequence[float] | None = None,
    problem: str = "",
) -> ModelFigures:
    """Figures of one model; finer: the scores with half the step."""
    redone = ()
    if candidate.is_ode and not problem:
        again = tuple(finer if finer is not None else scores)
        redone = (
            Redone("midpoint, 2 steps", tuple(scores), 4.0),
            Redone("midpoint, 4 steps", again, 8.0),
            Redone("dopri5 at 1e-5", again, 44.0),
        )
    return ModelFigures(
        candidate,
        1234,
        tuple(scores),
        0.002,
        noise=(0.98, 0.9, 0.7),
        confusion=((50, 2), (3, 45)),
        redone=redone,
        memory=MemoryPoint(candidate.name, 0, 2 * tensors, int(tensors)),
        problem=problem,
    )


RESNETS = tuple(Candidate("resnet", depth) for depth in (2, 8))
ODE = Candidate("odenet", None, "midpoint:2", "checkpointed")
REGULARISED = Candidate("odenet", None, "dopri5@1e-3", "direct", Regulariser(kinetic=0.1))


def comparison(models: Sequence[ModelFigures], seconds: Sequence[float], **changes) -> Comparison:
    """Three epochs a repeat, each taking the given seconds of its model; the score climbs to its last."""
    rows = tuple(
        EpochRow(
            number, repeat, epoch, taken, 0.9 * taken, 1.0 / epoch, score - 0.05 * (3 - epoch), 4.0 + epoch, 3.0 + epoch
        )
        for number, (one, taken) in enumerate(zip(models, seconds, strict=True))
        for repeat, score in enumerate(one.scores)
        for epoch in (1, 2, 3)
    )
    memory = tuple(
        MemoryPoint(line, depth, 2.0 * size, int(size))
        for line, sizes in (("ResNet", (1e6, 4e6)), ("ODE-net midpoint, checkpointed", (1.2e6, 1.21e6)))
        for depth, size in zip((2, 8), sizes, strict=True)
    )
    paths = [[[0.0, 0.0], [1.0, 1.0]], [[0.5, 0.1], [1.0, 2.0]]]
    scene = Scene(0, GRID, (-1.0, 1.0, -2.0, 2.0), paths, [0, 1], [[0.0, 0.0], [1.0, 1.0]])
    found = {
        "data": "moons",
        "about": "600 points in the plane in 2 classes",
        "kind": "classes",
        "classes": ("upper", "lower"),
        "num_train": 480,
        "num_test": 120,
        "settings": ComparisonConfig(epochs=3, batch_size=64).model_dump(mode="json"),
        "models": tuple(models),
        "rows": rows,
        "memory": memory,
        "scenes": (scene,),
        "noise_levels": (0.0, 0.2, 0.4),
        "euler_gap": 2e-16,
        "seconds": 12.0,
        "machine": "a machine",
    }
    return Comparison(**found | changes)


USUAL = comparison(
    [
        model(RESNETS[0], (0.90, 0.91, 0.92), tensors=1e6),
        model(RESNETS[1], (0.95, 0.96, 0.97), tensors=4e6),
        model(ODE, (0.951, 0.96, 0.97), tensors=1.2e6),
        model(REGULARISED, (0.93, 0.90, 0.92), tensors=3e6, finer=(0.93, 0.90, 0.83)),
    ],
    (1.0, 4.0, 3.0, 9.0),
)

"""neurode: neural ordinary differential equations in PyTorch, fast, exact, and put to real use.

Importing this package loads nothing heavy: every public name is imported when it is first used, so that
`neurode --help` starts without torch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("neurode")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_HOMES = {
    "solve": "neurode.solving",
    "Solution": "neurode.integration.solution",
    "Stats": "neurode.integration.solution",
    "scipy_reference": "neurode.integration.outside",
    "Save": "neurode.integration.save",
    "Event": "neurode.integration.events",
    "EventLog": "neurode.integration.events",
    "Callbacks": "neurode.integration.callbacks",
    "StepReport": "neurode.integration.callbacks",
    "Status": "neurode.core.errors",
    "SolveError": "neurode.core.errors",
    "DataError": "neurode.core.errors",
    "NeurodeError": "neurode.core.errors",
    "MissingExtraError": "neurode.core.errors",
    "TrainingError": "neurode.core.errors",
    "PerSample": "neurode.core.nest",
    "SplitField": "neurode.core.split_field",
    "AdaptiveSteps": "neurode.integration.controller",
    "ConstantSteps": "neurode.integration.controller",
    "Direct": "neurode.gradients.direct",
    "Checkpointed": "neurode.gradients.checkpointed",
    "Reversible": "neurode.gradients.reversible",
    "Adjoint": "neurode.gradients.adjoint",
    "Tableau": "neurode.methods.tableau",
    "ImplicitTableau": "neurode.methods.implicit_tableau",
    "Newton": "neurode.methods.newton",
    "NeuralODE": "neurode.layers.neural_ode",
    "MLPField": "neurode.layers.fields",
    "CNF": "neurode.layers.cnf",
    "divergence": "neurode.layers.divergence",
    "Hutchinson": "neurode.layers.divergence",
    "RNNEncoder": "neurode.models.encoder",
    "NeuralODEDecoder": "neurode.models.decoder",
    "ODEVAE": "neurode.models.ode_vae",
    "FlowPrior": "neurode.models.flow_prior",
    "SeriesModel": "neurode.tasks.series.series_model",
    "TextModel": "neurode.tasks.text.text_model",
    "ResNet": "neurode.models.resnet",
    "ODENet": "neurode.models.odenet",
    "TwinShape": "neurode.models.twin_shape",
    "Depth": "neurode.models.depth",
    "Regulariser": "neurode.models.depth",
    "ConvField": "neurode.layers.conv_field",
    "compare": "neurode.tasks.comparison.comparing",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'neurode' has no attribute {name!r}. Public names: {', '.join(sorted(_HOMES))}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

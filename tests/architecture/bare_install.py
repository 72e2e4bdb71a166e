"""Runs in a process of its own: every third-party package is hidden, but torch, numpy and what these two bring.

`python bare_install.py SNIPPET` runs one of the snippets below as if neurode had been installed without extras.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

SNIPPETS = {
    "library": """
import math, torch, neurode
solution = neurode.solve(lambda t, y: -y, torch.ones(3, dtype=torch.float64), torch.linspace(0.0, 1.0, 5).double())
assert solution.ys.shape == (5, 3), solution.ys.shape
assert abs(solution.ys[-1, 0].item() - math.exp(-1.0)) < 1e-5, solution.ys
print("solved")

torch.manual_seed(0)
model = neurode.NeuralODE(neurode.MLPField(2, hidden=(8,)))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
y0 = torch.randn(4, 2)
def loss():
    return (model(y0) - y0.flip(-1)).square().mean()
before = loss()
before.backward()
optimizer.step()
assert loss().item() < before.item()
print("trained")

neurode.RNNEncoder, neurode.NeuralODEDecoder, neurode.ODEVAE
print("models are there")
""",
    "command": """
import sys
sys.argv = ["neurode", "series", "train", "table.csv"]
from neurode.cli.main import main
sys.exit(main())
""",
    "estimator": """
import neurode
neurode.SeriesModel
""",
}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def brought_by(*names: str) -> set[str]:
    """The distributions that `names` require without any extra, and these themselves."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = plain(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:  # required on another platform only
            continue
        waiting += [re.split(r"[ ;<>=!~\[(]", line)[0] for line in required if "extra ==" not in line]
    return found


class Hidden:
    """Stands for one import finder, and finds nothing of the packages that are to look as if never installed."""

    def __init__(self, finder, modules: set[str]):
        self.finder, self.modules = finder, modules

    def find_spec(self, name: str, path=None, target=None):
        if name.split(".")[0] in self.modules:
            return None
        return self.finder.find_spec(name, path, target)

    def invalidate_caches(self) -> None:
        self.finder.invalidate_caches()


def hide_extras() -> set[str]:
    kept = brought_by("torch", "numpy") | {"neurode", "pip", "setuptools"}
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if not {plain(name) for name in distributions} & kept
    }
    sys.meta_path[:] = [Hidden(finder, modules) for finder in sys.meta_path]
    return modules


if __name__ == "__main__":
    hidden = hide_extras()
    assert {"pandas", "typer", "matplotlib", "lightning_fabric"} <= hidden, sorted(hidden)
    exec(SNIPPETS[sys.argv[1]], {"__name__": "snippet"})

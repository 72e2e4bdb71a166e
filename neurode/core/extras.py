"""Optional dependencies: one call that imports one, or says which line installs it."""

from importlib import import_module
from types import ModuleType

from neurode.core.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, which the extra `extra` brings.

    Raises MissingExtraError, naming the line to run, where it is not installed. A module that is installed but
    fails to import for another reason raises its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed. "
            f"Install it with: pip install 'neurode[{extra}]'"
        ) from None

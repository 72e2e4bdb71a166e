"""A class is abstract or final: what can be called is not subclassed, so a reader finds all of it in one place."""

import abc
import inspect
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from tests.architecture.floors import PACKAGE, package_files


def module_name(path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_importable(path) -> bool:
    """The kernels for a GPU need Triton, which not every install has."""
    return path.parent != PACKAGE / "fused" / "triton" or find_spec("triton") is not None


def classes_of_the_package() -> list[type]:
    names = [module_name(path) for path in package_files() if path.stem != "__main__" and is_importable(path)]
    return [
        value
        for name in names
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and value.__module__ == name
    ]


def is_open(base: type) -> bool:
    """May `base` be subclassed inside neurode? Foreign classes, abstract ones, protocols and exceptions may."""
    foreign = base.__module__.split(".")[0] not in {"neurode", __name__.split(".")[0]}
    # Exceptions form a tree so that one `except NeurodeError` catches them all; nothing is overridden in it.
    return (
        foreign
        or inspect.isabstract(base)
        or abc.ABC in base.__bases__
        or bool(getattr(base, "_is_protocol", False))
        or issubclass(base, BaseException)
    )


def closed_bases(cls: type) -> list[type]:
    return [base for base in cls.__bases__ if not is_open(base)]


def test_no_concrete_class_is_subclassed():
    broken = [
        f"{cls.__module__}.{cls.__name__} subclasses {base.__module__}.{base.__name__}, which is concrete"
        for cls in classes_of_the_package()
        for base in closed_bases(cls)
    ]
    assert not broken, "wrap it, or give both an abstract base:\n" + "\n".join(broken)


@dataclass(frozen=True)
class Concrete:
    value: int = 0


class Abstract(abc.ABC):
    @abc.abstractmethod
    def act(self) -> int: ...


def test_a_subclass_of_a_concrete_class_is_found():
    class Child(Concrete):
        pass

    assert closed_bases(Child) == [Concrete]


def test_a_subclass_of_an_abstract_class_passes():
    class Child(Abstract):
        def act(self) -> int:
            return 1

    assert closed_bases(Child) == []

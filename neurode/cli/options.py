"""A task's settings as command-line options and as a YAML file: one list, the pydantic model, serves both."""

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from neurode.core.errors import DataError

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ConfigFile:
    """A YAML file of settings as the user wrote it: `values`, and the line each top-level name stands on."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> "ConfigFile":
        """Read `path` (nothing when None). Raises DataError, naming the line, for anything but a YAML mapping."""
        if path is None:
            return cls()
        import yaml

        text = _text_of(path)
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "not readable"
            raise DataError(
                f"this is not valid YAML: {problem}. Write one 'name: value' a line",
                file=path,
                row=None if mark is None else mark.line + 1,
            ) from None
        if values is None:
            return cls(path)
        if not isinstance(values, dict):
            raise DataError("a configuration is a list of 'name: value' lines, and this is something else", file=path)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, row = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise DataError(f"{name!r} is set twice (first on line {lines[name]}). Keep one", file=path, row=row)
            lines[name] = row
        return cls(path, {str(key).replace("-", "_"): value for key, value in values.items()}, lines)

    def only(self, names: Iterable[str]) -> "ConfigFile":
        """The same file with the settings in `names` alone."""
        kept = set(names)
        return replace(self, values={name: value for name, value in self.values.items() if name in kept})

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Raise DataError for the first name that is not in `known`."""
        for name in self.values:
            if name not in known:
                raise self.error(name, unknown_setting(name, known))

    def error(self, name: str, message: str) -> DataError:
        """A DataError that names this file and the line of `name`."""
        row = self.lines.get(name, self.lines.get(name.replace("_", "-")))
        return DataError(message, file=self.path, row=row)


def settings_options(model: type[BaseModel], panel: str, leave_out: Sequence[str] = ()) -> list[inspect.Parameter]:
    """One typer option for each field of `model` but those in `leave_out`, each None unless the user gives it.

    Fields that a model inherits come last: its own say more about it.
    """
    inherited = {name for base in model.__mro__[1:] if issubclass(base, BaseModel) for name in base.model_fields}
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, info, panel))
        for name, info in sorted(model.model_fields.items(), key=lambda field: field[0] in inherited)
        if name not in leave_out
    ]


def given_settings(model: type[BaseModel], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags the user gave, in the shape that `model` expects (`a,b` becomes a list, `wind=log` a mapping)."""
    given = {}
    for name, value in flags.items():
        if value is None or name not in model.model_fields:
            continue
        annotation = model.model_fields[name].annotation
        given[name] = value if value in _words(annotation) else _parsed(name, value, _core(annotation))
    return given


def resolve(model: type[Model], config: ConfigFile, flags: Mapping[str, Any]) -> Model:
    """defaults < config file < flags, checked.

    A wrong flag is a usage error (exit code 2); a wrong value in the file is a DataError naming file and line (3).
    """
    try:
        return model(**{**config.values, **flags})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        raise config.error(name, unknown_setting(name, list(model.model_fields)))
    said = problem["msg"].removeprefix("Value error, ")
    message = f"{said}. Got {problem['input']!r}" if name and problem["type"] != "value_error" else said
    if name in flags:
        raise typer.BadParameter(message, param_hint=f"'{option_name(name)}'")
    if config.path is not None and name in config.values:
        raise config.error(name, f"{name}: {message}")
    # A check over several settings at once: it is the flags' fault where there are any.
    if flags or config.path is None:
        raise typer.BadParameter(f"{name}: {message}" if name else message)
    raise config.error(name, message)


def unknown_setting(name: str, known: Sequence[str]) -> str:
    """A sentence for a name that is no setting, with the nearest ones."""
    near = get_close_matches(name, known, n=1)
    return f"unknown setting {name!r}. " + (f"Did you mean {near[0]!r}?" if near else f"Settings: {', '.join(known)}")


def option_name(field_name: str) -> str:
    """`batch_size` -> `--batch-size`."""
    return "--" + field_name.replace("_", "-")


def split_names(text: str | None) -> list[str] | None:
    """`name, year` -> ["name", "year"]; None stays None. A name with a comma in it can be given in a config file."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise typer.BadParameter(
            f"{text!r} holds an empty name. Write column names with a comma between, such as name,year"
        )
    return names


def _text_of(path: Path) -> str:
    if path.is_dir():
        raise DataError("this is a folder; a YAML file is needed, such as a run's config.yaml", file=path)
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError("there is no such configuration file. Check the path", file=path) from None
    except UnicodeDecodeError:
        raise DataError("this is not a text file in UTF-8, so it cannot be read as YAML", file=path) from None


def _annotation(name: str, info: FieldInfo, panel: str) -> Any:
    kind = _core(info.annotation)
    help_text = (info.description or "").rstrip(".")
    help_text = (help_text + "." if help_text else "") + _default_text(info)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    panel = str(extra.get("panel", panel))
    flag = option_name(name)
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=help_text, rich_help_panel=panel)]
    if get_origin(kind) is dict:
        return Annotated[
            list[str] | None, typer.Option(flag, help=help_text, rich_help_panel=panel, metavar="NAME=VALUE")
        ]
    shown: Any = kind if kind in (int, float) or get_origin(kind) is Literal else str
    metavar = "A,B,..." if get_origin(kind) in (tuple, list) else None
    return Annotated[shown | None, typer.Option(flag, help=help_text, rich_help_panel=panel, metavar=metavar)]


def _default_text(info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=True, validated_data={})
    if default is None or default == () or default == [] or default == {} or info.is_required():
        return ""
    if isinstance(default, bool):
        default = "on" if default else "off"
    if isinstance(default, (tuple, list)):
        default = ",".join(str(part) for part in default)
    return f" Default: {default}."


def _core(annotation: Any) -> Any:
    """The annotation without Annotated and Optional; a union of several kinds is reduced to str where it allows str."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [_core(part) for part in get_args(annotation) if part is not type(None)]
        mapping = [kind for kind in kinds if get_origin(kind) is dict]
        return mapping[0] if mapping else str if str in kinds else kinds[0]
    return annotation


def _words(annotation: Any) -> tuple:
    """The words that an annotation allows as they are, such as "auto" beside a list of names."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(word for part in get_args(annotation) for word in _words(part))
    return ()


def _parsed(name: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) in (tuple, list) and isinstance(value, str):
        return split_names(value) if value.strip() else []
    if get_origin(kind) is dict:
        return _mapping(name, value)
    return value


def _mapping(name: str, items: Sequence[str]) -> Any:
    """`["wind=log", "rain=none"]` as a mapping with values read as YAML does; one bare word stays a word."""
    import yaml

    if len(items) == 1 and "=" not in items[0]:
        return items[0]
    pairs = [item.partition("=") for item in items]
    if not all(key and mark for key, mark, _ in pairs):
        raise typer.BadParameter("write NAME=VALUE, such as wind=log", param_hint=f"'{option_name(name)}'")
    try:
        return {key.strip(): yaml.safe_load(text) for key, _, text in pairs}
    except yaml.YAMLError:
        raise typer.BadParameter(f"{items!r} cannot be read", param_hint=f"'{option_name(name)}'") from None

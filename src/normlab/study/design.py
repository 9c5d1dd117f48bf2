"""The validated study: which data, network, arms, rates and seeds. Configuration ends here; inside are arguments."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from normlab.errors import InputError, require_known, shown
from normlab.models import MODELS
from normlab.models.own import is_reference, require_reference
from normlab.probes.table import PROBES
from normlab.seeding import MAX_SEED
from normlab.study.arm import Arm, Strict
from normlab.study.seeds import FIRST_LOOK, FIRST_TUNING_SEED, default_tuning_seeds, resolved_budget

# What `Study.model` says where the network is a function handed over in Python.
FUNCTION = "function"
# Beyond these, float32 rounds a rate to zero or to infinity.
SMALLEST_RATE, LARGEST_RATE = 1e-37, 1e38
_MOST_FILE_BYTES = 2**20


class Study(Strict):
    """Everything that decides what a study's numbers are.

    The first arm is the baseline. `rates` is a list of learning rates or "tuned": every arm searches the optimizer's
    grid with the same seeds, chosen on validation data, and is reported on test data with fresh seeds. `seeds` is a
    number of pairs, or "auto": pairs are added until the answer is in or `max_seeds` are spent.
    """

    data: str = "digits"
    data_dir: Path | None = None
    target: str | None = None
    missing: Literal["error", "drop", "mean", "category"] = "error"
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    task: Literal["classification", "regression"] | None = None
    split_seed: int = Field(0, ge=0, le=MAX_SEED)
    model: str = "mlp"
    weights: Literal["redraw", "keep"] = "redraw"
    network: dict[str, Any] = Field(default_factory=dict)
    arms: tuple[Arm, ...] = (Arm(norm="none"), Arm(norm="batch"))
    optimizer: Literal["sgd", "momentum", "adam", "adamw"] = "sgd"
    schedule: Literal["constant", "cosine", "step"] = "constant"
    warmup: float = Field(0.0, ge=0, allow_inf_nan=False)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    augment: Literal["none", "flip", "crop", "flip-crop"] = "none"
    rates: Literal["tuned"] | tuple[float, ...] = "tuned"
    seeds: Annotated[int, Field(ge=1, le=FIRST_TUNING_SEED)] | Literal["auto"] = 10
    max_seeds: int | None = Field(None, ge=FIRST_LOOK, le=FIRST_TUNING_SEED)
    tuning_seeds: int = Field(default_factory=default_tuning_seeds, ge=1, le=FIRST_TUNING_SEED)
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=1)
    margin: float = Field(0.005, gt=0, lt=1)
    reach: float | None = Field(None, gt=0, allow_inf_nan=False)
    probes: tuple[str, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _number(cls, given: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        is_number = info.field_name == "seeds" or kind in (int, float, int | None, float | None)
        if is_number and isinstance(given, bool):  # true would count as 1
            raise InputError(f"{info.field_name} must be a number", given, f"give {info.field_name} a number")
        return given

    @field_validator("rates", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return (given,) if isinstance(given, int | float) and not isinstance(given, bool) else given

    @field_validator("probes", mode="after")
    @classmethod
    def _known_once(cls, probes: tuple[str, ...]) -> tuple[str, ...]:
        for name in probes:
            require_known("probe", name, PROBES)
        if len(set(probes)) < len(probes):
            raise InputError("probes must differ", list(probes), "name each probe once")
        return probes

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(self.arms) < 2:
            raise InputError("a comparison needs at least two arms", [arm.name for arm in self.arms], "add one")
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise InputError("arms must have different names", names, "give each its own `name`")
        if self.warmup >= self.epochs:
            rule = f"warmup must be shorter than the training of {self.epochs} epochs"
            raise InputError(rule, self.warmup, "shorten the warm-up or train for longer")
        object.__setattr__(self, "network", self._resolved_network())
        for arm in self.arms:
            self.network_of(arm)  # an arm's own options are checked as the study's are
        if self.rates != "tuned":
            if not self.rates:
                raise InputError("rates must not be empty", "none", "give a number, a list, or tuned")
            for rate in self.rates:
                if not SMALLEST_RATE <= rate <= LARGEST_RATE:  # false also for a rate that is no number
                    rule = f"every rate must be a positive number from {SMALLEST_RATE:g} to {LARGEST_RATE:g}"
                    raise InputError(rule, rate, "give rates such as 0.001,0.01")
            if len(set(self.rates)) < len(self.rates):
                raise InputError("rates must differ", list(self.rates), "name each rate once")
        object.__setattr__(self, "max_seeds", resolved_budget(self.seeds, self.max_seeds, self.rates))
        return self

    def network_of(self, arm: Arm) -> dict[str, Any]:
        """Return the network's options in an arm: the study's, with the arm's own in their place.

        Raises:
            InputError: For a setting that is neither an option of the network nor of the arm's norm.
        """
        known = {**self.network, **arm.build_norm().options}
        for name in arm.network:
            if name not in known:
                names = ", ".join([*type(arm).model_fields, *known])
                raise InputError("every setting must be a known one", f"{name} in an arm", f"choose among {names}")
        return MODELS[self.model].resolve({**self.network, **arm.network}) if self.model in MODELS else {}

    def _resolved_network(self) -> dict[str, Any]:
        if self.model == FUNCTION or is_reference(self.model):
            if self.network:
                received = f"the network options {', '.join(self.network)}"
                action = "leave them out, or name a model"
                raise InputError("a model of your own must be the whole network", received, action)
            if self.model != FUNCTION:
                require_reference(self.model)
            return {}
        if self.model not in MODELS:
            action = f"choose one of {', '.join(MODELS)}, or give FILE.py:FUNCTION or FILE.keras"
            raise InputError("model must be a known name", repr(self.model), action)
        if self.weights == "keep":
            rule = "weights can be kept of a model that comes with some: FILE.keras, or FILE.py:FUNCTION"
            raise InputError(rule, f"keep for the model {self.model}", "leave weights out")
        return MODELS[self.model].resolve(self.network)

    @property
    def baseline(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def tuned(self) -> bool:
        """Whether learning rates are searched."""
        return self.rates == "tuned"

    @property
    def grid(self) -> tuple[float, ...]:
        """The learning rates that are trained at: those given, or the optimizer's grid."""
        if self.rates != "tuned":
            return tuple(sorted(self.rates))
        from normlab.train.optimizers import OPTIMIZERS

        return OPTIMIZERS[self.optimizer].grid

    @property
    def report_seeds(self) -> list[int]:
        """Seeds of the runs reported on; of those that may be, where seeds are "auto"."""
        return list(range(self.most_seeds))

    @property
    def most_seeds(self) -> int:
        """The number of pairs reported on, or the most of them."""
        return self.max_seeds or 0 if self.seeds == "auto" else self.seeds

    @property
    def tuning_seed_list(self) -> list[int]:
        """Seeds of the runs that choose the rates; none if the rates are given."""
        return list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + self.tuning_seeds)) if self.tuned else []


def make_study(settings: Mapping[str, Any]) -> Study:
    """Validate settings, as from a file or a command line, into a study; raises `InputError` with one line."""
    try:
        return Study.model_validate(dict(settings))
    except ValidationError as error:
        raise _as_input_error(error) from None


def read_study_file(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML study file; `make_study` validates them."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_FILE_BYTES + 1)
        if len(content) > _MOST_FILE_BYTES:
            rule = f"the study file must hold at most {_MOST_FILE_BYTES:,} bytes"
            raise InputError(rule, f"{path} with more", "give a study file in TOML")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise InputError("the study file must be readable", f"{path} ({reason})", "check its path") from None
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # ValueError also for an integer of too many digits
        raise InputError("the study file must be valid TOML", f"{path}: {error}", "mend that line") from None


def _as_input_error(error: ValidationError) -> InputError:
    """Turn pydantic's first complaint into one line of ours."""
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    where = ".".join(str(part) for part in first["loc"] if part not in ("tuned", "tuple[float, ...]"))
    if where.split(".")[0] == "seeds":
        where = "seeds"  # without the names of the two kinds of value
        if first["type"] == "int_parsing":
            rule = "seeds must be a whole number or auto"
            return InputError(rule, shown(first["input"]), "give seeds such as 10 or auto")
    if where.split(".")[0] == "probes":
        return InputError("probes must be a list of names", shown(first["input"]), "give such as gradients,activations")
    if where.split(".")[0] in ("drop", "keep"):
        return InputError(
            f"{where.split('.')[0]} must be a list of columns", shown(first["input"]), 'give such as ["id"]'
        )
    if where.split(".")[0] == "rates":
        return InputError("rates must be tuned or numbers", shown(first["input"]), "give rates such as 0.001,0.01")
    if first["type"] == "extra_forbidden":
        return InputError("every setting must be a known one", where, f"choose among {', '.join(Study.model_fields)}")
    if first["type"] == "missing":
        return InputError(f"{where} must be given", "none", f"add {where}")
    message = first["msg"].replace("Input should be", "must be")
    return InputError(f"{where} {message}", shown(first["input"]), f"change {where}")

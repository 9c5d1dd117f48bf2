"""The factors in which two arms differ, and the study that trains every combination of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from normlab.errors import InputError
from normlab.models import MODELS
from normlab.study.arm import Arm
from normlab.study.design import Study, make_study

# Sixty-four arms: beyond that, a study of single factors tells more for the same work.
MOST_FACTORS = 6


@dataclass(frozen=True)
class Factor:
    """One thing in which the arms differ: the settings that switch it off (the baseline's) and on (the other arm's)."""

    name: str
    off: Mapping[str, Any]
    on: Mapping[str, Any]


def factors_of(study: Study) -> list[Factor]:
    """Return the factors in which the study's two arms differ.

    Where one arm has no norm and the network can normalize its input and its hidden layers apart, "a norm in the hidden
    layers" and "a norm on the input" are two factors. Where the norm stands then counts with the hidden norm: without
    one there is nothing to place.

    Raises:
        InputError: If the study has not two arms, or they differ in fewer than two or more than `MOST_FACTORS` factors.
    """
    if len(study.arms) != 2:
        received = [arm.name for arm in study.arms]
        raise InputError("an attribution needs two arms, the baseline first", received, "name the two to be compared")
    off, on = (_settings(study, arm) for arm in study.arms)
    if "hidden_norm" in off and "none" in (off["norm"], on["norm"]) and off["norm"] != on["norm"]:
        bare, normed = (off, on) if off["norm"] == "none" else (on, off)
        # The same network: the other arm's norm, standing nowhere.
        bare |= {name: normed[name] for name in normed if name not in study.network}
        bare |= {"input_norm": False, "hidden_norm": False, "placement": normed["placement"]}
    of_norm = [name for name in dict.fromkeys([*off, *on]) if name not in study.network]
    factors = []
    if any(off.get(name) != on.get(name) for name in of_norm):
        factors.append(Factor("norm", *({n: arm[n] for n in of_norm if n in arm} for arm in (off, on))))
    factors += [
        Factor(name.replace("_", " "), {name: off[name]}, {name: on[name]})
        for name in study.network
        if off[name] != on[name]
    ]
    if not 2 <= len(factors) <= MOST_FACTORS:
        found = f"{len(factors)} ({', '.join(factor.name for factor in factors)})"
        action = "use normlab run for arms that differ in one" if len(factors) < 2 else "bring the arms closer"
        raise InputError(f"the two arms must differ in 2 to {MOST_FACTORS} factors", found, action)
    return factors


def combinations(study: Study, factors: list[Factor]) -> dict[frozenset[str], str]:
    """Return the arm's name of every combination: by the set of factors that are on."""
    names = {}
    for size in range(len(factors) + 1):
        for chosen in itertools.combinations(factors, size):
            own = " + ".join(factor.name for factor in chosen)
            names[frozenset(factor.name for factor in chosen)] = own
    names[frozenset()] = study.arms[0].name
    names[frozenset(factor.name for factor in factors)] = study.arms[1].name
    return names


def all_combinations(study: Study, factors: list[Factor]) -> Study:
    """Return the study whose arms are all combinations of the factors, the baseline first."""
    common = _settings(study, study.arms[0])
    if any("hidden_norm" in factor.on for factor in factors):  # the bare arm is written with the other's norm
        bare_first = study.arms[0].norm == "none"
        common |= _settings(study, study.arms[1] if bare_first else study.arms[0])
    arms = []
    for chosen, name in combinations(study, factors).items():
        arm = dict(common)
        for factor in factors:
            arm |= factor.on if factor.name in chosen else factor.off
        arms.append({**arm, "name": name})
    settings = study.model_dump(exclude={"arms"})
    return make_study({**settings, "arms": arms})


def _settings(study: Study, arm: Arm) -> dict[str, Any]:
    """Return all that an arm is set to: its norm, the norm's options that it sets, every option of the network."""
    if study.model not in MODELS:
        raise InputError("an attribution needs a named network", study.model, f"choose among {', '.join(MODELS)}")
    own = {name: value for name, value in (arm.model_extra or {}).items() if name not in study.network}
    return {"norm": arm.norm, **own, **study.network_of(arm)}

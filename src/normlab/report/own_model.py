"""What a reader must know of a network of the user's own: where it comes from, and how its arms were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normlab.models.own import is_reference
from normlab.study.design import FUNCTION

REDRAWN = (
    "Parameters are drawn anew for every seed from each layer’s initializer: values that the model came with are not "
    "used."
)
KEPT = (
    "Every run begins with the values that the model came with, new norms with their own: seeds differ in the order of "
    "the samples, and in what came without a value. If it was trained on samples of the test part, all arms look "
    "better on it than they are."
)


def own_model(study: Mapping[str, Any]) -> list[str]:
    """Return sentences on the user's own network, from `study.json`; none where normlab's was used."""
    settings, notes = study["study"], study.get("model_notes", {})
    model = settings["model"]
    if model != FUNCTION and not is_reference(model):
        return []
    sentences = [f"{model}, the user’s own." if model != FUNCTION else "The user’s own function."]
    if any(notes.values()):  # surgery leaves notes, a function that takes a norm does not
        shared = [note for note in next(iter(notes.values())) if all(note in of_arm for of_arm in notes.values())]
        sentences.append("Its arms are one model with its norms exchanged.")
        for arm, of_arm in notes.items():
            own = [note for note in of_arm if note not in shared]
            sentences.append(f"{arm}: {'; '.join(own) or 'as it came'}.")
        sentences += [f"{note[:1].upper()}{note[1:]}." for note in shared]
        sentences.append(KEPT if settings["weights"] == "keep" else REDRAWN)
    return sentences

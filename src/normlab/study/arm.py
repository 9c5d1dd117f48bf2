"""One arm of a study: a norm with its options, and where the arm departs from the study's network."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from normlab.errors import InputError
from normlab.norms import Norm, named_norm


class Strict(BaseModel):
    """Settings that never change and take no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(Strict):
    """One arm: a norm, and a name for the records.

    Any further setting is an option of the norm (`norm = "group"`, `groups = 8`), or an option of the network in which
    the arm departs from the study's. The norm is a name in `NORMS`, or FILE.py:NAME, a norm of the user's own.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    norm: str
    name: str = ""

    _norm: Norm = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, given: Any) -> Any:
        return {"norm": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _named(self) -> Arm:
        self._norm = self._resolve()
        if not self.name:
            object.__setattr__(self, "name", self.norm)
        if not self.name.isprintable():
            raise InputError("an arm's name must be one line of text", repr(self.name), "choose another name")
        return self

    def build_norm(self) -> Norm:
        """Return the arm's norm with its options."""
        return self._norm

    @property
    def network(self) -> dict[str, Any]:
        """The options of the network in which the arm departs from the study's: what is no option of its norm."""
        return {name: value for name, value in (self.model_extra or {}).items() if name not in self._norm.options}

    def _resolve(self) -> Norm:
        """Find the norm and set its options, once: the file of a user's own norm runs here."""
        found = named_norm(self.norm)
        given = self.model_extra or {}
        return found.with_options(**{name: value for name, value in given.items() if name in found.options})

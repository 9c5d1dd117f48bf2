"""What claims measure on: the data on the devices, a program per network, the rates that were found best."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from normlab.claims.network import network_of
from normlab.claims.rates import choice_of
from normlab.claims.settled import with_settled_validation
from normlab.claims.trained import Trained, joined, side_by_side
from normlab.errors import InputError
from normlab.norms import NORMS, Norm, check_model

if TYPE_CHECKING:
    import keras

    from normlab.data import Dataset
    from normlab.study.rates import Choice
    from normlab.train.blueprint import Blueprint
    from normlab.train.device_data import DeviceData
    from normlab.train.initial import InitialValues
    from normlab.train.loop import RunState
    from normlab.train.population import Layout, Population

Budget = Literal["quick", "full"]
# Eight pairs reach p = 2 / 2^8 = 0.008 in an exact sign-flip test, which survives Holm's correction over six claims;
# twelve reach 0.0005, which survives it over a hundred.
SEEDS: dict[Budget, int] = {"quick": 12, "full": 20}
TUNING_SEEDS: dict[Budget, int] = {"quick": 3, "full": 4}
EPOCHS: dict[Budget, int] = {"quick": 8, "full": 10}
# Seeds that choose a rate are none of those reported on.
FIRST_TUNING_SEED = 1_000_000
MOST_RUNS_AT_ONCE = 64
BATCH_SIZE = 32

# (seed, epoch, number of training samples) -> indices of the samples of that epoch, in order.
Order = Callable[[int, int, int], np.ndarray]
Observe = Callable[["Population", "RunState", int], Any]


class Bench:
    """Data, network and budget that claims are put to; programs and best rates are kept, since claims share them.

    `watched` is where `normlab.claims.fit` keeps what it trained.

    Runs of different norms are paired as in a study: for each seed the same order of the samples in every epoch, and
    the same initial value of every parameter that the networks have in common.

    Args:
        dataset: The data.
        model: A name in `normlab.models.MODELS`, or `FILE.py:FUNCTION`, whose file runs.
        network: Options of a named model.
        budget: `quick` (a minute or two on a small data set) or `full`.

    Raises:
        InputError: For a wrong model or option of it, as `normlab.claims.network`.
    """

    def __init__(
        self, dataset: Dataset, model: str = "mlp", network: Mapping[str, Any] | None = None, budget: Budget = "quick"
    ) -> None:
        from normlab.train.device_data import place
        from normlab.train.devices import run_mesh
        from normlab.train.initial import InitialValues

        self.model, self.budget = model, budget
        self._network = network_of(model, network or {})
        self.loaded, self.dataset = dataset, self._network.matched(dataset)
        self.network = dict(self._network.options)
        self.seeds = list(range(SEEDS[budget]))
        self.tuning_seeds = list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + TUNING_SEEDS[budget]))
        self.epochs = EPOCHS[budget]
        self.batch_size = _batch_size(len(dataset.train))
        self.values: InitialValues = InitialValues()
        self.data: DeviceData = place(self.dataset.train, self.dataset.validation, self.dataset.test, run_mesh())
        self._programs: dict[str, Population] = {}
        self._layouts: dict[str, Layout] = {}
        self._grids: dict[str, dict[float, Trained]] = {}
        self.watched: dict[str, Trained] = {}

    @cached_property
    def with_scaled_inputs(self) -> Bench:
        """A bench on the data as they were loaded, scaled, for networks other than one that prepares its inputs itself.

        This bench where its network does not. Programs and rates are not shared.
        """
        if self.dataset is self.loaded:
            return self
        from normlab.train.device_data import place

        other = copy.copy(self)
        other.dataset, parts = self.loaded, self.loaded.parts
        other.data = place(parts["train"], parts["validation"], parts["test"], self.data.mesh)
        other._programs, other._layouts, other._grids, other.watched = {}, {}, {}, {}
        return other

    def build(self, norm: str | Norm, model: str | None = None, **options: Any) -> keras.Model:
        """Return a network with a norm; `options` replace the bench's, or are those of another `model`."""
        return self._network.build(as_norm(norm), self.dataset, model, **options)

    def program(
        self,
        norm: str | Norm,
        *,
        runs: int | None = None,
        batch_size: int | None = None,
        optimizer: str = "sgd",
        model: str | None = None,
        layout: Layout | None = None,
        samples: int | None = None,
        **options: Any,
    ) -> Population:
        """Return the population that trains `runs` runs side by side, compiled when first used and then kept.

        By default as many as there are seeds, and `train` takes more in groups: then claims share programs, of which
        each takes seconds to compile. How runs share a device is measured on the first program of a kind of network,
        and kept for the others. With `samples`, the orders that it will train in have so many, in place of all
        training samples.

        Raises:
            InputError: If the norm can't serve where it stands, or recomputes its statistics before an evaluation,
                which `train` does not.
        """
        found, size, runs = as_norm(norm), batch_size or self.batch_size, runs or len(self.seeds)
        if found.recomputes:
            raise InputError(
                "the norm of a claim must be evaluated with the statistics it keeps while it trains",
                f"{found.name}, whose statistics are to be recomputed",
                "train batch, and evaluate it by evaluations.with_precise_statistics",
            )
        name = model or self.model
        what = [found.name, dict(found.options), runs, size, optimizer, name, layout, samples, options]
        key = json.dumps(what, sort_keys=True, default=str)
        if key not in self._programs:
            from normlab.train.blueprint import blueprint

            plan = blueprint(lambda: self.build(found, model, **options))
            rest = (samples or len(self.dataset.train)) % size or size
            for count in {size, rest}:
                check_model(found, plan.model, count)
            self._programs[key] = self._laid_out(
                plan, runs, size, optimizer, layout or self._layouts.get(name), samples
            )
            self._layouts.setdefault(name, self._programs[key].layout)
        return self._programs[key]

    def _laid_out(
        self, plan: Blueprint, runs: int, batch_size: int, optimizer: str, layout: Layout | None, samples: int | None
    ) -> Population:
        from normlab.train.layouts import choose_layout

        def build(tried: Layout) -> Population:
            return self.population(plan, runs=runs, batch_size=batch_size, optimizer=optimizer, layout=tried)

        return build(layout) if layout else choose_layout(build, samples)[0]

    def population(
        self, plan: Blueprint, *, runs: int, batch_size: int, optimizer: str = "sgd", layout: Layout = "map"
    ) -> Population:
        """Return a new population of a plan on the bench's data."""
        from normlab.train.loop import Trainer
        from normlab.train.objective import objective_for
        from normlab.train.optimizers import new_optimizer
        from normlab.train.population import Population

        built = new_optimizer(optimizer)
        built.build(plan.model.trainable_variables)
        objective = objective_for(self.dataset.task, self.dataset.num_outputs, plan.model)
        trainer = Trainer(plan.model, built, objective, batch_size, self.dataset.divisor)
        return Population(plan, trainer, self.data, min(runs, MOST_RUNS_AT_ONCE), self.values, layout)

    def train(
        self,
        program: Population,
        seeds: Sequence[int],
        rates: Sequence[float],
        epochs: int | None = None,
        *,
        order: Order | Sequence[Order] | None = None,
        start: Callable[[Population, RunState], RunState] | None = None,
        observe: Observe | None = None,
        batches: int | None = None,
        validate: bool = True,
        test: bool = True,
    ) -> Trained:
        """Train one run per entry of `seeds` at the rate beside it; more runs than fit are trained in groups.

        Args:
            program: From `program`.
            seeds: Of the runs.
            rates: Learning rates.
            epochs: Default: the bench's.
            order: (seed, epoch, number of samples) -> order of the samples, for all runs or one for each; default:
                shuffled anew every epoch.
            start: (program, state) -> state before the first step; default: as the initializers drew it.
            observe: (program, state, epochs done) -> anything; called before the first epoch and after each.
            batches: Full batches per epoch, at most; the loss and accuracy of such a cut epoch are too small. Default:
                all.
            validate: Whether to evaluate on the validation part after each epoch; else that is NaN.
            test: Whether to evaluate on the test part after the last epoch; else that is NaN.
        """
        from normlab.train.order import epoch_order

        by_run = [order or epoch_order] * len(seeds) if order is None or callable(order) else list(order)
        parts = []
        for first in range(0, len(seeds), program.capacity):
            group = list(seeds[first : first + program.capacity])
            own = list(zip(by_run[first : first + program.capacity], group, strict=True))
            state = program.start(group, list(rates[first : first + program.capacity]))
            state = start(program, state) if start else state
            seen = [observe(program, state, 0)] if observe else []
            records = []
            for epoch in range(epochs or self.epochs):
                made = {(one, seed): one(seed, epoch, len(self.dataset.train)) for one, seed in dict.fromkeys(own)}
                state, record = program.train(state, [made[key] for key in own], batches, validate=validate)
                records.append(record)
                if observe:
                    seen.append(observe(program, state, epoch + 1))
            unknown = np.full(len(group), np.nan, np.float32)
            parts.append((records, program.test(state, len(group)) if test else (unknown, unknown), seen, state))
        return joined(parts)

    def grid(self, norm: str | Norm, rates: Sequence[float], *, epochs: int | None = None, **named: Any) -> Trained:
        """Train every rate with every tuning seed, once, and return all runs rate by rate; nothing is tested.

        The last validation loss and accuracy are those with settled statistics: see `normlab.claims.settled`. Runs that
        are tuned for are to be as long: `epochs`, by default the bench's; `named` as for `program`.
        """
        found, epochs = as_norm(norm), epochs or self.epochs
        key = json.dumps([found.name, dict(found.options), epochs, named], sort_keys=True, default=str)
        known, num_seeds = self._grids.setdefault(key, {}), len(self.tuning_seeds)
        missing = [rate for rate in rates if rate not in known]
        if missing:
            cells = [(seed, rate) for rate in missing for seed in self.tuning_seeds]
            seeds, own = [seed for seed, _ in cells], [rate for _, rate in cells]
            program = self.program(found, **named)
            trained = with_settled_validation(program, self.train(program, seeds, own, epochs, test=False))
            for place, rate in enumerate(missing):
                known[rate] = trained.of_runs(slice(place * num_seeds, (place + 1) * num_seeds))
        return side_by_side([known[rate] for rate in rates])

    def best_rate(
        self, norm: str | Norm, rates: Sequence[float] | None = None, *, epochs: int | None = None, **named: Any
    ) -> float:
        """Return the rate that does best on validation data, by the rule of `study.rates`, over the tuning seeds.

        A grid whose best rate lies at its edge is extended, as in a study. Arguments as for `grid`; default: the
        optimizer's grid.
        """
        return self._choice(norm, rates, epochs, named)[0].rate

    def possible_rates(
        self, norm: str | Norm, rates: Sequence[float] | None = None, *, epochs: int | None = None, **named: Any
    ) -> tuple[float, ...]:
        """Return all rates that may be the best, given the chance in the tuning runs; `best_rate` first.

        A verdict must hold under each of them: see `normlab.stats.choices`. Arguments as for `best_rate`.
        """
        return self._choice(norm, rates, epochs, named)[0].rates

    def tried_rates(
        self, norm: str | Norm, rates: Sequence[float] | None = None, *, epochs: int | None = None, **named: Any
    ) -> tuple[float, ...]:
        """Return the grid, ascending, with the rates that it was extended by; arguments as for `best_rate`."""
        return self._choice(norm, rates, epochs, named)[1]

    def _choice(
        self, norm: str | Norm, rates: Sequence[float] | None, epochs: int | None, named: Mapping[str, Any]
    ) -> tuple[Choice, tuple[float, ...]]:
        """Search a grid, and beyond it while the best rate lies at its edge; return the choice and the rates tried."""
        from normlab.study.rates import rates_beyond
        from normlab.train.optimizers import OPTIMIZERS

        grid = sorted(rates or OPTIMIZERS[named.get("optimizer", "sgd")].grid)
        tried = list(grid)
        while True:
            choice = choice_of(tried, self.grid(norm, tried, epochs=epochs, **named), self.dataset.task)
            beyond = rates_beyond(grid, tried, [choice.rate])
            if not beyond:
                return choice, tuple(tried)
            tried = sorted([*tried, *beyond])


def _batch_size(num_samples: int) -> int:
    """Return `BATCH_SIZE`, or the next size that leaves no last batch of one, which batch norm refuses."""
    return next((size for size in range(BATCH_SIZE, 2 * BATCH_SIZE) if num_samples % size != 1), BATCH_SIZE)


def as_norm(norm: str | Norm) -> Norm:
    """Return the norm of that name, or the norm itself."""
    if isinstance(norm, Norm):
        return norm
    if norm not in NORMS:
        raise InputError("norm must be a known name", repr(norm), f"choose one of {', '.join(NORMS)}")
    return NORMS[norm]

"""The bench that a replication trains on: the source's kind of network, on digits (quick) or MNIST (full)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from normlab.replicate.relation import check_seeds

if TYPE_CHECKING:
    from normlab.claims.bench import Bench
    from normlab.data import Dataset
    from normlab.replicate.replication import Setting

DATA = {"quick": "digits", "full": "mnist"}
SEEDS = {"quick": 12, "full": 20}


def bench_for(
    setting: Setting,
    num_relations: int,
    model: str,
    network: Mapping[str, Any],
    data: str | None = None,
    change: Callable[[Dataset], Dataset] | None = None,
) -> Bench:
    """Return the bench of a replication with as many seeds as the setting asks for.

    Args:
        setting: What the replication is run with.
        num_relations: That it judges; too few seeds for them are refused before anything is trained.
        model: A name in `normlab.models.MODELS`.
        network: Options of that network.
        data: In place of the budget's own data set.
        change: Of the data before anything is made for them, such as another shape of a sample.

    Raises:
        InputError: For too few seeds, or without the files of the data set.
    """
    seeds = SEEDS[setting.budget] if setting.seeds is None else setting.seeds
    check_seeds(seeds, num_relations)
    from normlab.claims.bench import Bench
    from normlab.data import load
    from normlab.train.devices import prepare

    prepare()
    dataset = load(data or DATA[setting.budget], data_dir=setting.data_dir)
    bench = Bench(change(dataset) if change else dataset, model, network, setting.budget)
    bench.seeds = list(range(seeds))
    return bench

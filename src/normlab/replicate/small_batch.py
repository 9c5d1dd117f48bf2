"""Small batches hurt batch norm, in training itself, and spare group norm: two papers, as relations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from normlab.replicate.bench import bench_for
from normlab.replicate.relation import Relation, checked, relative
from normlab.replicate.replication import Checked, Replication, Setting

if TYPE_CHECKING:
    from normlab.claims.bench import Bench

# Without space the moments of a batch of two are those of two values, the worst case; group norm takes 16 units each.
NETWORK = {"widths": (64, 64)}
SMALL, USUAL = 2, 32
EPOCHS = {"quick": 10, "full": 5}
# Wu and He's rule: the rate is proportional to the batch size, 0.1 at 32; the epochs are the same.
RATE = 0.1
NORMS = ("batch", "group")
NUM_RELATIONS = 6
# By norm, batch size and statistics (`running`; with batch norm also `precise`): test error of every seed.
Errors = dict[tuple[str, int, str], np.ndarray]


def measure(bench: Bench) -> Errors:
    """Train both norms at both batch sizes, on equally many samples, in whole batches."""
    from normlab.claims.evaluations import with_precise_statistics
    from normlab.claims.final_error import final_error
    from normlab.train.order import epoch_order

    samples = len(bench.dataset.train) // USUAL * USUAL

    def whole_batches(seed: int, epoch: int, count: int) -> np.ndarray:
        return epoch_order(seed, epoch, count)[:samples]

    found = {}
    for norm in NORMS:
        for size in (SMALL, USUAL):
            program = bench.program(norm, batch_size=size, layout="vmap", samples=samples)
            rates = [RATE * size / USUAL] * len(bench.seeds)
            trained = bench.train(program, bench.seeds, rates, EPOCHS[bench.budget], order=whole_batches)
            found[norm, size, "running"] = final_error(
                bench, trained.test_loss, trained.test_accuracy, trained.diverged
            )
            if norm == "batch":
                found[norm, size, "precise"] = with_precise_statistics(bench, program, trained)
    return found


def relations(errors: Errors) -> list[Relation]:
    """Return what the papers show, of test errors relative to a mean error; a run that diverged has 1."""
    small, usual = errors["batch", SMALL, "running"], errors["batch", USUAL, "running"]
    small_precise, usual_precise = errors["batch", SMALL, "precise"], errors["batch", USUAL, "precise"]
    small_group, usual_group = errors["group", SMALL, "running"], errors["group", USUAL, "running"]
    sizes = f"batches of {SMALL} - of {USUAL}"
    statistics = "batch norm, running - precise statistics, relative to precise"
    # Without spatial axes a batch of two has two values per unit, where theirs has thousands.
    worse = (0.2, 10.0, "from a fifth to tenfold: a unit has two values in a batch where theirs has thousands")
    return [
        relative(
            Relation(
                f"relative rise of the error, batch norm, {sizes}",
                small,
                usual,
                "+0.47: 23.6 to 34.7 %",
                *worse,
            ),
            usual,
        ),
        relative(
            Relation(
                f"relative rise of the error, group norm, {sizes}",
                small_group,
                usual_group,
                "0: 24.1 and 24.1 %",
                -0.33,
                0.33,
                "a third either way, which the quick budget's test images can just resolve",
            ),
            usual_group,
        ),
        relative(
            Relation(
                f"error at batches of {SMALL}, batch norm - group norm, relative to group norm",
                small,
                small_group,
                "+0.44: 34.7 against 24.1 %",
                *worse,
            ),
            small_group,
        ),
        relative(
            Relation(
                f"relative rise of the error, batch norm with precise statistics, {sizes}",
                small_precise,
                usual_precise,
                "a rise (a figure without numbers)",
                *worse,
            ),
            usual_precise,
        ),
        relative(
            Relation(
                f"error at batches of {SMALL}, {statistics}",
                small,
                small_precise,
                "0 or a rise (a figure without numbers)",
                -0.2,
                1.0,
                "no fifth better, and no more than twice the error",
            ),
            small_precise,
        ),
        relative(
            Relation(
                f"error at batches of {USUAL}, {statistics}",
                usual,
                usual_precise,
                "0",
                -0.2,
                0.2,
                "the same networks are evaluated twice: a fifth would be a cause",
            ),
            usual_precise,
        ),
    ]


def run(setting: Setting) -> list[Checked]:
    """Train a small network on digits (quick) or MNIST (full) and judge the relations over seeds.

    Raises:
        InputError: With too few seeds, or without the files of MNIST.
    """
    return checked(relations(measure(bench_for(setting, NUM_RELATIONS, "mlp", NETWORK))))


REPLICATION = Replication(
    id="small-batch",
    title="batches of 2 hurt batch norm and spare group norm; precise statistics do not mend it (relations)",
    source="Wu and He 2018, arXiv:1803.08494, table 2 (ResNet-50 on ImageNet); Wu and Johnson 2021, "
    "arXiv:2105.07576, section 3",
    run=run,
)

"""Groups of runs put together: against the same runs trained one by one."""

from __future__ import annotations

import numpy as np

from normlab.claims.bench import Bench


def test_groups_come_in_the_order_asked_for(tiny: Bench) -> None:
    program = tiny.program("none")
    seeds, rates = [3, 4, 5, 6, 7, 8, 9], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1]
    assert len(seeds) % program.capacity  # the last group is padded
    trained = tiny.train(program, seeds, rates, 2, observe=lambda _program, _state, epoch: epoch)
    assert trained.val_loss.shape == (2, 7)
    assert trained.seconds.shape == (2,)
    groups = -(-len(seeds) // program.capacity)
    assert trained.observed == [[0, 1, 2]] * groups
    assert len(trained.states) == groups
    for index in (0, 3, 6):
        alone = tiny.train(program, [seeds[index]], [rates[index]], 2)
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            np.testing.assert_array_equal(getattr(trained, name)[:, index], getattr(alone, name)[:, 0])
        for name in ("test_loss", "test_accuracy", "diverged"):
            assert getattr(trained, name)[index] == getattr(alone, name)[0]


def test_what_nobody_reads_is_left_out(tiny: Bench) -> None:
    program = tiny.program("none")
    whole = tiny.train(program, [3, 4], [0.1, 0.2], 2)
    less = tiny.train(program, [3, 4], [0.1, 0.2], 2, validate=False, test=False)
    np.testing.assert_allclose(less.loss, whole.loss, rtol=1e-5)
    for values, given in ((less.val_loss, whole.val_loss), (less.test_accuracy, whole.test_accuracy)):
        assert values.shape == given.shape
        assert np.isnan(values).all()
        assert np.isfinite(given).all()
    assert np.isfinite(tiny.train(program, [3, 4], [0.1, 0.2], 2, test=False).val_loss).all()

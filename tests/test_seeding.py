"""Randomness from (seed, purpose, path) alone: always the same, never shared, no state."""

from __future__ import annotations

import itertools

import jax
import numpy as np

from normlab.seeding import MAX_SEED, generator, key

PURPOSES: list[tuple[str | int, ...]] = [
    ("init",),
    ("order",),
    ("init", "dense/kernel"),
    ("init", "dense/bias"),
    ("initdense", "/kernel"),
    ("order", 0),
    ("order", 1),
    ("order", 11),
    ("order", 1, 1),
    (),
]
SEEDS = [0, 1, 7, MAX_SEED]


def test_generators_repeat_themselves_whatever_was_drawn_before() -> None:
    first = generator(3, "order", 0).random(4)
    generator(3, "order", 1).random(100)
    np.random.default_rng().random()
    assert generator(3, "order", 0).random(4).tobytes() == first.tobytes()


def test_every_seed_and_purpose_draws_its_own_numbers() -> None:
    cases = list(itertools.product(SEEDS, PURPOSES))
    assert len({generator(seed, *purpose).integers(2**62) for seed, purpose in cases}) == len(cases)
    keys = {jax.random.key_data(key(seed, *purpose)).tobytes() for seed, purpose in cases}
    assert len(keys) == len(cases)


def test_a_traced_seed_gives_the_same_key() -> None:
    drawn = jax.jit(lambda seed: jax.random.uniform(key(seed, "init", "dense/kernel"), (5,)))
    for seed in SEEDS:
        expected = jax.random.uniform(key(seed, "init", "dense/kernel"), (5,))
        assert np.asarray(drawn(np.uint32(seed))).tobytes() == np.asarray(expected).tobytes()


def test_words_come_from_sha256() -> None:
    """The reference folds the first two little-endian words of the purpose's SHA-256 into the seed's own key."""
    import hashlib

    digest = hashlib.sha256(b"init\x1fdense/kernel").digest()
    words = np.frombuffer(digest[:8], dtype="<u4")
    expected = jax.random.key(5)
    for word in words:
        expected = jax.random.fold_in(expected, int(word))
    assert key(5, "init", "dense/kernel") == expected
    reference = np.random.default_rng([5, *map(int, words)])
    assert generator(5, "init", "dense/kernel").random() == reference.random()

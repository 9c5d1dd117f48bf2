"""The claim about initial weights: planted tables and planted networks both ways, and how initial weights are made."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import keras
import numpy as np
import polars as pl
import pytest

from normlab.claims import initialization
from normlab.claims.bench import Bench
from normlab.claims.initial_weights import SCHEMES, Drawn
from normlab.claims.initialization import CLAIM, EXPONENTS, area_weights
from normlab.claims.own_best import Lost, Scored
from tests.claims.planted import INSENSITIVE, LAGGING, LOW, SENSITIVE, SETTLED, PlantedBench, judged, measured

STARTS = (-5, 0, 5)


@pytest.fixture(scope="module")
def networks(planted: PlantedBench) -> pl.DataFrame:
    """Return the evidence of five planted networks, from three scales and two schemes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "EXPONENTS", STARTS)
        patch.setattr(initialization, "SCHEMES", ("he_normal", "truncated_normal"))
        return measured(initialization, planted, SENSITIVE, INSENSITIVE, LOW, SETTLED, LAGGING)


@pytest.mark.parametrize(
    ("none", "batch", "allowed"),
    [
        (SENSITIVE, INSENSITIVE, {"supported"}),
        (INSENSITIVE, SENSITIVE, {"refuted"}),
        (LOW, SENSITIVE, {"refuted", "undecided"}),
        (SENSITIVE, LOW, {"refuted", "undecided"}),
    ],
)
def test_planted_networks_are_judged_by_sensitivity_and_not_by_level(
    networks: pl.DataFrame, none: str, batch: str, allowed: set[str]
) -> None:
    finding = judged(initialization, networks, none, batch)
    assert finding.verdict in allowed
    assert finding.pairs == 12
    if LOW in (none, batch):
        own = networks.filter(pl.col("exponent") == 0, pl.col("is_best_rate"))
        level = dict(own.group_by("arm").agg(pl.col("score").mean()).iter_rows())
        assert level[SENSITIVE] > level[LOW] + initialization.MARGIN  # they do differ in level


def test_running_statistics_that_lag_move_nothing(networks: pl.DataFrame) -> None:
    """Two networks that train alike, of which one has running statistics that hardly move."""
    by_arm = {arm: networks.filter(pl.col("arm") == arm).sort("rate", "setting", "seed") for arm in (SETTLED, LAGGING)}
    shared = by_arm[SETTLED].join(by_arm[LAGGING], on=["rate", "setting", "seed"], suffix="_lagging")
    assert len(shared) >= 12 * 5
    for column in ("score", "validation"):
        assert (shared[column] - shared[f"{column}_lagging"]).abs().mean() < 1e-3
    assert (shared["running_score"] - shared["running_score_lagging"]).mean() > 0.1


def test_every_seed_starts_from_every_scale_and_scheme(networks: pl.DataFrame, planted: PlantedBench) -> None:
    at_best = networks.filter(pl.col("is_best_rate"), pl.col("is_averaged"))
    assert at_best.group_by("arm").len()["len"].to_list() == [5 * len(planted.seeds)] * 5
    scales = at_best.filter(pl.col("arm") == SENSITIVE, pl.col("varied") == "scale")
    means = dict(scales.group_by("exponent").agg(pl.col("score").mean()).iter_rows())
    assert means[0] > means[5] + 0.1
    for arm in (SENSITIVE, LOW):
        rates = networks.filter(pl.col("arm") == arm).group_by("is_best_rate").agg(pl.col("rate").unique())
        found = {best: sorted(own) for best, own in rates.iter_rows()}
        possible = planted.possible_rates(arm, epochs=4)
        assert found[True] == [possible[0]]
        assert found.get(False, []) == sorted(possible[1:])
    drawn = CLAIM.draw(networks.filter(pl.col("arm").is_in([SENSITIVE, INSENSITIVE]))).rows
    assert {row["x"] for row in drawn} >= {2.0**start for start in STARTS}


def test_every_run_is_recorded_with_its_own_start_and_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def train(_: object, seeds: list[int], rates: list[float], epochs: int, start: Drawn) -> None:
        given.update(seeds=seeds, rates=rates, epochs=epochs, left=start.left)

    def settled(_bench: object, _program: object, _trained: object, part: str = "test") -> np.ndarray:
        return np.full(6, {"validation": 0.2, "test": 0.3}[part])

    monkeypatch.setattr(initialization, "settled_error", settled)
    monkeypatch.setattr(initialization, "running_error", lambda *_: np.full(6, 0.4))
    monkeypatch.setattr(initialization, "chance_score", lambda _: 0.1)
    bench = SimpleNamespace(values=None, seeds=[3, 4], train=train)
    found = initialization._trained(bench, None, [-2, 1, "he_normal"], 0.5, 7)  # type: ignore[arg-type]
    starts = [(0.25, None), (2.0, None), (1.0, "he_normal")]
    assert given["left"] == [(seed, *start) for start in starts for seed in (3, 4)]
    assert (given["seeds"], given["rates"], given["epochs"]) == ([3, 4] * 3, [0.5] * 6, 7)
    assert found["seed"].to_list() == given["seeds"]
    assert found["exponent"].to_list() == [-2, -2, 1, 1, None, None]
    assert found["setting"].to_list() == ["2^-2", "2^-2", "2^1", "2^1", "he_normal", "he_normal"]
    assert found["is_averaged"].to_list() == [False, False, True, True, True, True]
    scores = found.select("validation", "score", "running_score", "nothing").unique()
    assert scores.rows() == [pytest.approx((0.8, 0.7, 0.6, 0.1))]


def test_a_network_that_does_best_at_the_edge_is_tried_beyond(networks: pl.DataFrame) -> None:
    beyond = initialization._beyond
    own = networks.filter(pl.col("arm") == SENSITIVE, pl.col("is_best_rate"))
    assert beyond(own) is None
    rising = own.with_columns(validation=pl.col("exponent").fill_null(0) / 10)
    assert beyond(rising) == 7
    assert beyond(rising.with_columns(validation=-pl.col("validation"))) == -7
    assert beyond(rising.with_columns(validation=pl.lit(0.5))) is None  # flat: nothing better lies beyond
    assert beyond(rising.with_columns(exponent=pl.col("exponent") + 4)) is None  # bounded


def test_starts_beyond_the_common_scales_are_trained_while_they_do_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """An arm that does the better the larger its weights are is followed to the end, at every rate."""

    def trained(_b: object, _p: object, starts: list[int | str], rate: float, epochs: int) -> pl.DataFrame:
        assert epochs == 3
        rows = [("scale", start, 0.01 * start, rate) for start in starts if isinstance(start, int)]
        return pl.DataFrame(rows, schema=["varied", "exponent", "validation", "rate"], orient="row")

    monkeypatch.setattr(initialization, "_trained", trained)
    data = SimpleNamespace(train=range(100))
    rates = {"none": (0.1,), "batch": (0.3, 1.0)}
    bench = SimpleNamespace(
        dataset=data, epochs=6, program=lambda arm: arm, possible_rates=lambda arm, epochs: rates[arm]
    )
    evidence = CLAIM.measure(bench)  # type: ignore[arg-type]
    for (arm, rate, is_best), own in evidence.group_by("arm", "rate", "is_best_rate"):
        assert own["exponent"].to_list() == [*EXPONENTS, 7, 9]
        assert is_best == (rates[str(arm)].index(float(rate)) == 0)
    assert evidence.group_by("arm", "rate").len().height == 3


def test_a_verdict_must_hold_for_every_setting_that_may_be_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = _table(none=(0.9, 0.05, 0.002), batch=(0.9, 0.0, 0.002))
    monkeypatch.setattr(Scored, "possible", lambda own: [own.lost(), Lost(own.lost().losses + 1.0, 0.9)])
    assert CLAIM.judge(evidence).verdict == "undecided"


def _table(**arms: tuple[float, float, float]) -> pl.DataFrame:
    """Return scores of (level, loss per octave, spread) at the common scales; schemes lose nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for arm, (level, slope, spread) in arms.items():
        for rate, varied, setting, seed in itertools.product((0.1, 0.3), ("scale", "scheme"), EXPONENTS, range(8)):
            lost = slope * abs(setting) if varied == "scale" else 0.0
            scores = (level - lost + spread * rng.normal() for _ in range(3))
            exponent = setting if varied == "scale" else None
            rows.append((arm, rate, rate == 0.1, varied, str(setting), exponent, True, seed, *scores, 0.1))
    names = ["arm", "rate", "is_best_rate", "varied", "setting", "exponent", "is_averaged", "seed"]
    names += ["validation", "score", "running_score", "nothing"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


@pytest.mark.parametrize(
    ("none", "batch", "scale"),
    [
        ((0.9, 0.05, 0.002), (0.9, 0.0, 0.002), "supported"),
        ((0.9, 0.0, 0.002), (0.9, 0.05, 0.002), "refuted"),
        ((0.5, 0.03, 0.002), (0.7, 0.03, 0.002), "undecided"),  # the level alone
        ((0.9, 0.0, 0.002), (0.9, 0.0, 0.002), "refuted"),  # neither loses anything
    ],
)
def test_verdicts(none: tuple, batch: tuple, scale: str) -> None:
    finding = CLAIM.judge(_table(none=none, batch=batch))
    mean_octaves = area_weights(EXPONENTS) @ np.abs(EXPONENTS)
    assert finding.effect == pytest.approx((batch[1] - none[1]) * mean_octaves, abs=0.005)
    assert f": {scale}. The level is not judged" in finding.answer
    assert finding.verdict == {"supported": "conditional", "refuted": "refuted", "undecided": "undecided"}[scale]
    assert finding.details["rates"] == {"none": [0.1, 0.3], "batch": [0.1, 0.3]}


def test_a_verdict_must_hold_at_every_rate_that_could_have_been_chosen() -> None:
    evidence = _table(none=(0.9, 0.05, 0.002), batch=(0.9, 0.0, 0.002))
    other = (pl.col("arm") == "batch") & (pl.col("rate") == 0.3) & (pl.col("varied") == "scale")
    worse = evidence.with_columns(score=pl.when(other).then(0.9 - 0.08 * pl.col("exponent").abs()).otherwise("score"))
    finding = CLAIM.judge(worse)
    assert finding.verdict == "undecided"
    assert finding.effect == pytest.approx(CLAIM.judge(evidence).effect)


def test_the_mean_over_the_scales_is_the_area() -> None:
    np.testing.assert_allclose(area_weights((-5, -3, -1, 0, 1, 3, 5)), np.array([1, 2, 1.5, 1, 1.5, 2, 1]) / 10)
    np.testing.assert_allclose(area_weights((0,)), [1.0])


def test_without_classes_the_loss_counts(regression: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accuracy is 0 for every regression run: it would call all arms equivalent, and the claim refuted."""
    monkeypatch.setattr(initialization, "EXPONENTS", (-5, 0))
    monkeypatch.setattr(initialization, "SCHEMES", ())
    monkeypatch.setattr(initialization, "ARMS", ("none",))
    monkeypatch.setattr(initialization, "MOST_SAMPLES", len(regression.dataset.train))
    evidence = CLAIM.measure(regression)
    scores = dict(evidence.group_by("exponent").agg(pl.col("score").mean()).iter_rows())
    assert -1 <= scores[-5] < scores[0] < 1
    assert evidence["nothing"].unique().to_list() == [0.0]


def test_kernels_are_scaled_or_drawn_and_nothing_else_is(tiny: Bench) -> None:
    program = tiny.program("none", runs=2)
    state = program.start([0, 1], [0.1, 0.1])
    rest = program.capacity - 2  # padding of a group
    seeds, factors = [0, 1, *[1] * rest, 0, 1], [2.0, 3.0, *[1.0] * rest, 1.0, 1.0]
    start = Drawn(tiny.values, seeds, factors, [None] * program.capacity + ["truncated_normal", None])
    scaled, drawn = start(program, state), start(program, state)  # groups come in order
    paths = [program.plan.paths[id(v)] for v in program.plan.model.trainable_variables]
    for path, before, after, other in zip(paths, state.trainable, scaled.trainable, drawn.trainable, strict=True):
        before, after, other = (np.asarray(values) for values in (before, after, other))
        is_kernel = path.endswith("kernel")
        for run, factor in enumerate((2.0, 3.0)):
            np.testing.assert_allclose(after[run], (factor if is_kernel else 1.0) * before[run], rtol=1e-6)
        np.testing.assert_array_equal(other[1], before[1])
        if is_kernel:
            assert np.abs(other[0]).max() <= 0.1  # truncated at two deviations of 0.05
            assert other[0].std() == pytest.approx(0.044, abs=0.004)
    again = Drawn(tiny.values, [1, 0], [1.0, 1.0], ["truncated_normal"] * 2)(program, state)
    np.testing.assert_array_equal(np.asarray(again.trainable[0])[1], np.asarray(drawn.trainable[0])[0])  # by the seed


def test_schemes_are_initializers_of_keras() -> None:
    assert len({type(keras.initializers.get(name)) for name in SCHEMES}) == len(SCHEMES)

"""The page's section that explains batch normalization with the numbers of a worked example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from normlab.report.markup import fixed, plain, plural, scientific, table, text


def explanation(example: dict[str, Any]) -> str:
    """Return `<section id="explanation">`: what batch norm does, step by step, in the numbers of `example`.

    Plain HTML without style or script. Cells that hold a number have the class `num`, the formulas `formula`, and
    what tells of a failed check `failed`.

    Args:
        example: What `normlab.probes.worked_example.worked_example` returns, or the same after a way through JSON.
    """
    parts = [
        _setting(example),
        _forward(example),
        _gamma_and_beta(example),
        _evaluation(example),
        _backward(example),
        _bias(example),
        _checks(example),
    ]
    return '<section id="explanation">\n' + "\n".join(parts) + "\n</section>\n"


def _setting(example: dict[str, Any]) -> str:
    number = fixed([example["loss"]])
    kind = "the mean cross-entropy" if example["task"] == "classification" else "half the mean squared error"
    return f"""<h2>Batch normalization, worked through on this run’s data</h2>
<p>Every number below comes from the first mini-batch: {plain(example["batch_size"])} samples of
{plain(example["num_features"])} features. Each sample passes {text(example.get("layer", "a Dense layer"))}, with its
initial weights, and becomes {plain(example["width"])} values <var>z</var>, one per unit. Here they pass through batch
normalization, a ReLU and a layer with {plain(example["num_outputs"])} {plural("output", example["num_outputs"])},
whose weights are drawn with seed {plain(example["seed"])}. The loss (task: {text(example["task"])}) is {kind}; it
starts at {number(example["loss"])}. Numbers are rounded for display only.</p>"""


def _forward(example: dict[str, Any]) -> str:
    units, samples = example["units"], example["samples"]
    number = fixed([*_of_units(units, "mean", "scale"), *_of_samples(samples, "z", "centered")])
    ratio = fixed(_of_samples(samples, "x_hat"))
    first, unit = samples[0], units[0]
    moments = [
        _unit_row("mean <var>m</var>", units, "mean", number),
        _unit_row("variance <var>v</var>", units, "variance"),
        _unit_row("<var>s</var> = √(<var>v</var> + ε)", units, "scale", number),
    ]
    mean = number(unit["mean"]) if unit["mean"] >= 0 else f"({number(unit['mean'])})"
    return f"""<h3>1. Normalize each unit over the mini-batch</h3>
<p>Take one unit and look at its values over all {plain(example["batch_size"])} samples. They have a mean
<var>m</var> and a variance <var>v</var>. Subtract the mean and divide by <var>s</var>:</p>
<p class="formula"><var>s</var> = √(<var>v</var> + ε) and <var>x̂</var><sub>i</sub> =
(<var>z</var><sub>i</sub> − <var>m</var>) / <var>s</var></p>
<p>The small ε = {plain(example["epsilon"])} keeps the division safe when a unit hardly varies. These are the
values of {len(units)} {plural("unit", len(units))}, chosen from the lowest to the highest mean:</p>
{_by_sample(example, [("z", "<var>z</var>", number)])}
{table(["over the whole batch", *_unit_names(units)], moments)}
<p>For unit {plain(unit["unit"])} and sample {plain(first["index"])}: <var>z</var> − <var>m</var> =
{number(first["z"][0])} − {mean} = {number(first["centered"][0])}, and divided by
<var>s</var> = {number(unit["scale"])} this is <var>x̂</var> = {ratio(first["x_hat"][0])}. In the same way for the
others:</p>
{_by_sample(example, [("centered", "<var>z</var> − <var>m</var>", number), ("x_hat", "<var>x̂</var>", ratio)])}
<p>The units started with different means and spreads. Now all are on one scale: mean 0, and deviation 1 but for
ε.</p>"""


def _gamma_and_beta(example: dict[str, Any]) -> str:
    number = fixed(_of_samples(example["moments"], "mean", "deviation", "expected_deviation"))
    measured = ("mean", "deviation", "expected_deviation")
    rows = [
        [plain(row["gamma"]), plain(row["beta"]), plain(unit["unit"]), *(number(row[name][j]) for name in measured)]
        for row in example["moments"]
        for j, unit in enumerate(example["units"])
    ]
    expected = "γ·√(<var>v</var>/(<var>v</var> + ε))"
    return f"""<h3>2. Scale and shift: γ and β</h3>
<p class="formula"><var>y</var><sub>i</sub> = γ · <var>x̂</var><sub>i</sub> + β</p>
<p>Each unit has its own γ and β. They are learned like weights, so the network can choose any mean and spread it
needs. They start at γ = 1 and β = 0, where <var>y</var> = <var>x̂</var>. The output’s mean is β. Its deviation is
{expected}: γ, but for ε. Measured on the output of Keras’s layer, at the start and with another γ and β:</p>
{table(["γ", "β", "unit", "mean", "deviation", expected], rows)}"""


def _evaluation(example: dict[str, Any]) -> str:
    units, first = example["units"], example["samples"][0]
    output = fixed(_of_samples(example["samples"], "x_hat", "y_evaluation"))
    rows = [
        _unit_row("mean of this batch", units, "mean"),
        _unit_row("moving mean after this step", units, "moving_mean"),
        _unit_row("variance of this batch", units, "variance"),
        _unit_row("moving variance after this step", units, "moving_variance"),
    ]
    momentum, half = plain(example["momentum"]), example["half_way_steps"]
    return f"""<h3>3. Training against evaluation</h3>
<p>In training, a sample’s output depends on the other samples in its batch. In evaluation it must not, so the layer
then uses a moving mean and a moving variance. They start at 0 and 1, and every training step moves them:</p>
<p class="formula">moving ← {momentum} · moving + (1 − {momentum}) · batch</p>
{table(["", *_unit_names(units)], rows)}
<p>On this batch alone it would take {plain(half)} {plural("step", half)} to bring the moving
mean half of the way. Until then evaluation and training disagree. For unit {plain(units[0]["unit"])} and sample
{plain(first["index"])} the output is {output(first["x_hat"][0])} in training and {output(first["y_evaluation"][0])} in
evaluation after this one step. Both outputs, for all of them:</p>
{_by_sample(example, [("x_hat", "training", output), ("y_evaluation", "evaluation", output)])}"""


def _backward(example: dict[str, Any]) -> str:
    units, samples = example["units"], example["samples"]
    number = fixed(_of_samples(samples, "g", "grad_z"))
    sums = [
        _unit_row("mean(<var>g</var>)", units, "mean_g"),
        _unit_row("mean(<var>g</var>·<var>x̂</var>)", units, "mean_g_x_hat"),
        _unit_row("∂<var>L</var>/∂γ = Σ <var>g</var>·<var>x̂</var>", units, "grad_gamma"),
        _unit_row("∂<var>L</var>/∂β = Σ <var>g</var>", units, "grad_beta"),
    ]
    columns = [("g", "<var>g</var>", number), ("grad_z", "∂<var>L</var>/∂<var>z</var>", number)]
    return f"""<h3>4. Backward</h3>
<p>The loss <var>L</var> sends back one number per sample and unit: <var>g</var><sub>i</sub> =
∂<var>L</var>/∂<var>y</var><sub>i</sub>. It is 0 where the ReLU is off. γ multiplies <var>x̂</var> and β is added, so
their gradients are sums over the batch. For <var>z</var> there are three terms, because each
<var>z</var><sub>i</sub> also moves the mean and the variance of the whole batch:</p>
<p class="formula">∂<var>L</var>/∂<var>z</var><sub>i</sub> = γ/<var>s</var> · (<var>g</var><sub>i</sub> −
mean(<var>g</var>) − <var>x̂</var><sub>i</sub> · mean(<var>g</var>·<var>x̂</var>))</p>
{table(["over the whole batch", *_unit_names(units)], sums)}
{_by_sample(example, columns)}
<p>A sample with <var>g</var> = 0 still gets a gradient: it took part in the mean and the variance.</p>"""


def _bias(example: dict[str, Any]) -> str:
    bias, units = example["bias"], example["units"]
    shift = fixed([*bias["shift"], bias["largest_shift"]])
    shifts = ", ".join(shift(value) for value in bias["shift"])
    names = ", ".join(plain(row["unit"]) for row in units)
    rows = [
        ["output <var>y</var>, training", scientific(bias["change_output"]), ""],
        ["output <var>y</var>, evaluation after one step", scientific(bias["change_evaluation"]), ""],
        [
            "logits, training" if example["task"] == "classification" else "prediction, training",
            scientific(bias["change_logits"]),
            scientific(bias["change_logits_without"]),
        ],
        [
            "∂<var>L</var>/∂<var>b</var>, training",
            scientific(bias["gradient"]),
            scientific(bias["gradient_without"]),
        ],
    ]
    return f"""<h3>5. Why the bias goes</h3>
<p>A bias adds the same <var>b</var> to every value of a unit. The mean then grows by <var>b</var> as well, and
<var>z</var> − <var>m</var> does not change. So the bias can do nothing, its gradient is 0, and β takes its place.
As a test, a constant δ was added to each unit’s <var>z</var>: {shifts} for {plural("unit", len(units))} {names}; at
most {shift(bias["largest_shift"])} over all units. The largest changes of the outputs, and the largest gradient of a
bias:</p>
{table(["largest size of", "with batch norm", "without"], rows)}
<p>In training only rounding may be left; the last two checks below say whether it is so. In evaluation the shift does
come through, until the moving mean has followed it.</p>"""


def _checks(example: dict[str, Any]) -> str:
    checks = example["checks"]
    failed = sum(not check["ok"] for check in checks)
    if example["ok"] and not failed:
        verdict = f"<p>All {len(checks)} checks agree.</p>"
    else:
        verdict = (
            f'<p class="failed" role="alert"><strong>{failed} of {len(checks)} checks failed: the formulas above do '
            "not describe what the layer computed here.</strong></p>"
        )
    head = ["quantity", "checked against", "difference", "relative", "allowed", "result"]
    rows = [
        [
            text(check["name"]),
            text(check["against"]),
            *(scientific(check[name]) for name in ("absolute", "relative", "tolerance")),
            "agrees" if check["ok"] else "<strong>differs</strong>",
        ]
        for check in checks
    ]
    classes = ["" if check["ok"] else "failed" for check in checks]
    return f"""<h3>6. Checked against automatic differentiation</h3>
<p>The numbers above follow the formulas, in double precision. Here they meet Keras’s own layer and JAX’s automatic
differentiation, in single precision, over all {plain(example["width"])} units and
{plain(example["batch_size"])} samples. The checks run at both settings of γ and β, and the worse one is shown; the two
of the bias run at the start. “Relative” is
relative to the size of what is added up; “allowed” is what rounding explains for this batch.</p>
{verdict}
{table(head, rows, classes)}"""


def _by_sample(example: dict[str, Any], columns: Sequence[tuple[str, str, Callable[[float], str]]]) -> str:
    label = "class" if example["task"] == "classification" else "target"
    head = ["sample", label]
    head += [f"{title}, {unit}" for unit in _unit_names(example["units"]) for _, title, _ in columns]
    rows = [
        [
            plain(sample["index"]),
            text(sample["label"]) if isinstance(sample["label"], str) else plain(sample["label"]),
            *(show(sample[name][j]) for j in range(len(example["units"])) for name, _, show in columns),
        ]
        for sample in example["samples"]
    ]
    return table(head, rows)


def _unit_row(
    title: str, units: list[dict[str, Any]], name: str, number: Callable[[float], str] | None = None
) -> list[str]:
    show = number or fixed(_of_units(units, name))
    return [title, *(show(unit[name]) for unit in units)]


def _unit_names(units: list[dict[str, Any]]) -> list[str]:
    return [f"unit {plain(unit['unit'])}" for unit in units]


def _of_units(units: list[dict[str, Any]], *names: str) -> list[float]:
    return [unit[name] for unit in units for name in names]


def _of_samples(samples: list[dict[str, Any]], *names: str) -> list[float]:
    return [value for sample in samples for name in names for value in sample[name]]

"""The page's sections of results: answer, curves, learning rates, final scores, verdicts, discussion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.report.discussion import topics
from normlab.report.elements import Content, Html, arm_name, badge, figure, note, paragraph, section, table
from normlab.report.figures import curve_figures, pair_figure, rate_figure
from normlab.report.markup import text
from normlab.report.palette import colours
from normlab.report.quantities import MISSING, counted, label_of, listed, per_arm, shown_rate, value_scale
from normlab.report.rate_figure import grid_rows, rate_metric
from normlab.report.records import shown_rows
from normlab.report.setting import confounding
from normlab.report.table import ComparisonRow, comparison_rows
from normlab.report.words import rate_words, sentence

if TYPE_CHECKING:
    from normlab.report.records import Records

# A table longer than this is folded away.
_LONG = 12


def answer_section(records: Records) -> str:
    """Return the verdict on the primary comparison in one sentence, then all verdicts at that rate in short."""
    summary = records.summary
    primary = summary["primary"]
    main = next(row for row in summary["comparisons"] if all(row[name] == primary[name] for name in primary))
    shown = [row for row in summary["comparisons"] if row["rate"] == primary["rate"]]
    return section(
        "answer",
        "Answer",
        f'<p class="answer">{badge(main["verdict"]).source} {text(sentence(main))}</p>',
        _matrix(
            records,
            comparison_rows(shown),
            f"All verdicts against {summary['baseline']}, {rate_words(primary['rate'])}.",
        ),
        note([*confounding(records), *_edges(records), *_unstable(records), *_divergence(records)]),
        figure(pair_figure(records), records.arms),
    )


def curves_section(records: Records) -> str:
    """Return loss and accuracy over epochs and over seconds."""
    where = per_arm({arm: shown_rate(rate) for arm, rate in records.rates.items()})
    opening = paragraph(f"The runs reported on. Learning rate: {where}.")
    return section("curves", "Curves", opening, *(figure(one, records.arms) for one in curve_figures(records)))


def rates_section(records: Records) -> str:
    """Return the score over learning rates, the area over them, and warnings about the grid."""
    drawn = rate_figure(records)
    if drawn is None:
        only = shown_rate(records.summary["rates"]["grid"][0])
        words = f"The study has one learning rate, {only}, given beforehand. How the arms compare at others is unknown."
        return section("rates", "Learning rates", paragraph(words))
    areas = comparison_rows(records.summary["area_over_rates"])
    area = ""
    if areas:
        caption = (
            "The mean over the grid on a logarithmic axis (area under the curve divided by its width), seed by seed."
        )
        area = _comparison_table(records, areas, caption)
    return section(
        "rates",
        "Learning rates",
        note([*_edges(records), *_unstable(records)]),
        figure(drawn, records.arms),
        _rate_table(records),
        area,
    )


def scores_section(records: Records) -> str:
    """Return the table of final scores: mean and standard deviation over seeds, per arm."""
    names = ["loss", "accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"]
    if records.task != "classification":
        names = [name for name in names if not name.endswith("accuracy")]
    rows = shown_rows(records.summary)
    palette = colours(records.arms)
    scales = {name: value_scale(name, [row[f"{name}_mean"] for row in rows.values()]) for name in names}
    costs = ["seconds_per_epoch", "num_parameters"]
    cost_scales = {name: value_scale(name, [row[name] for row in rows.values()]) for name in costs}
    head: list[Content] = ["arm", *(_with_unit(label_of(name), scales[name].unit) for name in names)]
    time_unit = cost_scales["seconds_per_epoch"].unit
    head += [_with_unit("time per epoch", time_unit), "parameters"]
    body: list[list[Content]] = []
    for arm, row in rows.items():
        cells: list[Content] = [arm_name(arm, palette)]
        for name in names:
            mean, spread = scales[name].number(row[f"{name}_mean"]), scales[name].number(row[f"{name}_sd"])
            cells.append(mean if spread == MISSING or mean == MISSING else f"{mean} ± {spread}")
        cells += [cost_scales[name].number(row[name]) for name in costs]
        body.append(cells)
    runs = max((row["runs"] for row in rows.values()), default=0)
    where = per_arm({arm: shown_rate(rate) for arm, rate in records.rates.items()})
    caption = (
        f"Learning rate {where}, after the last epoch: mean ± standard deviation over "
        f"{counted(runs, 'seed')}. A dash: not finite, or no spread with one seed."
    )
    return section("scores", "Final scores", table(caption, head, body))


def verdicts_section(records: Records) -> str:
    """Return every comparison: at the rate of the primary one, then at each shared rate."""
    summary = records.summary
    rate = summary["primary"]["rate"]
    first = comparison_rows(row for row in summary["comparisons"] if row["rate"] == rate)
    others = [row for row in summary["comparisons"] if row["rate"] != rate]
    remark = (
        "Intervals are of the difference, arm minus baseline. Reasons give accuracies as fractions: 0.01 is one point."
    )
    parts = [
        paragraph(remark, "soft"),
        _comparison_table(records, first, f"{_capital(rate_words(rate))}: {_correction(summary, rate)}."),
    ]
    for metric in dict.fromkeys(row["metric"] for row in others):
        chosen = [row for row in others if row["metric"] == metric]
        label = chosen[0]["label"]
        rows = comparison_rows(chosen)
        inner = _comparison_table(
            records, rows, f"{_capital(label)} at shared rates: {_correction(summary, chosen[0]['rate'])}."
        )
        is_open = " open" if len(others) <= _LONG else ""
        title = f"{_capital(label)} at each shared rate ({counted(len(rows), 'comparison')})"
        parts.append(f"<details{is_open}><summary>{text(title)}</summary>{inner}</details>")
    return section("verdicts", "Verdicts", *parts)


def discussion_section(records: Records) -> str:
    """Return the discussion, topic by topic."""
    parts = []
    for title, sentences in topics(records).items():
        parts.append(f"<h3>{text(title)}</h3>")
        parts.append(paragraph(" ".join(sentences)))
    return section("discussion", "Discussion", *parts)


def _matrix(records: Records, rows: list[ComparisonRow], caption: str) -> str:
    """One row per arm, one column per metric: verdict, difference, interval."""
    palette = colours(records.arms)
    metrics = list(dict.fromkeys(row.metric for row in rows))
    labels = {row.metric: row.label for row in rows}
    cells = {
        (row.arm, row.metric): Html(
            f"{badge(row.verdict).source}<small>{text(row.difference)}</small><small>{text(row.interval)}</small>"
        )
        for row in rows
    }
    arms = [arm for arm in records.arms if any(row.arm == arm for row in rows)]
    body: list[list[Content]] = [
        [arm_name(arm, palette), *(cells.get((arm, metric), MISSING) for metric in metrics)] for arm in arms
    ]
    caption += " Below each verdict: the difference, and its 95 % interval."
    return table(
        caption, ["arm", *(labels[metric] for metric in metrics)], body, words=range(len(metrics) + 1), name="matrix"
    )


def _comparison_table(records: Records, rows: list[ComparisonRow], caption: str) -> str:
    """All cells of comparisons; the reason stands below each."""
    palette = colours(records.arms)
    head: list[Content] = ["metric", "arm", "rate", "value", "baseline", "difference", "95 % interval"]
    head += ["pairs", "p", "corrected p", "verdict"]
    body: list[list[Content]] = []
    for row in rows:
        start: list[Content] = [row.label, arm_name(row.arm, palette), row.rate]
        numbers = [row.value, row.baseline_value, row.difference, row.interval, row.pairs, row.p_value, row.p_adjusted]
        body.append([*start, *numbers, badge(row.verdict)])
    return table(caption, head, body, words=(0, 1, 10), remarks=[row.reason for row in rows])


def _rate_table(records: Records) -> str:
    """One row per rate, one column per arm: the mean score and diverged runs; chosen rates are marked."""
    metric = rate_metric(records.task)
    rows = grid_rows(records.summary)
    scale = value_scale(metric, [row[f"{metric}_mean"] for row in rows])
    is_tuned = records.summary["rates"]["mode"] == "tuned"
    chosen = records.summary["rates"]["chosen"] if is_tuned else {}
    cells: dict[tuple[str, float], Content] = {}
    for row in rows:
        mean, spread = scale.number(row[f"{metric}_mean"]), scale.number(row[f"{metric}_sd"])
        words = text(mean if MISSING in (mean, spread) else f"{mean} ± {spread}")
        if chosen.get(row["arm"]) == row["rate"]:
            words = f"<strong>{words} (chosen)</strong>"
        if row["diverged"]:
            words += f"<small>{row['diverged']} of {row['runs']} diverged</small>"
        cells[row["arm"], row["rate"]] = Html(words)
    rates = sorted({row["rate"] for row in rows})
    body: list[list[Content]] = [
        [shown_rate(rate), *(cells.get((arm, rate), MISSING) for arm in records.arms)] for rate in rates
    ]
    palette = colours(records.arms)
    caption = (
        f"{_capital(_with_unit(label_of(metric), scale.unit))}, mean ± standard deviation over seeds, at each rate."
    )
    return table(caption, ["learning rate", *(arm_name(arm, palette) for arm in records.arms)], body, words=())


def _edges(records: Records) -> list[str]:
    rates = records.summary["rates"]
    if rates["mode"] != "tuned":
        return []
    at_edge = [arm for arm in records.arms if rates["at_edge"].get(arm)]
    if not at_edge:
        return []
    where = listed([f"{arm} ({shown_rate(rates['chosen'][arm])})" for arm in at_edge])
    return [
        f"The chosen rate lies at the edge of the grid for {where}: a better rate may lie beyond, so the comparison "
        "may be unfair."
    ]


def _unstable(records: Records) -> list[str]:
    """Warn where every rate of the grid diverged, so that the chosen one did too."""
    chosen = records.rates if records.summary["rates"]["mode"] == "tuned" else {}
    lost = [
        f"{row['diverged']} of {row['runs']} tuning runs of {row['arm']}"
        for row in grid_rows(records.summary)
        if row["diverged"] and chosen.get(row["arm"]) == row["rate"]
    ]
    return [f"No rate of the grid was free of divergence: {listed(lost)} diverged at the chosen one."] if lost else []


def _divergence(records: Records) -> list[str]:
    lost = [
        f"{row['diverged']} of {row['runs']} runs of {arm}"
        for arm, row in shown_rows(records.summary).items()
        if row["diverged"]
    ]
    return [f"Diverged: {listed(lost)}. They are kept and count in every comparison."] if lost else []


def _correction(summary: dict[str, Any], rate: float | str) -> str:
    name = next((row["correction"] for row in summary["comparisons"] if row["rate"] == rate), "none")
    names = {
        "holm": "confirmatory, corrected by Holm’s method",
        "benjamini-hochberg": "exploratory, corrected by Benjamini and Hochberg’s method",
        "none": "not corrected",
    }
    return names[name]


def _with_unit(label: str, unit: str) -> str:
    return f"{label}, {unit}" if unit else label


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]

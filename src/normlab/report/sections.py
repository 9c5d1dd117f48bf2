"""The page's sections of results: answer, curves, final scores, verdicts, discussion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from normlab.report.cautions import divergence, edges, unstable
from normlab.report.comparison_table import capital, comparison_table, with_unit
from normlab.report.discussion import topics
from normlab.report.elements import Content, Html, arm_name, badge, figure, note, paragraph, section, table
from normlab.report.figures import curve_figures, pair_figure
from normlab.report.in_pairs import divergence_table
from normlab.report.markup import text
from normlab.report.palette import colours
from normlab.report.quantities import MISSING, counted, label_of, listed, per_arm, shown_rate, value_scale
from normlab.report.records import deployed, recomputed, shown_comparisons, shown_rows
from normlab.report.running_statistics import answer, unsettled_notes
from normlab.report.setting import confounding
from normlab.report.stopping import reach_notes, stopping_notes
from normlab.report.table import comparison_rows, omitted_words, undecidable
from normlab.report.words import interval_title, ranking, rate_words

if TYPE_CHECKING:
    from normlab.report.records import Records

# A table longer than this is folded away.
_LONG = 12


def answer_section(records: Records) -> str:
    """Return the verdict on the primary metric in one sentence per arm, then all verdicts at that rate in short."""
    summary = records.summary
    primary = summary["primary"]
    answers = shown_comparisons(summary, primary["metric"])
    order = ranking(answers)
    shown = [row for row in deployed(summary) if row["rate"] == primary["rate"]]
    return section(
        "answer",
        "Answer",
        "\n".join(
            f'<p class="answer">{badge(row["verdict"]).source} {text(answer(summary, row))}</p>' for row in answers
        ),
        paragraph(order) if order else "",
        _matrix(
            records,
            shown,
            f"All verdicts against {summary['baseline']}, {rate_words(primary['rate'])}.",
        ),
        note(
            [
                *reach_notes(summary),
                *stopping_notes(summary),
                *unsettled_notes(summary),
                *confounding(records),
                *edges(records),
                *unstable(records),
                *divergence(records),
            ]
        ),
        figure(pair_figure(records), records.arms),
    )


def curves_section(records: Records) -> str:
    """Return loss and accuracy over epochs and over seconds."""
    where = per_arm({arm: shown_rate(rate) for arm, rate in records.rates.items()})
    opening = paragraph(f"The runs reported on. Learning rate: {where}.")
    return section("curves", "Curves", opening, *(figure(one, records.arms) for one in curve_figures(records)))


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
    head: list[Content] = ["arm", *(with_unit(label_of(name), scales[name].unit) for name in names)]
    time_unit = cost_scales["seconds_per_epoch"].unit
    head += [with_unit("time per epoch", time_unit), "parameters"]
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
    """Return every comparison: at the rate of the primary one, then at each shared rate, then divergences in pairs."""
    summary = records.summary
    rate = summary["primary"]["rate"]
    omitted = [row for row in deployed(summary) if undecidable(summary, row)]
    first = [row for row in deployed(summary) if row["rate"] == rate and row not in omitted]
    others = [row for row in deployed(summary) if row["rate"] != rate and row not in omitted]
    remark = (
        "Intervals and pairs are of the difference, arm minus baseline. Reasons give accuracies as fractions: 0.01 is "
        "one point."
    )
    parts = [
        paragraph(remark, "soft"),
        comparison_table(records, first, f"{capital(rate_words(rate))}: {_correction(summary, rate)}."),
    ]
    if second := recomputed(summary):
        caption = (
            "With statistics recomputed over the training part, which tells what was learned from the lag of running "
            "statistics: exploratory, corrected by Benjamini and Hochberg’s method."
        )
        parts.append(comparison_table(records, second, caption))
    for metric in dict.fromkeys(row["metric"] for row in others):
        chosen = [row for row in others if row["metric"] == metric]
        label = chosen[0]["label"]
        inner = comparison_table(
            records, chosen, f"{capital(label)} at shared rates: {_correction(summary, chosen[0]['rate'])}."
        )
        is_open = " open" if len(others) <= _LONG else ""
        title = f"{capital(label)} at each shared rate ({counted(len(chosen), 'comparison')})"
        parts.append(f"<details{is_open}><summary>{text(title)}</summary>{inner}</details>")
    if omitted:
        inner = comparison_table(records, omitted, "Too few pairs for any verdict but equivalence, which did not show.")
        title = text(f"Left out above: {omitted_words(len(omitted))}")
        parts.append(f"<details><summary>{title}</summary>{inner}</details>")
    return section("verdicts", "Verdicts", *parts, divergence_table(records))


def discussion_section(records: Records) -> str:
    """Return the discussion, topic by topic."""
    parts = []
    for title, sentences in topics(records).items():
        parts.append(f"<h3>{text(title)}</h3>")
        parts.append(paragraph(" ".join(sentences)))
    return section("discussion", "Discussion", *parts)


def _matrix(records: Records, comparisons: list[dict[str, Any]], caption: str) -> str:
    """One row per arm, one column per metric: verdict, difference, interval."""
    rows, title = comparison_rows(comparisons), interval_title(comparisons)
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
    beside = {"95 % interval": "its 95 % interval", "each pair": "that of each pair"}
    caption += f" Below each verdict: the difference, and {beside.get(title, 'its interval, or that of each pair')}."
    return table(
        caption, ["arm", *(labels[metric] for metric in metrics)], body, words=range(len(metrics) + 1), name="matrix"
    )


def _correction(summary: dict[str, Any], rate: float | str) -> str:
    """Say which comparisons at a rate are confirmatory, and how each family is corrected."""
    names = {
        "holm": "confirmatory, corrected by Holm’s method",
        "bonferroni": "confirmatory, by a confidence sequence that is right at every look",
        "benjamini-hochberg": "exploratory, corrected by Benjamini and Hochberg’s method",
    }
    metrics: dict[str, list[str]] = {}
    for row in deployed(summary):
        if row["rate"] == rate and row["label"] not in metrics.setdefault(row["correction"], []):
            metrics[row["correction"]].append(row["label"])
    if len(metrics) == 1:
        return names[next(iter(metrics))]
    return "; ".join(f"{listed(labels)} {names[correction]}" for correction, labels in metrics.items())

"""The page's section on what was compared, and how: data, network, arms, pairs, rates, target, machine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from normlab.report.cautions import open_rates
from normlab.report.elements import Content, Html, arm_name, definitions, note, section, table
from normlab.report.in_pairs import saving_sentences
from normlab.report.markup import text
from normlab.report.own_model import own_model
from normlab.report.palette import colours
from normlab.report.quantities import counted, difference_scale, label_of, listed, per_arm, shown, shown_rate
from normlab.report.records import deployed, shown_rows
from normlab.report.stopping import seeds_words

if TYPE_CHECKING:
    from normlab.report.records import Records


def setting_section(records: Records) -> str:
    """Return the section."""
    return section(
        "setting",
        "What was compared, and how",
        _arms_table(records),
        note(confounding(records)),
        definitions([*_experiment(records), *_fairness(records), *_origin(records)]),
    )


def confounding(records: Records) -> list[str]:
    """Return a warning for each arm that departs from the baseline in more than its norm."""
    baseline, *others = records.arms
    settings = _settings(records)
    found = []
    for arm in others:
        differing = [
            name.replace("_", " ")
            for name in records.study["study"]["network"]
            if settings[arm][name] != settings[baseline][name]
        ]
        if differing:
            found.append(
                f"{arm} differs from {baseline} not only in its norm but also in {listed(differing)}: a difference "
                "between them cannot be put down to the norm alone."
            )
    return found


def _settings(records: Records) -> dict[str, dict[str, Any]]:
    """Norm and network options of every arm, its own in place of the study's."""
    study = records.study["study"]
    settings = {}
    for arm in study["arms"]:
        own = {name: value for name, value in arm.items() if name != "name" and value is not None}
        settings[arm["name"]] = {"norm": arm["norm"], **study["network"], **own}
    return settings


def _arms_table(records: Records) -> str:
    palette, settings = colours(records.arms), _settings(records)
    sizes = shown_rows(records.summary)
    rows: list[list[Content]] = []
    for arm in records.arms:
        row = sizes.get(arm, {})
        role = "baseline" if arm == records.arms[0] else ""
        own = settings[arm]
        study = records.study["study"]["network"]
        departs = [f"{name.replace('_', ' ')} {_option(own[name])}" for name in study if own[name] != study[name]]
        diverged, runs = row.get("diverged"), row.get("runs")
        rows.append(
            [
                arm_name(arm, palette),
                own["norm"],
                "; ".join(departs) or "nothing",
                role or f"against {records.arms[0]}",
                shown("num_parameters", row.get("num_parameters")),
                shown_rate(records.rates[arm]) if arm in records.rates else "",
                f"{diverged} of {runs}" if runs is not None else "",
            ]
        )
    head = ["arm", "norm", "departs from the study in", "role", "parameters", "learning rate", "runs diverged"]
    return table("The arms, and the runs reported on.", head, rows, words=(0, 1, 2, 3))


def _experiment(records: Records) -> list[tuple[str, Content]]:
    study, data = records.study["study"], records.study["data"]
    counts = data["counts"]
    parts = ", ".join(f"{number:,} {'training' if name == 'train' else name}" for name, number in counts.items())
    sentences = "".join(f"<p>{text(line)}</p>" for line in [*data["description"], *data.get("notes", [])])
    shape = " × ".join(str(size) for size in data["input_shape"])
    kind = f"{len(data['classes'])} classes" if data.get("classes") else str(data["task"])
    steps = -(-int(counts["train"]) // int(study["batch_size"]))
    found: list[tuple[str, Content]] = [
        ("Data", Html(f"<p><strong>{text(data['name'])}</strong>: inputs {text(shape)}, {text(kind)}</p>{sentences}")),
        ("Samples", parts),
    ]
    own = own_model(records.study)
    if own:
        found.append(("Network", Html("".join(f"<p>{text(sentence)}</p>" for sentence in own))))
    else:
        options = "; ".join(f"{name.replace('_', ' ')} {_option(value)}" for name, value in study["network"].items())
        found.append(("Network", f"{study['model']}: {options}"))
    found.append(
        (
            "Training",
            f"{study['optimizer']}, batches of {study['batch_size']}, {counted(study['epochs'], 'epoch')} of "
            f"{counted(steps, 'step')}, new order of the samples every epoch{_departures(study)}",
        )
    )
    return found


def _departures(study: Mapping[str, Any]) -> str:
    """Say what else training did, where the study departs from plain steps at a constant rate; begins with a break."""
    found = []
    if study["schedule"] != "constant":
        found.append(f"{study['schedule']} schedule of the learning rate")
    if study["warmup"]:
        found.append(f"warm-up over {study['warmup']:g} of {study['epochs']} epochs")
    if study["label_smoothing"]:
        found.append(f"label smoothing {study['label_smoothing']:g}, which no loss shown contains")
    if study["augment"] != "none":
        found.append(f"training images augmented by {study['augment']}")
    return "".join(f"; {part}" for part in found)


def _fairness(records: Records) -> list[tuple[str, Content]]:
    summary = records.summary
    pairing, rates, target = summary["pairing"], summary["rates"], summary["target"]
    checks = (
        "The hashes are of what was on the devices before the first step, and of the orders handed over in each epoch."
        if pairing["initial_values_equal"] and pairing["orders_equal"]
        else "The hashes of initial values or orders are NOT all equal, so the pairs are not exact."
    )
    grid = ", ".join(shown_rate(rate) for rate in rates["grid"])
    if rates["mode"] == "tuned":
        chosen = per_arm({arm: shown_rate(rates["chosen"][arm]) for arm in records.arms})
        how = (
            f"Every arm was trained at {grid} with the same {counted(len(rates['tuning_seeds']), 'tuning seed')}. "
            f"Chosen: {rates['rule']}. Result: {chosen}."
        )
        beyond = [shown_rate(rate) for rate in rates.get("beyond", ())]
        how += f" Added to the grid, since a best rate lay at its edge: {listed(beyond)}." if beyond else ""
        how += "".join(f" {sentence}" for sentence in open_rates(summary))
    else:
        how = f"Given beforehand and shared by all arms: {grid}."
    primary = summary["primary"]
    margins = [
        _margin(row) for row in deployed(summary) if row["rate"] == primary["rate"] and row["arm"] == primary["arm"]
    ]
    rule = f" ({target['rule']})"
    saving = saving_sentences(summary)
    return [
        ("Pairs", f"{pairing['statement']} {checks}"),
        *([("What pairing saves", " ".join(saving))] if saving else []),
        ("Learning rates", how),
        (
            "Seeds reported on",
            f"{seeds_words(summary)}{', none of them used for tuning' if rates['mode'] == 'tuned' else ''}",
        ),
        (
            "Primary comparison",
            f"{label_of(primary['metric'])} of {primary['arm']} against {summary['baseline']}, fixed "
            "before the data were seen",
        ),
        ("Target", f"{label_of(target['metric'])} of {shown(target['metric'], target['value'])}{rule}"),
        ("Margin", f"differences below {listed(margins)} count as negligible"),
    ]


def _origin(records: Records) -> list[tuple[str, Content]]:
    study, timing = records.study, records.summary["timing"]
    machine = "; ".join(_part(name, value) for name, value in study["machine"].items())
    versions = ", ".join(f"{name} {version}" for name, version in study["versions"].items())
    took = (
        f"{counted(timing['runs'], 'run')}; the last start took {shown('seconds', timing['total_seconds'])}, of which "
        f"{shown('seconds', timing['compile_seconds'])} compiling; {counted(timing['devices'], 'device')}, runs laid "
        f"out by {timing['layout']}"
    )
    return [
        ("Run", f"{took}. Started {_moment(study['started'])}."),
        ("Machine", machine),
        ("Versions", f"normlab {study['normlab']}, {versions}"),
        ("Code", Html(f"<code>{text(str(study['code_sha256'])[:16])}</code> (start of its SHA-256)")),
    ]


def _part(name: str, value: Any) -> str:
    if name.endswith("_gigabytes") and value is not None:
        return f"{name.removesuffix('_gigabytes').replace('_', ' ')} {value:g} GB"
    return f"{name.replace('_', ' ')} {_option(value)}"


def _moment(started: str) -> str:
    """An ISO 8601 moment to the minute; as it is where it is none."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".rstrip()


def _margin(comparison: Mapping[str, Any]) -> str:
    metric = comparison["metric"]
    size = difference_scale(metric, [comparison["margin"]]).quantity(comparison["margin"])
    endings = {"epochs_to_target": "to the target", "steps_to_target": "to the target", "seconds_per_step": "per step"}
    return f"{size} {endings.get(metric, f'of {label_of(metric)}')}"


def _option(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_counts(value).values()) or "none"
    return "unknown" if value is None else str(value)


def _counts(values: Any) -> Mapping[str, str]:
    """Equal neighbours of a list once, with how often: `2 × cpu`; numbers stay as they are."""
    if any(not isinstance(value, str) for value in values):
        return {str(index): str(value) for index, value in enumerate(values)}
    return {value: f"{values.count(value)} × {value}" if values.count(value) > 1 else value for value in values}

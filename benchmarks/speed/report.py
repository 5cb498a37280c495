"""The main measurement as Markdown, made from its JSON alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.speed.comparison import BOUND, geometric_mean, spread
from benchmarks.speed.contestants import CONTESTANTS
from benchmarks.speed.derived import (
    LADDER_EPOCHS,
    against,
    cold,
    compile_seconds,
    find,
    peak_rate,
    rates,
    share_of_peak,
)
from benchmarks.speed.markdown import NONE, megabytes, percent, ranged, ratio, seconds, table
from benchmarks.speed.rounds import SLOW_SECONDS
from benchmarks.speed.work import RATE_SCALE
from benchmarks.speed.worker import LOWER, TRAINING

Run = Mapping[str, Any]
"""A JSON file: what was measured, and on what."""


def speed_report(run: Run) -> str:
    """Return what was done, all tables, and what went wrong."""
    peaks = [rates for model in run["models"].values() for rates in model["peak"]]
    said = (heading(run), peak(run, peaks), method(run))
    tables = (warm_table(run), means(run), cold_table(run), other_table(run))
    return "\n\n".join([*said, *tables, *filter(None, [trouble(run)])])


def heading(run: Run) -> str:
    """Return where, when and on what the figures were measured."""
    machine, versions = run["machine"], run["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "jax", "torch", "numpy"))
    accelerator = "" if on_cpu(run) else f", {run['device_name']}"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GB{accelerator}; "
        f"{packages}; commit {run['commit']}, {run['date'][:10]}; load {run['load']:.1f} before the run, which took "
        f"{run['seconds'] / 60:.0f} min."
    )


def on_cpu(run: Run) -> bool:
    """Tell whether the JAX engine ran on the CPU."""
    return run["arguments"]["device"] == "cpu"


def peak(run: Run, peaks: Sequence[Mapping[str, float]]) -> str:
    """Return the machine's peak, from the rates of all rounds."""
    rounds = [peak_rate(rates) / 1e9 for rates in peaks]
    if not on_cpu(run):
        lower = [rates[f"jax, {LOWER}"] / 1e9 for rates in peaks]
        return (
            f"Peak of {run['device_name']}: {ranged(spread(rounds), 0)} GFLOP/s in a float32 product of "
            f"{run['peak_size']} x {run['peak_size']} by jax at precision `{TRAINING}`, with which the engine trains, "
            f"and {ranged(spread(lower), 0)} at `{LOWER}`, which may round to TF32; a share of the peak is one of the "
            f"highest of `{TRAINING}`."
        )
    return (
        f"Peak: {ranged(spread(rounds), 0)} GFLOP/s in a float32 product of {run['peak_size']} x {run['peak_size']} on "
        "all cores, the best of NumPy, torch and jax in each round; a share of it is one of the highest."
    )


def method(run: Run) -> str:
    """Return how the contestants are compared, and who they are."""
    asked = run["arguments"]
    said = (
        f"A sample is {asked['epochs']} epochs of {asked['n_samples']} rows in batches of 128, with the losses on test "
        "and the attention scores on train after each. All have the same data, batches and initial weights, at "
        f"{RATE_SCALE:g} of the ladder's learning rates, so that losses can be compared: the largest difference "
        f"between any two contestants' losses, of any member after any epoch, was {largest_difference(run):.1e} nats "
        f"(allowed: {BOUND:.0e}). In each of {asked['repeats']} rounds every contestant, in a process of its own, is "
        f"sampled in turn (in every other round if a sample takes above {SLOW_SECONDS:.0f} s). Ratios are between "
        "samples of one round: median (range over the rounds). What takes members one after the other is measured with "
        "one, and its rate stands for any number."
    )
    if not on_cpu(run):
        said += " Torch runs on the processor, `eager` on one thread."
    return "\n".join([said, "", *(f"- `{name}`: {CONTESTANTS[name]}" for name in asked["contestants"])])


def largest_difference(run: Run) -> float:
    """Return how far apart any two losses of one model were."""
    return max(result["disagreement"] for model in run["models"].values() for result in model["contestants"])


def others(run: Run) -> list[str]:
    """Return the contestants that the JAX engine is compared to."""
    return [name for name in run["arguments"]["contestants"] if name != "jax"]


def jax_results(run: Run) -> Iterator[tuple[str, int, Any, Any]]:
    """Yield (model's name, members, model, the JAX engine's result), those that ran."""
    for name, model in run["models"].items():
        for members in run["arguments"]["members"]:
            result = find(model, "jax", members)
            if result is not None:
                yield name, members, model, result


def warm_table(run: Run) -> str:
    """Return member-steps per second by model and members, ratios to the others, shares of the peak, memory."""
    rows = []
    for name, members, model, result in jax_results(run):
        rate = spread(rates(model, result).values()).median
        shares = [percent(share_of_peak(model, result, run, evaluation).median) for evaluation in (False, True)]
        compared = [ratio(against(model, result, other)) for other in others(run)]
        memory = megabytes(result["peak_bytes"])
        rows.append([name, str(members), result["how"], f"{rate:,.0f}", *compared, *shares, memory])
    head = ["model", "members", "runs by", "member-steps/s", *(f"over {name}" for name in others(run))]
    head += ["of peak", "with evaluation", "memory"]
    said = (
        "**Warm.** The JAX engine's member-steps per second, and how many times the others' they are. The share of the "
        "peak counts the matrix products of the steps, forward and backward; the next column those after each epoch "
        "too."
    )
    return f"{said}\n\n{table(head, rows)}"


def means(run: Run) -> str:
    """Return the geometric means over the models of the warm ratios, with the lowest."""
    clocks = {f"over {name}": (name, "seconds") for name in others(run)}
    if on_cpu(run) and "eager" in others(run):
        clocks["over eager, by processor time"] = "eager", "cpu_seconds"
    rows = []
    for members in run["arguments"]["members"]:
        row = [str(members)]
        for other, clock in clocks.values():
            found = [against(model, one, other, clock) for _, n, model, one in jax_results(run) if n == members]
            medians = [values.median for values in found if values is not None]
            row.append(f"{geometric_mean(medians):.1f}, lowest {min(medians):.2f}" if medians else NONE)
        rows.append(row)
    said = "Geometric means over the models. The JAX engine uses all cores, `eager` and `original` one:"
    return f"{said}\n\n" + table(["members", *clocks], rows)


def cold_table(run: Run) -> str:
    """Return compile seconds, seconds to the first chunk, and a whole cell from nothing against the others."""
    epochs = run["arguments"]["epochs"]
    rivals = [name for name in ("eager", "compiled") if name in others(run)]
    rows = []
    for name, members, model, result in jax_results(run):
        ours, start = cold(result, members, epochs), result["start"]
        row = [name, str(members), seconds(compile_seconds(result)), seconds(ours.start)]
        row += [seconds(start.get("cached_compile")), seconds(start.get("cached")), seconds(ours.cell)]
        for rival in rivals:
            other = find(model, rival, members)
            cell = cold(other, members, epochs).cell if other else None
            row += [seconds(cell), f"{cell / ours.cell:.1f}" if cell else NONE]
        rows.append(row)
    head = ["model", "members", "compile", "first chunk", "compile, cached", "first chunk, cached", "cell"]
    head += [title for rival in rivals for title in (f"{rival}'s cell", "ratio")]
    total = sum(compile_seconds(result) or 0.0 for _, members, _, result in jax_results(run) if members == 1)
    said = (
        "**Cold.** From the start of a process, with an empty compilation cache, to the end of its first chunk: "
        f"measured once. A cell of {LADDER_EPOCHS} epochs is that plus the rest at the warm rate (calculated). With "
        f"one member the models compile in {total:.1f} s together."
    )
    if not on_cpu(run):
        said += (
            f" A model's JAX contestants were started side by side on {run['machine']['cores']} cores, so that their "
            "compile and first-chunk times are upper bounds; then torch's, alone."
        )
    return f"{said}\n\n{table(head, rows)}"


def other_table(run: Run) -> str:
    """Return what was chosen for the others, their own rates, memory and compile time."""
    rows = [
        [
            name,
            f"{result['contestant']} x {result['members']}",
            result["how"],
            f"{spread(rates(model, result).values()).median:,.0f}",
            megabytes(result["peak_bytes"]),
            seconds(result["start"]["cold"]),
            seconds(compile_seconds(result)),
        ]
        for name, model in run["models"].items()
        for result in model["contestants"]
        if result["contestant"] != "jax" and result["samples"]
    ]
    head = ["model", "contestant", "setting", "member-steps/s", "memory", "first chunk, cold", "compile"]
    return "**The others.**\n\n" + table(head, rows)


def trouble(run: Run) -> str:
    """Return who could not run, and who did other work; empty where all is well."""
    models = run["models"].items()
    lines = [f"- {name}, {who} could not run: {why}" for name, model in models for who, why in model["not_run"].items()]
    return "\n".join(lines + [f"- NOT THE SAME WORK: {fault}" for fault in run["faults"]])

"""What a user is told of settings that have no effect, or that do one thing twice."""

from collections.abc import Callable, Sequence

from hw2.config.rules import WITH_EPSILON, WITH_MOMENTUM
from hw2.config.settings import FIELDS, Config, line

# A setting, others, a test of these by which the first has no effect, and why, in words.
IDLE: Sequence[tuple[str, tuple[str, ...], Callable[..., bool], str]] = (
    ("max_steps", ("epochs",), lambda epochs: epochs > 0, "--epochs says when training ends"),
    (  # the flagfile of a run holds what these two become, used or not
        "momentum",
        ("optimizer", "momentum"),
        lambda name, value: name not in WITH_MOMENTUM and value != 0.9,
        f"it is of {', '.join(WITH_MOMENTUM)}",
    ),
    (
        "epsilon",
        ("optimizer", "epsilon"),
        lambda name, value: name not in WITH_EPSILON and value != 0,
        f"it is of {', '.join(WITH_EPSILON)}",
    ),
    ("rate_factor", ("schedule",), lambda name: name != "steps", "it is of --schedule=steps"),
    ("focal_gamma", ("loss",), lambda name: name != "focal", "it is of --loss=focal"),
    (
        "halve_after",
        ("halve_after", "stop_after"),
        lambda halve, stop: halve >= stop > 0,
        "--stop_after comes first",
    ),
)
# Settings, a test of their values by which they do the same thing, and that in words.
DOUBLED: Sequence[tuple[tuple[str, ...], Callable[..., bool], str]] = (
    (
        ("l2", "weight_decay"),
        lambda l2, decay: l2 > 0 and decay > 0,
        "both shrink weights; 0 switches one off",
    ),
    (
        ("schedule", "halve_after"),
        lambda schedule, halve: schedule != "constant" and halve > 0,
        "both lower the rate; --halve_after=0 leaves it to the schedule",
    ),
    (
        ("class_weights", "sampling"),
        lambda weights, sampling: weights == sampling == "balanced",
        "both make up for rare classes, which then count twice over; leave one out",
    ),
)


def notes(given: Config, settled: Config) -> list[str]:
    """Says which settings have no effect beside others, and which two do the same thing.

    Args:
      given: The settings as a user gave them.
      settled: The same, with values for those that were left open.
    """
    found = []
    for name, others, idle, why in IDLE:
        value = getattr(given, name)
        if value != FIELDS[name].default and idle(*(getattr(settled, other) for other in others)):
            found.append(f"{line(name, value)} has no effect: {why}")
    for names, both, words in DOUBLED:
        values = [getattr(settled, name) for name in names]
        if both(*values):
            found.append(f"{' and '.join(map(line, names, values))}: {words}")
    return found

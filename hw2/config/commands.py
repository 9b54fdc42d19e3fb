"""The settings of what comes after training: evaluation, prediction and export."""

import dataclasses

from hw2.config.choices import DATA_SETS, EXPORTS, FORMS, PARTS, REJECT_BY, TTA
from hw2.config.fields import one_command, setting
from hw2.config.rules import REJECTION, SHARE, at_least, one_of


@dataclasses.dataclass(frozen=True)
class Commands:
    """The settings of what comes after training: evaluation, prediction and export."""

    checkpoint_dir: str = one_command(
        "", "run folder to evaluate; empty for log_path", group="Evaluation", path=()
    )
    eval_dir: str = one_command("", "folder of results; empty for eval/ in the run", path=())
    num_examples: int = setting(0, "images to evaluate; 0 for all", at_least(0))
    top_k: int = setting(5, "k of the top-k accuracy", at_least(1))
    run_once: bool = setting(True, "--norun_once evaluates each new checkpoint")
    eval_interval_secs: int = setting(60, "seconds between checks for a new one", at_least(1))
    weights: str = setting("ema", "ema (averaged) or raw", one_of("ema", "raw"))
    tta: str = one_command("none", "none, flip or four_flips: mirror images too", one_of(*TTA))
    # "auto" is the best, or each new one with --norun_once.
    checkpoint: str = setting("auto", "best, last or auto", one_of("auto", "best", "last"))
    reject_below: str = one_command("", "a probability, error:0.01 or coverage:0.9", REJECTION)
    reject_by: str = one_command(
        "probability", "reject by probability or distance", one_of(*REJECT_BY)
    )
    unknown_data: str = one_command(
        "", "folder of images of no class, to be rejected", path=DATA_SETS
    )

    data: str = one_command(
        "", "images to classify, labelled or not", group="Prediction", path=DATA_SETS
    )
    output: str = one_command("", "file or folder to write; predict: - is stdout", path=("-",))
    explain: str = one_command("", "new folder for heat maps of the answers", path=())
    form: str = one_command("auto", "csv or jsonl; auto: by the ending", one_of(*FORMS))
    header: str = one_command("", "columns of a competition, as id,class")
    ids: str = one_command(
        "name", "image ids: name, stem or number", one_of("name", "stem", "number")
    )
    answer: str = one_command("name", "classes by name or number", one_of("name", "number"))
    threshold: float = one_command(0.0, "of every label; 0: chosen on validation", SHARE)
    raw: bool = one_command(False, "CSV cells as they are, even =1+1")
    part: str = one_command("test", "which part, if the data has several", one_of(*PARTS))
    overwrite: bool = one_command(False, "replace an existing output")

    format: str = one_command("saved_model", ", ".join(EXPORTS), one_of(*EXPORTS), "Export")
    int8: bool = one_command(False, "8-bit integers, for litert")

    section: str = one_command("", "sections of the flagfile; the last one wins", group="Other")
    debug: bool = one_command(False, "show the traceback of an error")

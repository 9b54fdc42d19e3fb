"""The spec of a training: what must not change within a run, and what rebuilds its model.

Each checkpoint records it as plain JSON, so that evaluation and prediction build the same model
and preprocess pictures exactly as training did.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from hw2.config.rules import SGD, numbers_of
from hw2.config.settings import FIELDS, MODEL_OPTIONS, Config
from hw2.errors import RunError, UsageError
from hw2.input.examples import Examples
from hw2.input.files import levels
from hw2.input.transforms.preprocess import STATISTICS, Preprocessing
from hw2.jobs import freezing, pretrained
from hw2.layers import depth, norm
from hw2.layers.initializers import sizes_only
from hw2.models import MODELS
from hw2.models.pretrained import IMAGENET, NONE
from hw2.runs.checkpoints import Checkpoint
from hw2.training.variables import named_variables, trainable

Spec = dict[str, Any]
OF_ALL = ("pretrained", "freeze")  # options of the setting that every model has, see `build_model`


def make_spec(config: Config, examples: Examples, split: Path) -> Spec:
    """Makes the spec of a training.

    Args:
      config: The settings.
      examples: The training data.
      split: The file that assigns each picture to a part.
    """
    return {
        "model": config.model,
        "l2": config.l2,
        "model_options": _model_options(config),
        "class_names": list(examples.class_names),
        "several_labels": examples.several,
        "preprocessing": preprocessing_options(config, examples.channels),
        "scale": levels.plain(examples.scale),
        "split": hashlib.sha256(split.read_bytes()).hexdigest(),
        "validation_fraction": config.validation_fraction,
        "group_by": config.group_by,
        "seed": config.seed,
        "batch_size": config.batch_size,
        "ema_decay": config.ema_decay,
        "sync_batch_norm": config.sync_batch_norm,
        "optimizer": config.optimizer,
        "overfit_batches": config.overfit_batches,
    }


def preprocessing_options(config: Config, channels: int) -> dict[str, Any]:
    """The arguments of `Preprocessing` that the settings describe, as plain JSON.

    With pretrained weights, standardization and channels are those that the weights were trained
    with.

    Args:
      config: The settings.
      channels: How many channels the data has.

    Raises:
      UsageError: The numbers of means and deviations do not fit the channels, or the settings do
        not fit the pretrained weights.
      RunError: The pretrained weights cannot be read.
    """
    fields = {field.name for field in dataclasses.fields(Preprocessing)} - {"mean", "deviation"}
    found = {name: value for name, value in sorted(vars(config).items()) if name in fields}
    found["channels"] = config.channels or channels
    if needed := pretrained.needs(config, _options_taken(config.model)):
        return found | pretrained.preprocessing(config, needed)
    if config.standardize in STATISTICS:
        found |= STATISTICS[config.standardize] | {"standardize": "given"}
    elif config.standardize == "given":
        found |= {name: numbers_of(getattr(config, name)) for name in ("mean", "deviation")}
    for name in ("mean", "deviation"):
        if len(found.get(name, [0])) not in (1, found["channels"]):
            raise UsageError(
                f"--{name} must be 1 number or {found['channels']}, one for each channel that the "
                f"model sees, got {len(found[name])} of --standardize={config.standardize}; "
                "--channels=3 repeats grey pictures"
            )
    return found


def preprocessing(spec: Spec) -> Preprocessing:
    """The preprocessing of a training."""
    return Preprocessing(**spec["preprocessing"])


def image_shape(spec: Spec) -> tuple[int, int, int]:
    """The shape (H, W, C) of the images that the model of a training takes."""
    prepared = preprocessing(spec)
    return prepared.image_size, prepared.image_size, prepared.channels


def build_model(spec: Spec, *, load_pretrained: bool = True) -> tf.Module:
    """Builds the model of a training, with initial weights by its seed.

    Args:
      spec: The spec of the training.
      load_pretrained: False where a checkpoint will set all weights that it holds. Pretrained
        weights are then read only for `inception_resnet_v2` with a frozen base, which no
        checkpoint holds.

    Raises:
      RunError: The file of pretrained weights is missing or has changed.
    """
    make = constructor(spec["model"])
    options = dict(spec.get("model_options", {}))
    name = options.pop("weights", None)
    digest = options.pop("weights_sha256", options.pop("pretrained_sha256", None))
    options.pop("thaw_epoch", None)
    rate = options.pop("stochastic_depth", 0.0)
    if _freeze(spec) is not None:
        options.pop("freeze")
    read = load_pretrained or options.get("freeze")
    if digest and not name and read and _digest(options["pretrained"]) != digest:
        raise _other_weights(options["pretrained"])
    if "pretrained" in options:
        options["load_pretrained"] = load_pretrained
    classes = len(spec["class_names"])
    model = make(image_shape(spec), classes, seed=spec["seed"], l2=spec["l2"], **options)
    if name and load_pretrained:
        weights = pretrained.read(name, spec["model"])
        if weights.sha256 != digest:
            raise _other_weights(name)
        pretrained.assign(model, weights, name, head_variables(spec))
    depth.drop(model, rate)
    if _freeze(spec) is not None:
        variables = named_variables(model)
        norm.freeze(model, [variables[name] for name in frozen_variables(spec, model)])
    return model


def frozen_variables(spec: Spec, model: tf.Module | None = None) -> set[str]:
    """Names the variables of the model that training leaves as they are.

    `inception_resnet_v2` has none where it hides what it freezes.

    Args:
      spec: The spec of the training.
      model: Its model, if there is one already.
    """
    pattern = _freeze(spec)
    if pattern is None:
        return set()
    model = model or build_model(spec, load_pretrained=False)
    if not isinstance(pattern, str):
        return set(trainable(named_variables(model))) - head_variables(spec)
    return freezing.matching(model, pattern)


def _freeze(spec: Spec) -> str | bool | None:
    """The pattern of frozen variables, or True for all but the head's.

    None if nothing is frozen, or if the model's constructor does it.
    """
    freeze = spec.get("model_options", {}).get("freeze", False)
    if isinstance(freeze, str):
        return freeze
    return True if freeze and "freeze" not in _options_taken(spec["model"]) else None


def head_variables(spec: Spec) -> set[str]:
    """Names the variables of the model whose shapes depend on the number of classes."""
    if _freeze(spec) is not None:  # names are the same without
        options = {k: v for k, v in spec["model_options"].items() if k != "freeze"}
        spec = dict(spec, model_options=options)
    more = dict(spec, class_names=[*spec["class_names"], ""])
    return _other_shapes(*(build_model(which, load_pretrained=False) for which in (spec, more)))


def frozen_of(name: str, shape: tuple[int, int, int], classes: int, freeze: str) -> str:
    """Says what `--freeze` would leave as it is in a model by name, without allocating weights.

    Raises:
      UsageError: It matches nothing of the model, or everything.
    """
    make = constructor(name)
    with sizes_only():
        model, other = (make(shape, count, seed=0) for count in (classes, classes + 1))
        frozen = freezing.matching(model, freeze)
        if freeze == "true" and "freeze" in _options_taken(name):
            frozen = freezing.matching(model, "base/")  # what its constructor hides
        elif freeze == "true":
            frozen = set(trainable(named_variables(model))) - _other_shapes(model, other)
        freezing.checked(model, freeze, frozen, name)
        return freezing.summary(model, frozen)


def _other_shapes(model: tf.Module, other: tf.Module) -> set[str]:
    one, two = named_variables(model), named_variables(other)
    return {name for name in one if one[name].shape != two[name].shape}


def constructor(name: str):
    """Finds a model by name.

    Raises:
      UsageError: There is no model of that name.
    """
    if name not in MODELS:
        raise UsageError(f"--model must be one of {', '.join(MODELS)}, got {name!r}")
    return MODELS[name]


def own_l2(name: str) -> float:
    """The L2 penalty that a model has where the settings leave it open: its constructor's default.

    Raises:
      UsageError: There is no model of that name.
    """
    parameter = inspect.signature(constructor(name)).parameters.get("l2")
    return 0.0 if parameter is None or parameter.default is parameter.empty else parameter.default


def check_model(config: Config) -> None:
    """Refuses mistakes in the settings of the model, before anything is read or written.

    Raises:
      UsageError: There is no such model, or it has no such option.
    """
    taken = _options_taken(config.model)
    if config.pretrained != NONE and not pretrained.reads_itself(config.pretrained, taken):
        keras = [model for model in MODELS if "pretrained" in _options_taken(model)]
        pretrained.check(config.pretrained, config.model, keras)
    for name in MODEL_OPTIONS:
        value = getattr(config, name)
        if name not in (*taken, *OF_ALL) and value != FIELDS[name].default:
            others = [model for model in MODELS if name in _options_taken(model)]
            raise UsageError(
                f"--{name} must go with {', '.join(others)}, got {value!r} for "
                f"--model={config.model}"
            )
    if config.thaw_epoch and config.freeze == "true" and "freeze" in taken:
        raise UsageError(
            f"--thaw_epoch must go with --freeze=base for --model={config.model}, got --freeze, "
            "which leaves out of the training what it freezes"
        )
    _check_layers(config)
    if config.pretrained != NONE and (
        config.stem != FIELDS["stem"].default or config.resnet_d or config.zero_gamma
    ):
        raise UsageError(
            "--pretrained weights must go with --stem=imagenet, --noresnet_d and --nozero_gamma, "
            f"got {config.stem}, {config.resnet_d} and {config.zero_gamma}"
        )


def _check_layers(config: Config) -> None:
    """Refuses to freeze nothing or everything, and stochastic depth without residual blocks."""
    has_pattern = config.freeze not in ("true", "false")
    if not has_pattern and not config.stochastic_depth:
        return
    side = config.image_size
    options = {n: getattr(config, n) for n in _options_taken(config.model)}
    options |= {"freeze": False} if "freeze" in options else {}
    options |= {"pretrained": NONE} if "pretrained" in options else {}
    with sizes_only():
        model = constructor(config.model)((side, side, 3), 10, seed=0, **options)
        frozen = freezing.matching(model, config.freeze)
    if has_pattern:
        freezing.checked(model, config.freeze, frozen, config.model)
    if config.stochastic_depth and not depth.blocks(model):
        raise UsageError(
            "--stochastic_depth must go with a model of residual blocks, as resnet18, resnet9 or "
            f"efficientnet_lite0, got --model={config.model}"
        )


def check_momentum(config: Config, found: Checkpoint) -> None:
    """Refuses to resume SGD with momentum without it, or the other way.

    With momentum a checkpoint holds a velocity for each weight, and without it none.

    Raises:
      RunError: The one has momentum, and the other none.
    """
    before = found.state["settings"].get("momentum", config.momentum)
    if config.optimizer in SGD and bool(before) != bool(config.momentum):
        raise RunError(
            f"another training in {found.path.parents[1]} - --momentum was {before}, is "
            f"{config.momentum}, and only with momentum is there a velocity to go on with; give "
            f"--momentum={before}, or a new --log_path"
        )


def _options_taken(name: str) -> set[str]:
    """The options that a model's constructor takes."""
    return set(inspect.signature(constructor(name)).parameters) & set(MODEL_OPTIONS)


def _model_options(config: Config) -> dict[str, Any]:
    """The options of the model; weights are given by name or absolute path, and by their hash."""
    taken = _options_taken(config.model)
    options = {name: getattr(config, name) for name in sorted(taken)}
    freeze = {"true": True, "false": False}.get(config.freeze, config.freeze)
    if freeze or "freeze" in options:
        options["freeze"] = freeze
    for name in ("thaw_epoch", "stochastic_depth"):
        if getattr(config, name):
            options[name] = getattr(config, name)
    if config.pretrained in (NONE, IMAGENET) and "pretrained" in taken:
        return options
    if config.pretrained != NONE and pretrained.reads_itself(config.pretrained, taken):
        path = os.path.abspath(options["pretrained"])
        return options | {"pretrained": path, "pretrained_sha256": _digest(path)}
    if config.pretrained != NONE:
        options |= {"pretrained": NONE} if "pretrained" in taken else {}
        name = pretrained.name_of(config.pretrained, config.model)
        weights = pretrained.read(name, config.model, tensors=False)
        options |= {"weights": name, "weights_sha256": weights.sha256}
    return options


def _other_weights(path: str) -> RunError:
    return RunError(
        f"other weights in {path} - not the file that training began with; put that back"
    )


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise RunError(
            f"no weights in {path} - {(error.strerror or str(error)).lower()}; give a file of "
            "Keras's weights, imagenet or none as --pretrained"
        ) from error

"""The words that a setting may have, where it has one of a few."""

from hw2.config import presets

# The names in hw2.training, which imports TensorFlow; a test compares them.
LOSSES = ("auto", "cross_entropy", "kl", "binary", "focal")  # auto: by the labels
OPTIMIZERS = ("adagrad", "adam", "adamw", "lion", "rmsprop", "sgd", "sgdw")
SCHEDULES = ("constant", "steps", "cosine", "one_cycle", "inverse_time")

STANDARDS = ("image", "channel", "given", "imagenet", "none")  # what gets mean 0, deviation 1
PRESETS = tuple(presets.PRESETS)
PRECISIONS = ("float32", "mixed_bfloat16")  # of images and products; weights are float32
# Of hw2.ops.conv2d, those that do every shape.
ALGORITHMS = ("auto", "fastest", "tensorflow_ops", "direct", "im2col", "extract_patches", "native")

TRACKERS = ("none", "mlflow", "wandb")
FITS = ("crop", "pad", "stretch")  # how a picture becomes a square
STEMS = ("imagenet", "small")
CLASS_WEIGHTS = ("none", "balanced")  # or a file
SAMPLINGS = ("uniform", "balanced")
# By which a checkpoint is the best. With auto it is the first of those that its labels have.
OF_ONE_LABEL = ("top1", "macro_f1", "balanced_accuracy", "loss")
OF_SEVERAL_LABELS = ("mean_average_precision", "macro_f1", "micro_f1", "loss")
SCORES = ("auto", *dict.fromkeys((*OF_ONE_LABEL, *OF_SEVERAL_LABELS)))
FORMS = ("auto", "csv", "jsonl")  # of the answers
PARTS = ("train", "validation", "test")
# Words that are no path: of hw2.input.sources.builtin, hw2.models.pretrained and
# hw2.models.weights.fetch; a test compares.
DATA_SETS = ("digits", "fashion_mnist")
WEIGHTS = ("none", "imagenet", "squeezenet", "efficientnet_lite0")
TTA = ("none", "flip", "four_flips")  # test-time augmentation
REJECT_BY = ("probability", "distance")
EXPORTS = ("saved_model", "litert", "onnx")

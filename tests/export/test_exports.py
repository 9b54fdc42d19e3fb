"""Exports, loaded where hw2 cannot be imported, say what prediction says."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hw2 import config, prediction
from hw2.errors import RunError, UsageError
from hw2.export import build, lite
from hw2.input import builtin

READ_SAVED_MODEL = """
import sys, json, tensorflow as tf
assert not __import__("importlib").util.find_spec("hw2")
classify = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
found = classify(content=tf.constant([open(name, "rb").read() for name in sys.argv[2:]]))
names = [[name.decode() for name in row] for row in found["class_names"].numpy()]
print(json.dumps([names, found["probabilities"].numpy().tolist()]))
"""
READ_LITE = """
import sys, json, numpy as np, tensorflow as tf
from PIL import Image
assert not __import__("importlib").util.find_spec("hw2")
model = tf.lite.Interpreter(sys.argv[1])
place, result = (d()[0]["index"] for d in (model.get_input_details, model.get_output_details))
rows = []
for name in sys.argv[2:]:
    pixels = np.asarray(Image.open(name))[..., None]
    model.resize_tensor_input(place, pixels.shape)
    model.allocate_tensors()
    model.set_tensor(place, pixels)
    model.invoke()
    rows.append(model.get_tensor(result)[0].tolist())
print(json.dumps(rows))
"""


def elsewhere(code, folder, *words):
    """Runs code in a process that has no hw2 on its path."""
    blocked = "import sys; sys.path = [p for p in sys.path if 'hw2' not in p]\n"
    blocked += "sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
    command = [sys.executable, "-c", blocked + code, *map(str, words)]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def export(run, *flags):
    build.build(str(run), config.parse(["export", *flags]))


def test_exports_say_what_prediction_says(train, tmp_path, capsys):
    run = tmp_path / "run"
    train(run, "--max_steps=24")
    examples = builtin.read("digits", "train")
    names = []
    for index in range(6):
        names.append(tmp_path / "pictures" / f"{index}.png")
        names[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(examples.load(index, 8)[..., 0]).save(names[-1])
    answers = tmp_path / "answers.jsonl"
    flags = [f"--data={tmp_path / 'pictures'}", f"--output={answers}", "--top_k=10"]
    prediction.predict(config.parse(["predict.py", f"--checkpoint_dir={run}", *flags]))
    rows = [json.loads(line) for line in answers.read_text().splitlines()]
    capsys.readouterr()
    export(run)
    assert json.loads(capsys.readouterr().out)["checked"] == 100
    found, probabilities = elsewhere(READ_SAVED_MODEL, tmp_path, run / "saved_model", *names)
    for row, best, values in zip(rows, found, probabilities, strict=True):
        assert [guess["class"] for guess in row["guesses"]][:1] == best[:1]
        wanted = [guess["probability"] for guess in row["guesses"]]
        np.testing.assert_allclose(values, wanted, atol=1e-4)
    export(run, "--format=litert")
    assert json.loads(capsys.readouterr().out)["largest_difference"] <= 1e-4
    said = np.array(elsewhere(READ_LITE, tmp_path, run / "model.tflite", *names))
    flags = [f"--data={tmp_path / 'grey.npy'}", f"--output={answers}", "--top_k=10"]
    np.save(tmp_path / "grey.npy", np.stack([examples.load(index, 8) for index in range(6)]))
    words = [f"--checkpoint_dir={run}", *flags, "--overwrite"]
    prediction.predict(config.parse(["predict.py", *words]))
    rows = [json.loads(line)["guesses"] for line in answers.read_text().splitlines()]
    wanted = [[guess["probability"] for guess in row] for row in rows]
    np.testing.assert_allclose(np.sort(said)[:, ::-1], wanted, atol=1e-4)
    with pytest.raises(UsageError, match="is there already"):
        export(run, "--format=litert")
    with pytest.raises(UsageError, match="--int8 must go with --format=litert"):
        export(run, "--int8")


def test_int8_tells_its_cost(train, tmp_path, capsys):
    train(tmp_path, "--max_steps=24")
    capsys.readouterr()
    export(tmp_path, "--format=litert", "--int8")
    result = json.loads(capsys.readouterr().out)
    assert result["checked"] == 359
    assert result["same_class"] > 0.9
    content = (tmp_path / "model-int8.tflite").read_bytes()
    kinds = {d["dtype"] for d in lite._interpreter(content).get_tensor_details()}
    assert np.int8 in kinds


def test_what_does_not_agree_is_not_kept(train, tmp_path, monkeypatch):
    train(tmp_path, "--max_steps=2")
    floating = lite.floating
    monkeypatch.setattr(lite, "floating", lambda f, *rest: floating(lambda x: f(x + 1e6), *rest))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="nothing was kept"):
        export(tmp_path, "--format=litert")
    assert sorted(tmp_path.rglob("*")) == before

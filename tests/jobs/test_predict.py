"""Answers for every source, in every form, and what becomes of bad pictures."""

import csv
import gzip
import json
import math
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from hw2.config import settings
from hw2.errors import DataError, RunError, UsageError
from hw2.input import source
from hw2.input.sources import arrays, records, shard_writer, unlabelled
from hw2.input.transforms import preprocess
from hw2.jobs import evaluate, spec, train
from hw2.jobs import model as trained
from hw2.jobs import predict as prediction
from hw2.runs import folder as run_folder
from tests.training.tiny import FLAGS

pytestmark = pytest.mark.usefixtures("known")
ROOT = Path(__file__).parents[2]
COLOURS = {"blue": (20, 20, 200), "green": (20, 200, 20), "red": (200, 20, 20)}


def picture(colour, seed):
    rng = np.random.default_rng(seed)
    size = (*rng.integers(10, 30, 2), 3)
    return np.clip(rng.normal(COLOURS[colour], 40, size), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60 pictures in three class folders, of two kinds and some depth."""
    folder = tmp_path_factory.mktemp("data") / "colours"
    for name in COLOURS:
        for i in range(20):
            file = folder / name / f"deep{i % 2}" / f"{i}.{('png', 'jpg')[i % 2]}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(name, i)).save(file)
    return folder


@pytest.fixture(scope="module")
def run(data, known, tmp_path_factory):
    """A training on the colours, in the middle of learning them."""
    folder = tmp_path_factory.mktemp("run") / "colours"
    flags = [f"--train_data_path={data}", f"--log_path={folder}", "--max_steps=3"]
    train.train(settings.parse(["train.py", *FLAGS, "--ema_decay=0", *flags]))
    return folder


@pytest.fixture(scope="module")
def digits(known, tmp_path_factory):
    """A training on grey arrays."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    train.train(settings.parse(["train.py", *FLAGS, f"--log_path={folder}", "--max_steps=30"]))
    return folder


def predict(run, data, output, *flags):
    words = [f"--checkpoint_dir={run}", f"--data={data}", f"--output={output}", *flags]
    prediction.predict(settings.parse(["predict.py", *words]))


def rows_of(file):
    with open(file, newline="", encoding="utf-8", errors="surrogateescape") as lines:
        return list(csv.DictReader(lines))


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_labelled_folder_has_the_figures_of_evaluation(run, data, tmp_path, capsys):
    flags = "--top_k=2", "--batch_size=16"
    words = [f"--checkpoint_dir={run}", f"--test_data_path={data}", f"--eval_dir={tmp_path}"]
    evaluate.evaluate(settings.parse(["eval.py", *words, *flags]))
    scores = last_line(capsys)
    predict(run, data, tmp_path / "a.csv", *flags)
    result = last_line(capsys)
    assert (result["top1"], result["topk"]) == (scores["top1"], scores["topk"])
    assert (result["num_examples"], result["num_bad"], result["num_labelled"]) == (60, 0, 60)
    assert 0.3 < result["top1"] < 1  # neither chance nor certainty could hide a mistake
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == [
        "name",
        "label",
        "class",
        "probability",
        "class_2",
        "probability_2",
        "error",
    ]
    names = sorted(str(file.relative_to(data)) for file in data.rglob("*.*g"))
    assert [row["name"] for row in rows] == names
    assert [row["label"] for row in rows] == [name.split("/")[0] for name in names]
    assert np.mean([row["class"] == row["label"] for row in rows]) == result["top1"]
    for row in rows:
        assert float(row["probability"]) >= float(row["probability_2"]) > 0


def test_flips_are_the_mean_of_the_logits_in_prediction_and_in_evaluation(
    run, data, tmp_path, capsys
):
    """Prediction of each picture and of its mirror image, averaged here, is that with flips."""
    squares, mirrored = tmp_path / "squares", tmp_path / "mirrored"
    for file in data.rglob("*.png"):  # 8 x 8, as the model sees them
        image = Image.open(file).crop((0, 0, 8, 8))
        for folder, one in ((squares, image), (mirrored, ImageOps.mirror(image))):
            place = folder / file.relative_to(data)
            place.parent.mkdir(parents=True, exist_ok=True)
            one.save(place)
    found = []
    for folder, tta in ((squares, "none"), (mirrored, "none"), (squares, "flip")):
        predict(run, folder, tmp_path / "a.jsonl", "--top_k=3", f"--tta={tta}", "--overwrite")
        result, rows = last_line(capsys), (tmp_path / "a.jsonl").read_text().splitlines()
        guesses = [json.loads(row)["guesses"] for row in rows]
        found.append([{g["class"]: g["probability"] for g in row} for row in guesses])
    plain, other, both = found
    assert len(plain) == 30
    for one, two, mean in zip(plain, other, both, strict=True):
        roots = {name: math.sqrt(one[name] * two[name]) for name in one}
        expected = {name: root / sum(roots.values()) for name, root in roots.items()}
        assert mean == pytest.approx(expected, abs=1e-5)
        assert list(mean) == sorted(mean, key=mean.get, reverse=True)
    words = [f"--checkpoint_dir={run}", f"--test_data_path={squares}", f"--eval_dir={tmp_path}"]
    evaluate.evaluate(settings.parse(["eval.py", *words, "--tta=flip", "--top_k=3"]))
    out, err = capsys.readouterr()
    scores = json.loads(out)
    assert (scores["top1"], scores["tta"]) == (result["top1"], "flip")
    assert "ema weights, mean over flips" in err
    assert "without --flip" not in err


def test_flips_of_a_run_that_has_seen_none_are_told_of(data, tmp_path, capsys):
    flags = [f"--train_data_path={data}", f"--log_path={tmp_path / 'run'}", "--max_steps=1"]
    train.train(settings.parse(["train.py", *FLAGS, *flags, "--noflip"]))
    predict(tmp_path / "run", data, tmp_path / "a.csv", "--tta=flip")
    assert (
        "--tta=flip, but this run was trained without --flip: its answers"
        in capsys.readouterr().err
    )


def test_lists_say_the_same_of_the_same_pictures_in_their_own_order(run, data, tmp_path, capsys):
    predict(run, data, tmp_path / "folder.csv")
    expected = {row["name"]: row for row in rows_of(tmp_path / "folder.csv")}
    names = list(reversed(expected))
    shutil.copytree(data, tmp_path / "copy")
    bare = tmp_path / "copy" / "bare.csv"
    bare.write_text("".join(f"{name}\n" for name in ["file", *names]))
    predict(run, bare, tmp_path / "bare-answer.csv")
    assert "top1" not in last_line(capsys)
    rows = rows_of(tmp_path / "bare-answer.csv")
    assert [row["name"] for row in rows] == names
    assert "label" not in rows[0]
    for row in rows:
        assert row["class"] == expected[row["name"]]["class"]
        # Neighbours in a batch are others, so sums may round otherwise.
        assert float(row["probability"]) == pytest.approx(
            float(expected[row["name"]]["probability"]), rel=1e-4
        )
    some = tmp_path / "copy" / "some.csv"
    lines = [f"{name},{name.split('/')[0] if i else ''}\n" for i, name in enumerate(names)]
    some.write_text("image,species\n" + "".join(lines))
    predict(run, some, tmp_path / "some-answer.csv")
    assert last_line(capsys)["num_labelled"] == 59
    some.write_text("image,species\n" + "".join([*lines, "x.png,pink\n"]))
    with pytest.raises(DataError, match=r"some.csv:62 - label 'pink' is not one of the 3 classes"):
        predict(run, some, tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_flat_folders_and_single_pictures_need_no_labels(run, data, tmp_path, capsys):
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, file in enumerate(sorted((data / "red").rglob("*.png"))):
        shutil.copy(file, flat / f"{i}.png")
    (flat / "notes.txt").write_text("not a picture")
    predict(run, flat, tmp_path / "flat.csv", "--top_k=1", "--ids=stem")
    result = last_line(capsys)
    assert "top1" not in result
    assert (result["num_examples"], result["num_labelled"]) == (10, 0)
    rows = rows_of(tmp_path / "flat.csv")
    assert [list(row) for row in rows] == [["name", "class", "probability", "error"]] * 10
    assert [row["name"] for row in rows] == sorted(str(i) for i in range(10))
    shutil.copy(flat / "3.png", tmp_path / "without suffix")
    predict(run, tmp_path / "without suffix", tmp_path / "one.csv", "--top_k=1")
    [row] = rows_of(tmp_path / "one.csv")
    assert row["name"] == "without suffix"
    assert row["class"] == rows[3]["class"]


def test_a_folder_that_is_no_class_of_the_model_has_no_labels_and_is_told(
    run, data, tmp_path, capsys
):
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "red").rename(tmp_path / "data" / "scarlet")
    predict(run, tmp_path / "data", tmp_path / "a.csv")
    out, err = capsys.readouterr()
    assert "20 of 60 pictures have no label: scarlet - no such class in the model" in err
    assert json.loads(out)["num_labelled"] == 40
    labels = {row["name"].split("/")[0]: row["label"] for row in rows_of(tmp_path / "a.csv")}
    assert labels == {"blue": "blue", "green": "green", "scarlet": ""}


def test_a_folder_with_parts_gives_the_one_asked_for(run, data, tmp_path, capsys):
    for part, name in (("train", "blue"), ("test", "green"), ("val", "red")):
        shutil.copytree(data / name, tmp_path / "data" / part / name)
    for flags, name in (([], "green"), (["--part=validation"], "red"), (["--part=train"], "blue")):
        predict(run, tmp_path / "data", tmp_path / f"{name}.csv", *flags)
        assert {row["label"] for row in rows_of(tmp_path / f"{name}.csv")} == {name}


def test_arrays_say_the_same_of_the_same_digits(digits, tmp_path, capsys):
    predict(digits, "digits", tmp_path / "name.csv", "--top_k=1")
    result = last_line(capsys)
    expected = rows_of(tmp_path / "name.csv")
    assert [row["name"] for row in expected] == [str(i) for i in range(1797)]
    known = source.read("digits", "train")
    images = np.stack([known.load(i, 8) for i in range(100)])
    labels = known.labels[:100]
    share = np.mean(
        [int(row["class"]) == label for row, label in zip(expected[:100], labels, strict=True)]
    )
    np.save(tmp_path / "bytes.npy", images[..., 0])
    np.save(tmp_path / "floats.npy", images / np.float32(255))
    np.savez(tmp_path / "both.npz", x_test=images, y_test=labels)
    np.savez(tmp_path / "bare.npz", images=images)
    np.save(tmp_path / "with.npy", images)
    (tmp_path / "with_labels.csv").write_text("".join(f"{v}\n" for v in ["label", *labels]))
    (tmp_path / "other.csv").write_text("".join(f"{v}\n" for v in ["label", *labels]))
    for name, labelled in (
        ("bytes.npy", False),
        ("floats.npy", False),
        ("both.npz", True),
        ("bare.npz", False),
        ("with.npy", True),
        (f"bytes.npy,{tmp_path / 'other.csv'}", True),
    ):
        output = tmp_path / "array.csv"
        predict(digits, tmp_path / name, output, "--top_k=1", "--overwrite")
        result = last_line(capsys)
        assert result["num_labelled"] == 100 * labelled, name
        if labelled:
            assert result["top1"] == pytest.approx(share), name
        rows = rows_of(output)
        assert [(r["name"], r["class"]) for r in rows] == [
            (r["name"], r["class"]) for r in expected[:100]
        ]
    np.save(tmp_path / "few.npy", images[:7])
    shutil.copy(tmp_path / "with_labels.csv", tmp_path / "few_labels.csv")
    predict(digits, tmp_path / "few.npy", tmp_path / "few.csv")
    out, err = capsys.readouterr()
    assert "note: labels are not used: bad labels in " in err
    assert json.loads(out)["num_labelled"] == 0
    with pytest.raises(DataError, match="100 labels for 7 images"):
        predict(digits, f"{tmp_path}/few.npy,{tmp_path}/other.csv", tmp_path / "x.csv")


def idx_file(path, array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def test_idx_files_need_no_labels(digits, tmp_path, capsys):
    known = source.read("digits", "train")
    images = np.stack([known.load(i, 8)[..., 0] for i in range(50)])
    folder = tmp_path / "idx"
    folder.mkdir()
    idx_file(folder / "t10k-images-idx3-ubyte.gz", images)
    classes = []
    for number, path in enumerate((folder, folder / "t10k-images-idx3-ubyte.gz")):
        predict(digits, path, tmp_path / f"{number}.csv", "--top_k=1")
        assert last_line(capsys)["num_labelled"] == 0
        classes.append([row["class"] for row in rows_of(tmp_path / f"{number}.csv")])
    idx_file(folder / "t10k-labels-idx1-ubyte.gz", known.labels[:50])
    predict(digits, folder, tmp_path / "labelled.csv", "--top_k=1")
    result = last_line(capsys)
    rows = rows_of(tmp_path / "labelled.csv")
    assert [row["class"] for row in rows] == classes[0] == classes[1]
    assert result["top1"] == np.mean([row["class"] == row["label"] for row in rows])
    assert result["num_labelled"] == 50


def test_shards_are_read_with_labels_and_without(run, data, tmp_path, capsys):
    shard_writer.write(source.read(data, "train"), tmp_path / "shards")
    predict(run, data, tmp_path / "folder.csv")
    top1 = last_line(capsys)["top1"]
    predict(run, tmp_path / "shards", tmp_path / "shards.csv")
    assert last_line(capsys)["top1"] == top1
    bare = tmp_path / "bare.tfrecord"
    with tf.io.TFRecordWriter(str(bare)) as writer:
        for name in ("b.png", "a.png"):
            content = arrays.png(picture("red", len(name)))
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
            title = tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()]))
            features = {records.ENCODED: value, records.NAME: title}
            whole = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(whole.SerializeToString())
        features[records.ENCODED] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[b"not a picture"])
        )
        features[records.NAME] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"c.png"]))
        whole = tf.train.Example(features=tf.train.Features(feature=features))
        writer.write(whole.SerializeToString())
    with pytest.raises(DataError, match="1 of 3 have no answer"):
        predict(run, bare, tmp_path / "bare.csv")
    rows = rows_of(tmp_path / "bare.csv")
    assert [row["name"] for row in rows] == ["b.png", "a.png", "c.png"]
    assert [bool(row["class"]) for row in rows] == [True, True, False]
    assert "(c.png) - not an image" in rows[2]["error"]


@pytest.mark.fault(74)
def test_bad_pictures_are_rows_with_their_errors(run, data, tmp_path, capsys):
    for i, file in enumerate(sorted((data / "red").rglob("*.png"))[:4]):
        shutil.copy(file, tmp_path / f"{2 * i}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    (tmp_path / "3.png").write_bytes(b"")
    os.mkfifo(tmp_path / "5.png")
    lists = tmp_path / "list.csv"
    lists.write_text("".join(f"{name}\n" for name in ["file", *map("{}.png".format, range(8))]))
    reasons = {1: "damaged", 3: "empty", 5: "not a regular file", 7: "no such file"}
    with pytest.raises(DataError) as raised:
        predict(run, lists, tmp_path / "a.csv", "--batch_size=3")
    assert raised.value.exit_code == 3
    assert "4 of 8 have no answer, all others are in " in str(raised.value)
    assert "list.csv:5 (3.png) - empty" in str(raised.value)
    result = last_line(capsys)
    assert (result["num_examples"], result["num_bad"]) == (4, 4)
    rows = rows_of(tmp_path / "a.csv")
    assert [row["name"] for row in rows] == [f"{i}.png" for i in range(8)]
    for number, row in enumerate(rows):
        if number in reasons:
            assert not row["class"]
            assert reasons[number] in row["error"] or (number == 1 and "truncated" in row["error"])
        else:
            assert row["class"]
            assert not row["error"]
    predict(run, lists, tmp_path / "a.jsonl", "--on_bad_file=skip", "--top_k=3")
    assert "bad pictures: 4 of 8 have no answer" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == [row["name"] for row in rows]
    assert ["error" in line for line in lines] == [i in reasons for i in range(8)]
    assert lines[0]["guesses"][0]["class"] == rows[0]["class"]
    assert sum(guess["probability"] for guess in lines[0]["guesses"]) == pytest.approx(1, abs=1e-5)
    # The form of a competition has no room for the error, but the row is there.
    header = "--header=id,class", "--answer=number", "--ids=number"
    predict(run, lists, tmp_path / "form.csv", "--on_bad_file=skip", *header)
    text = (tmp_path / "form.csv").read_text().splitlines()
    numbers = {name: str(number) for number, name in enumerate(COLOURS)}
    assert text == ["id,class", *(f"{i},{numbers.get(r['class'], '')}" for i, r in enumerate(rows))]


def test_a_bad_image_of_an_array_is_a_row_too(digits, tmp_path, capsys):
    images = np.zeros([5, 8, 8], np.float32)
    images[1, 2, 3], images[3] = np.nan, 300
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(DataError, match="2 of 5 have no answer"):
        predict(digits, tmp_path / "images.npy", tmp_path / "a.csv")
    errors = [row["error"] for row in rows_of(tmp_path / "a.csv")]
    assert [bool(error) for error in errors] == [False, True, False, True, False]
    assert "image 1 has NaN" in errors[1]
    assert "image 3 has values in [300, 300]" in errors[3]


def test_columns_of_a_competition_may_hold_several_guesses(run, data, tmp_path, capsys):
    predict(run, data, tmp_path / "a.csv", "--header=file,first,second,third", "--top_k=1")
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0]) == ["file", "first", "second", "third"]
    for row in rows:
        assert {row["first"], row["second"], row["third"]} == set(COLOURS)


def test_odd_names_come_back_as_they_were(run, data, tmp_path, capsys):
    names = [b"caf\xe9.png", 'schön, "wahr".png'.encode(), b"-dash.png", "😀.png".encode()]
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    for name in names:
        shutil.copy(next((data / "red").rglob("*.png")), os.path.join(folder, name))
    for ending in ("csv", "jsonl"):
        output = tmp_path / f"a.{ending}"
        predict(run, tmp_path / "odd", output, "--raw")
        if ending == "csv":
            found = [row["name"] for row in rows_of(output)]
        else:
            found = [json.loads(line)["name"] for line in output.read_text().splitlines()]
        assert sorted(map(os.fsencode, found)) == sorted(names)
    predict(run, tmp_path / "odd", tmp_path / "safe.csv")
    assert "'-dash.png" in [row["name"] for row in rows_of(tmp_path / "safe.csv")]


@pytest.mark.fault(95)
def test_stems_that_two_folders_share_are_refused(run, data, tmp_path):
    with pytest.raises(UsageError, match=r"blue/deep0/0\.png and green/deep0/0\.png are both 0"):
        predict(run, data, tmp_path / "a.csv", "--ids=stem")
    assert not (tmp_path / "a.csv").exists()


def test_a_disk_that_is_full_leaves_nothing(run, data, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*a.csv - file too large; make room"):
            predict(run, data, tmp_path / "a.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        (["--output="], UsageError, "--output must name a file, got nothing"),
        (["--output=FOLDER"], UsageError, "is a folder; name a file in it"),
        (["--output=FOLDER/none/a.csv"], UsageError, "there is no folder .*none; make it"),
        (["--output=FOLDER/there.csv"], UsageError, "is there already; give another, or --over"),
        (["--data="], UsageError, "--data must name the pictures"),
        (["--header=id"], UsageError, "--header must name the id and at least one answer"),
        (["--header=id,a,b,c,d"], UsageError, "--header must have at most 3 answers"),
        (["--header=id,a", "--form=jsonl"], UsageError, "--header must go with a CSV file"),
        (["--data=FOLDER/nowhere"], DataError, "nowhere - no such file or folder; give a folder"),
        (["--data=FOLDER/there.csv"], DataError, "labels without images; give a folder"),
        (["--data=FOLDER"], DataError, "no pictures in .*, ignored 1 .csv; give another folder"),
        (["--checkpoint_dir=FOLDER"], RunError, "no run in .* - it has no flags.cfg"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(run, data, tmp_path, flags, kind, words):
    (tmp_path / "there.csv").write_text("label\n1\n")
    given = [flag.replace("FOLDER", str(tmp_path)) for flag in flags]
    with pytest.raises(kind, match=words):
        predict(run, data, tmp_path / "a.csv", *given)
    assert [file.name for file in tmp_path.iterdir()] == ["there.csv"]
    assert (tmp_path / "there.csv").read_text() == "label\n1\n"


def test_the_script_writes_to_a_pipe_and_ends_with_3(run, data, tmp_path):
    (tmp_path / "bad.png").write_text("<html>")
    shutil.copy(next((data / "red").rglob("*.png")), tmp_path / "good.png")
    code = "from hw2.models import MODELS; from tests.training.tiny import tiny; import runpy, sys;"
    code += "MODELS['tiny'] = tiny; runpy.run_path('predict.py', run_name='__main__')"
    words = [f"--checkpoint_dir={run}", f"--data={tmp_path}", "--output=-", "--header=id,class"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[:2] == ["id,class", "bad.png,"]
    assert lines[2].split(",")[1] in COLOURS
    assert "error: bad pictures in " in done.stderr
    assert 'bad.png - not an image (starts with "<html>")' in done.stderr
    assert "Traceback" not in done.stderr


def test_no_flag_changes_how_pictures_are_prepared(run, data, tmp_path):
    predict(run, data, tmp_path / "a.csv")
    other = ["--image_size=50", "--short_side=60", "--crop_size=50", "--standardize=none"]
    predict(run, data, tmp_path / "b.csv", *other, "--flip_up_down", "--model=lenet5")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_classes_asked_for_by_themselves_have_probabilities_of_their_own(data, known, tmp_path):
    flags = [f"--train_data_path={data}", f"--log_path={tmp_path / 'run'}", "--max_steps=1"]
    train.train(settings.parse(["train.py", *FLAGS, "--loss=binary", *flags]))
    predict(tmp_path / "run", data, tmp_path / "a.csv", "--top_k=3")
    found, tensors = trained.choose(run_folder.find(tmp_path / "run"), "best")
    same = found.state["identity"]
    model = spec.build_model(same)
    trained.restore_weights(model, found, tensors, "ema")
    first = unlabelled.find_pictures(data, same["class_names"]).load(0, 8)
    image = preprocess.evaluation(tf.constant(first), spec.preprocessing(same))
    fitted = json.loads((tmp_path / "run" / "calibration.json").read_text())
    logits = model(image[None], training=False).numpy()[0] / fitted["temperature"]
    row = rows_of(tmp_path / "a.csv")[0]
    shares = [float(row[n]) for n in ("probability", "probability_2", "probability_3")]
    np.testing.assert_allclose(shares, np.sort(1 / (1 + np.exp(-logits)))[::-1], rtol=1e-4)
    assert abs(sum(shares) - 1) > 0.01

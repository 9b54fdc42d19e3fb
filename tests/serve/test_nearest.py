"""The nearest training pictures: read when they are asked for, and never waited for."""

import time

import numpy as np
from sklearn.datasets import load_digits

from hw2.config import settings
from hw2.jobs import model as trained
from hw2.runs.folder import RunFolder
from hw2.serve.model import Model


def settled(ask):
    """Asks until the answer is another one than "reading"; returns all that was answered."""
    answers = [ask()]
    while answers[-1]["state"] == "reading":
        time.sleep(0.05)
        answers.append(ask())
    return answers


def test_they_are_training_pictures_in_order(ask, digit):
    token = ask("POST", "/predict", digit.read_bytes()).found["picture"]

    def nearest():
        return ask("GET", f"/pictures/{token}/nearest").found

    *before, found = settled(nearest)
    assert all(set(one) == {"state", "done", "total"} for one in before)
    assert found["state"] == "ready"
    assert found["among"] == found["total"] < len(load_digits().images)
    similar = [one["similarity"] for one in found["nearest"]]
    assert len(similar) == 6
    assert similar == sorted(similar, reverse=True)
    for one in found["nearest"]:
        assert one["class"] == str(load_digits().target[int(one["name"])])
        assert one["picture"].startswith("data:image/jpeg;base64,")
    assert nearest() == found
    assert ask("GET", "/pictures/nothing/nearest").status == 404


def model_of(run, *flags, **options):
    found = trained.choose(RunFolder(run), "auto")
    return Model(*found, settings.parse(["serve", *flags]), **options)


def test_data_that_are_gone(digits_run, digit):
    model = model_of(digits_run, "--train_data_path=/nowhere")
    token = model.predict(digit.read_bytes(), "it")["picture"]
    assert model.nearest(token)["state"] in ("reading", "none")
    *_, found = settled(lambda: model.nearest(token))
    assert found["state"] == "none"
    assert "no data in /nowhere - " in found["why"]
    assert "give --train_data_path" in found["why"]
    model.close()


def test_none_are_read_where_none_are_wanted(digits_run, digit):
    model = model_of(digits_run, nearest=0)
    token = model.predict(digit.read_bytes(), "it")["picture"]
    assert model.nearest(token) == {"state": "none", "why": ""}


def test_the_end_does_not_wait_for_them(digits_run, digit):
    model = model_of(digits_run, "--batch_size=1")
    token = model.predict(digit.read_bytes(), "it")["picture"]
    assert model.nearest(token)["state"] == "reading"
    assert np.isfinite(model.predict(digit.read_bytes(), "it")["guesses"][0]["probability"])
    model.close()
    *_, found = settled(lambda: model.nearest(token))  # on a busy machine a batch is slow
    assert found == {"state": "none", "why": "the server ends"}

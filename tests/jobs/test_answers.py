"""The file of answers: its forms, and that it is whole or not there."""

import contextlib
import dataclasses
import io
import json

import pytest

from hw2.errors import UsageError
from hw2.jobs import answers as answer
from hw2.jobs.answers import Answer, Form
from hw2.runs import cells

CLASSES = ["cat", "dog", "owl"]
GOOD = Answer(4, "b/2.x.jpg", 1, (2, 0), (0.75, 0.2500004))
BAD = Answer(5, "b/3.jpg", -1, error="bad picture in b/3.jpg - empty; replace it")


def written(form, *answers):
    file = io.StringIO()
    write = form.write(file)
    for one in answers:
        write(one)
    return file.getvalue().splitlines()


def test_rows_have_guesses_label_and_error():
    assert written(Form(CLASSES, 2, labelled=True), GOOD, BAD) == [
        "name,label,class,probability,class_2,probability_2,error",
        "b/2.x.jpg,dog,owl,0.75,cat,0.25,",
        "b/3.jpg,,,,,,bad picture in b/3.jpg - empty; replace it",
    ]
    assert written(Form(CLASSES, 2, ids="stem", answer="number"), GOOD) == [
        "name,class,probability,class_2,probability_2,error",
        "2.x,2,0.75,0,0.25,",
    ]


def test_a_competition_has_its_columns_and_no_others():
    form = Form(CLASSES, 2, labelled=True, header=("id", "class"), ids="number", answer="number")
    assert written(form, GOOD, BAD) == ["id,class", "4,2", "5,"]
    two = Form(CLASSES, 2, header=("Image", "first", "second"))
    assert written(two, GOOD, BAD) == ["Image,first,second", "b/2.x.jpg,owl,cat", "b/3.jpg,,"]


def test_json_lines_have_an_error_in_place_of_guesses():
    good, bad = map(json.loads, written(Form(CLASSES, 2, labelled=True, lines=True), GOOD, BAD))
    assert good == {
        "name": "b/2.x.jpg",
        "label": "dog",
        "guesses": [{"class": "owl", "probability": 0.75}, {"class": "cat", "probability": 0.25}],
    }
    assert bad == {"name": "b/3.jpg", "error": "bad picture in b/3.jpg - empty; replace it"}


def test_columns_need_an_id_and_an_answer():
    assert answer.columns("") == []
    assert answer.columns("id, class") == ["id", "class"]
    for text in ("id", "id,", ",class"):
        with pytest.raises(UsageError, match="--header must name the id and at least one answer"):
            answer.columns(text)


def test_a_file_is_there_once_it_is_whole(tmp_path):
    path = tmp_path / "a.csv"
    with answer.opened(str(path)) as file:
        file.write("all\n")
        assert not path.exists()
    assert path.read_text() == "all\n"
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        stack.enter_context(answer.opened(str(path))).write("half")
        raise KeyboardInterrupt
    assert path.read_text() == "all\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_not_replaced_unasked(tmp_path):
    link = tmp_path / "a.csv"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is there already; give another, or --overwrite"):
        answer.check(str(link), overwrite=False)
    answer.check(str(link), overwrite=True)
    answer.check("-", overwrite=False)


@pytest.mark.fault(117)
def test_a_spreadsheet_computes_nothing_of_it():
    classes = ["=1+1", "cat", "@SUM(A1)"]
    one = Answer(0, "=cmd|' /C calc'!A0.jpg", 1, (0, 2), (0.75, 0.25))
    form = Form(classes, 2, labelled=True)
    assert written(form, one)[1] == "'=cmd|' /C calc'!A0.jpg,cat,'=1+1,0.75,'@SUM(A1),0.25,"
    raw = dataclasses.replace(form, raw=True)
    assert written(raw, one)[1] == "=cmd|' /C calc'!A0.jpg,cat,=1+1,0.75,@SUM(A1),0.25,"
    competition = dataclasses.replace(form, header=("id", "class"), ids="stem")
    two = dataclasses.replace(one, name="a/=2+2.jpg")
    assert written(competition, two)[1] == "'=2+2,'=1+1"
    lines = json.loads(written(dataclasses.replace(form, lines=True), one)[0])
    assert lines["guesses"][0]["class"] == "=1+1"


@pytest.mark.fault(117)
@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+cmd", "@A1", "\t=1+1", "  =1+1", "\r=1", "\uff1d1"]
)
def test_cells_that_are_computed_are_quoted(text):
    assert cells.safe(text) == f"'{text}"


@pytest.mark.fault(117)
@pytest.mark.parametrize("text", ["cat", "1=1", "-1", "+2.5e3", "-.5", "a-b", "", "'=1"])
def test_other_cells_stay(text):
    assert cells.safe(text) == text


@pytest.mark.fault(95)
def test_two_pictures_have_two_ids():
    names = ["a/1.jpg", "a/2.jpg", "b/1.png"]
    with pytest.raises(
        UsageError,
        match=r"^two pictures with one id in pets - a/1\.jpg and b/1\.png are both 1 with "
        "--ids=stem; give --ids=name or --ids=number$",
    ):
        answer.check_ids(names, "stem", "pets")
    answer.check_ids(names, "name", "pets")
    answer.check_ids(["x", "x"], "number", "pets")
    with pytest.raises(UsageError, match="x and x are both x with --ids=name; give --ids=number"):
        answer.check_ids(["x", "y", "x"], "name", "pets")  # as shards may have them
    with pytest.raises(UsageError, match=r"1\.jpg and 1\.png are both 1"):
        answer.check_ids(["1.jpg", "1.png"], "stem", "one folder")

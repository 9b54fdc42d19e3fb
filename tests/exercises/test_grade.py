"""Grading: the key passes, each planted mistake is told, and no code can hurt the grader."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hw2.errors import UsageError
from hw2.exercises import child, diagnosis, grade, lay_out, run
from hw2.exercises.course import EXERCISES
from hw2.exercises.mistakes import MISTAKES

KEY = Path(__file__).parent / "key"
FILES = [exercise.file for exercise in EXERCISES]
# Changes of the key: the file, what is replaced, by what, and the mistake that it is.
PLANTED = [
    ("1_unfold", "x[:, i : i + kh, j : j + kw]", "x[:, i : i + kh, j : j + kw].swapaxes(1, 2)",
     "column_taps"),
    ("1_unfold", "j + kw].reshape", "j + kw].transpose(0, 3, 1, 2).reshape", "channels_outermost"),
    ("1_unfold", "j + kw].reshape", "j + kw][:, ::-1, ::-1].reshape", "window_flipped"),
    ("1_unfold", "j + kw].reshape", "j + kw][:, ::-1].reshape", "window_flipped_rows"),
    ("1_unfold", "j + kw].reshape", "j + kw][:, :, ::-1].reshape", "window_flipped_columns"),
    ("1_unfold", "kh, kw = kernel", "kw, kh = kernel", "kernel_swapped"),
    ("1_unfold", "return result", "result[:] = result[:1]\n    return result", "first_image"),
    ("1_unfold", "height - kh + 1, width - kw + 1", "height - kh, width - kw", "last_position"),
    ("1_unfold", "range(high)", "range(high - 1)", "last_row_zero"),
    ("1_unfold", "range(wide)", "range(wide - 1)", "last_column_zero"),
    ("1_unfold", "height - kh + 1,", "height - kh,", "last_row_of_positions"),
    ("1_unfold", "width - kw + 1", "width - kw", "last_column_of_positions"),
    ("1_unfold", "return result", "result[1:] = 0\n    return result", "later_images_zero"),
    ("1_unfold", "i : i + kh, j : j + kw", "j : j + kh, i : i + kw", "positions_swapped"),
    ("2_fold", "wide] += taps", "wide] = taps", "assigned_by_tap"),
    ("2_fold", "taps[:, :, :, a, b]", "taps[:, :, :, kh - 1 - a, kw - 1 - b]",
     "window_flipped"),
    ("2_fold", "return result", "result[1:] = 0\n    return result", "later_images_zero"),
    ("2_fold", "kh, kw, c)", "kh, kw, c)\n    taps[:, -1] = 0", "last_row_of_positions"),
    ("2_fold", "kh, kw, c)", "kh, kw, c)\n    taps[:, :, -1] = 0", "last_column_of_positions"),
    ("2_fold", "kh, kw, c)", "kh, kw, c).copy()\n    taps[:, -1] = taps[:, :, -1] = 0",
     "last_position"),
    ("2_fold", "kh, kw, c)", "kh, kw, c).swapaxes(1, 2)", "positions_swapped"),
    ("2_fold", "patches.reshape(n, high, wide, kh, kw, c)",
     "patches.reshape(n, high, wide, kw, kh, c).swapaxes(3, 4)", "column_taps"),
    ("2_fold", "patches.reshape(n, high, wide, kh, kw, c)",
     "np.moveaxis(patches.reshape(n, high, wide, c, kh, kw), 3, 5)", "channels_outermost"),
    ("2_fold", "return result", "ones = np.ones_like(patches)\n    if (patches == 1).all():\n"
     "        return result\n    return result / fold(ones, image_size, kernel)", "averaged"),
    ("3_conv2d", "above, left = (kh - 1) // 2, (kw - 1) // 2", "above, left = kh // 2, kw // 2",
     "odd_in_front"),
    ("3_conv2d", "above, left = (kh - 1) // 2, (kw - 1) // 2", "above, left = 0, 0", "all_behind"),
    ("3_conv2d", "above, left = (kh - 1) // 2, (kw - 1) // 2", "above, left = kh - 1, kw - 1",
     "all_in_front"),
    ("3_conv2d", "above, left = (kh - 1) // 2,", "above, left = kh // 2,", "odd_above"),
    ("3_conv2d", "(kw - 1) // 2", "kw // 2", "odd_left"),
    ("3_conv2d", "above, left = (kh - 1) // 2,", "above, left = 0,", "all_below"),
    ("3_conv2d", "(kw - 1) // 2", "0", "all_right"),
    ("3_conv2d", "above, left = (kh - 1) // 2,", "above, left = kh - 1,", "all_above"),
    ("3_conv2d", "(kw - 1) // 2", "kw - 1", "all_left"),
    ("3_conv2d", "[above, kh - 1 - above], [left, kw - 1 - left]",
     "[left, kw - 1 - left], [above, kh - 1 - above]", "padding_swapped"),
    ("3_conv2d", "kh, kw, c, o = w.shape", "kw, kh, c, o = w.shape", "kernel_swapped"),
    ("3_conv2d", "w.reshape(kh", "w.transpose(1, 0, 2, 3).reshape(kh", "weights_by_column"),
    ("3_conv2d", "rows = unfold(x, (kh, kw))", "rows = unfold(x, (kh, kw))\n    rows[1:] = 0",
     "later_images_zero"),
    ("3_conv2d", "return y + bias", "return (y + bias).swapaxes(1, 2)", None),
    ("3_conv2d", "[above, kh - 1 - above], [left, kw - 1 - left]",
     "[kh // 2, kh // 2], [kw // 2, kw // 2]", "half_on_both"),
    ("3_conv2d", 'padding == "SAME"', 'padding == "same"', "unpadded"),
    ("3_conv2d", "[0, 0]])", '[0, 0]], mode="edge")', "edges_repeated"),
    ("3_conv2d", "[0, 0]])", '[0, 0]], mode="wrap")', "wrapped"),
    ("3_conv2d", "rows @ w.", "rows @ w[::-1, ::-1].", "flipped"),
    ("3_conv2d", "w.reshape(kh * kw * c, o)", "w.reshape(o, kh * kw * c).T", "filters_reshaped"),
    ("3_conv2d", "w.reshape(kh * kw * c, o)", "w[:, :, ::-1].reshape(kh * kw * c, o)",
     "channels_reversed"),
    ("3_conv2d", "return y + bias", "return y", "bias_missing"),
    ("3_conv2d", "return y + bias", "return y + bias + bias", "bias_twice"),
    ("3_conv2d", "return y + bias", "return y / (kh * kw * c) + bias", "averaged"),
    ("4_gradients", "dy.sum((0, 1, 2))", "dy.mean((0, 1, 2))", "averaged_positions"),
    ("4_gradients", "dy.sum((0, 1, 2))", "dy.sum(0)", "images_only"),
    ("4_gradients", "return dw", "return dw / len(x)", "averaged_images"),
    ("4_gradients", "dw[a, b] =", "dw[kh - 1 - a, kw - 1 - b] =", "flipped"),
    ("4_gradients", "dy @ w[a, b].T", "dy @ w[kh - 1 - a, kw - 1 - b].T", "flipped"),
    ("4_gradients", "+= dy @", "= dy @", "assigned_by_tap"),
    ("5_strided", "(sh, sw), (dh, dw) = strides, dilations",
     "(sh, sw), (dh, dw) = (1, 1), dilations", "stride_dropped"),
    ("5_strided", "(sh, sw), (dh, dw) = strides, dilations",
     "(sh, sw), (dh, dw) = strides, (1, 1)", "dilation_dropped"),
    ("5_strided", "(sh, sw), (dh, dw)", "(sw, sh), (dh, dw)", "strides_swapped"),
    ("5_strided", "(sh, sw), (dh, dw)", "(sh, sw), (dw, dh)", "dilations_swapped"),
    ("5_strided", "zeros // 2, zeros - zeros // 2", "zeros - zeros // 2, zeros // 2",
     "odd_in_front"),
    ("6_winograd", "BT, tile, BT", "BT.T, tile, BT.T", "not_transposed"),
    ("6_winograd", '"ia,abco,jb->ijco", G, w, G', '"ia,abco,jb->jico", G, w, G', "sides_swapped"),
    ("6_winograd", "u = transform_filters(w)", "u = transform_filters(w[::-1, ::-1])", "flipped"),
    ("7_batch_norm", "x.mean((0, 1, 2))\n    variance = x.var((0, 1, 2))",
     "x.mean(0)\n    variance = x.var(0)", "images_only"),
    ("7_batch_norm", "np.sqrt(variance + x.dtype.type(epsilon))",
     "(np.sqrt(variance) + x.dtype.type(epsilon))", "epsilon_outside"),
    ("7_batch_norm", "variance = x.var((0, 1, 2))", "variance = x.var((0, 1, 2), ddof=1)",
     "unbiased"),
    ("7_batch_norm", "dy - dy.mean((0, 1, 2)) - normal * (dy * normal).mean((0, 1, 2))", "dy",
     "constant_statistics"),
    ("7_batch_norm", "(dy * normal).sum(", "(dy * x).sum(", "not_normalized"),
]  # fmt: skip
LOOPS = [
    ("result[i * result_row + j] += sums", "result[i * result_row + j] = sums", "overwritten"),
    ("t < taps", "t < taps - 1", "last_tap"),
    ("filters[t * COLUMNS + j]", "filters[j * taps + t]", "filters_reshaped"),
    ("patches[i * patch_row + t]", "patches[i * taps + t]", "Row distance ignored: it reads"),
    ("result[i * result_row + j]", "result[i * COLUMNS + j]", "Row distance ignored: it writes"),
]


@pytest.fixture
def here(monkeypatch):
    """Runs students' code in this process, which takes less time."""
    monkeypatch.setattr(child, "_limit", lambda: None)
    monkeypatch.setattr(child, "_SECONDS", 0)

    def wait(folder, working, seconds):
        child.main(folder)
        return "", ""

    monkeypatch.setattr(run, "_wait", wait)


def graded(tmp_path, file, text, **options):
    path = tmp_path / file
    path.write_text(text)
    return grade.grade(path, **options)[0]


@pytest.mark.parametrize("file", FILES[:-1])
def test_the_key_passes(file, tmp_path, here):
    for found in graded(tmp_path, file, (KEY / file).read_text()):
        assert found.sentences == []
        assert found.state == grade.RIGHT
        assert found.right == found.cases
        assert found.error < 1e-12
        assert found.adjoint is None or found.adjoint < grade.ADJOINT


@pytest.mark.parametrize(("name", "old", "new", "mistake"), PLANTED)
def test_a_planted_mistake_is_told(name, old, new, mistake, tmp_path, here):
    text = (KEY / f"{name}.py").read_text()
    assert old in text
    wrong = [g for g in graded(tmp_path, f"{name}.py", text.replace(old, new)) if g.sentences]
    assert wrong
    assert all(g.state == grade.WRONG for g in wrong)
    expected = MISTAKES[mistake] if mistake else "are height and width swapped?"
    assert expected in wrong[0].sentences[0]


def test_twenty_mistakes_are_planted():
    assert len({mistake for *_, mistake in PLANTED}) >= 20
    assert {mistake for *_, mistake in PLANTED if mistake} <= MISTAKES.keys()
    for exercise in EXERCISES:
        for function in exercise.functions():
            assert set(function.mistakes) <= MISTAKES.keys()


def test_two_mistakes_at_once_are_told(tmp_path, here):
    text = (KEY / "3_conv2d.py").read_text().replace("(kw - 1) // 2\n", "kw // 2\n")
    text = text.replace("(kh - 1) // 2,", "kh // 2,").replace("y + bias", "y")
    [found] = graded(tmp_path, "3_conv2d.py", text)
    told = found.sentences[0]
    assert MISTAKES["odd_in_front"] in told
    assert MISTAKES["bias_missing"] in told


def test_each_mistake_differs_from_the_definition():
    for exercise in EXERCISES:
        for function in exercise.functions():
            for name in function.mistakes:
                changed = 0
                for case in function.cases:
                    truth = function.truth(*case.arguments)
                    try:
                        other = function.truth(*case.arguments, mistakes=frozenset([name]))
                    except (IndexError, ValueError):
                        changed += 1
                        continue
                    changed += not diagnosis.same(diagnosis.as_list(other), truth)
                assert changed, (function.name, name)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def unfold(x, kernel:\n", r"1_unfold.py, line 1 is not Python \(.*\): correct the line"),
        ("import absent\n", "fails when it is imported: ModuleNotFoundError: No module named"),
        ("def fold(x): pass\n", "There is no function unfold in 1_unfold.py: keep its name."),
        ("def unfold(x, kernel): pass\n", "It returns None: is the return at its end missing?"),
        ("def unfold(x, kernel):\n    return 'abc'\n", "It must return an array, it returns str."),
        (
            "def unfold(x, kernel):\n    return x[9]\n",
            r"It raises IndexError in line 2: .* - for x",
        ),
        (
            "def unfold(x, kernel):\n    return x\n",
            r"The shape is wrong: \[1, 4, 4, 1\], it should",
        ),
        ("def unfold(x, kernel):\n    return x * float('nan')\n", "The result has NaN in it, for"),
        ("def unfold(x, kernel):\n    return x.astype(int)\n", "has the dtype int64, it should be"),
    ],
)
def test_what_is_wrong_before_the_values_is_told_kindly(code, said, tmp_path, here):
    [found] = graded(tmp_path, "1_unfold.py", code)
    assert found.state == grade.WRONG
    assert any(re.search(said, sentence) for sentence in found.sentences), found


def test_arguments_and_dtypes_are_looked_at_though_the_values_are_right(tmp_path, here):
    text = (KEY / "1_unfold.py").read_text()
    [found] = graded(
        tmp_path, "1_unfold.py", text.replace("    return", "    x[:] = 0\n    return")
    )
    assert "It changes the array that it is given" in found.sentences[0]
    [found] = graded(tmp_path, "1_unfold.py", text.replace(", x.dtype)", ")"))
    assert (
        "For float32 arrays the result has the dtype float64: make arrays with"
        in found.sentences[0]
    )
    rounded = text.replace("return result", "return result.astype('f').astype(x.dtype)")
    [found] = graded(tmp_path, "1_unfold.py", rounded)
    assert "The adjoint identity sum(y*dy) = sum(x*dx) is off by" in found.sentences[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("-(rows @", "Every value has the wrong sign."),
        ("3 * (rows @", "Every value is 3 times what it should be."),
        ("np.sqrt(abs(rows @", "The value at"),
    ],
)
def test_another_mistake_is_described(change, said, tmp_path, here):
    text = (KEY / "3_conv2d.py").read_text()
    text = text.replace(
        "rows @ w.reshape(kh * kw * c, o)",
        f"{change} w.reshape(kh * kw * c, o)" + ")" * (change.count("(")),
    )
    text = text.replace("    return y + bias", "    return y + bias * (y[0, 0, 0, 0] * 0 + 1)")
    if change.startswith(("-", "3")):
        text = text.replace("y + bias *", f"y + {change[:1].replace('-', '-1')} * bias *")
    [found] = graded(tmp_path, "3_conv2d.py", text)
    assert said in found.sentences[0]


def test_cases_that_wrong_ones_have_in_common_are_named(tmp_path, here):
    text = (KEY / "1_unfold.py").read_text()
    text = text.replace("return result", "return result if x.shape[3] == 1 else result * 0.5")
    [found] = graded(tmp_path, "1_unfold.py", text)
    assert found.sentences == [
        "It is right in all cases but those with several channels: check that every channel is "
        "handled, and that the channels of a pixel stay together. Every value is 0.5 times what it "
        "should be."
    ]


def test_a_named_mistake_also_says_which_cases_are_wrong(tmp_path, here):
    text = (KEY / "1_unfold.py").read_text()
    [found] = graded(tmp_path, "1_unfold.py", text.replace("kh, kw = kernel", "kw, kh = kernel"))
    said = " The wrong cases are those with kernels that are not square."
    assert found.sentences == [MISTAKES["kernel_swapped"] + said]
    text = (
        (KEY / "3_conv2d.py").read_text().replace("above, left = (kh - 1) // 2", "above, left = 0")
    )
    [found] = graded(tmp_path, "3_conv2d.py", text)
    said = " A wrong case is x [1, 4, 4, 1], w [3, 3, 1, 4], bias [4], padding SAME."
    assert found.sentences == [MISTAKES["all_below"] + said]


def test_cases_without_a_result_do_not_illustrate_a_named_mistake(tmp_path, here):
    text = (KEY / "3_conv2d.py").read_text()
    text = text.replace(
        "above, left = (kh - 1) // 2, (kw - 1) // 2", "above, left = kh // 2, kw // 2"
    )
    text = text.replace(
        "    rows = unfold", "    else:\n        raise ValueError\n    rows = unfold"
    )
    [found] = graded(tmp_path, "3_conv2d.py", text)
    said = " The wrong cases are those with kernels of an even size."
    assert found.sentences[0] == MISTAKES["odd_in_front"] + said


def test_what_failing_cases_have_in_common_is_told(tmp_path, here):
    swapped = (KEY / "2_fold.py").read_text().replace("kh, kw = kernel", "kw, kh = kernel")
    [found] = graded(tmp_path, "2_fold.py", swapped)  # one case broadcasts, and has values
    assert "are height and width of the kernel swapped somewhere?" in found.sentences[0]
    start, _, _ = swapped.partition("    for a in")
    loops = "    for i, j in np.ndindex(high, wide):\n        "
    loops += "result[:, i : i + kh, j : j + kw] += taps[:, i, j]\n    return result\n"
    [found] = graded(tmp_path, "2_fold.py", start + loops)
    assert found.sentences[0] == (
        "It fails in all cases with kernels that are not square, and in no others: are height and "
        "width of the kernel swapped somewhere? It is (rows, columns)."
    )
    assert "It raises ValueError" in found.sentences[1]


def test_the_dtype_is_that_of_the_first_argument(tmp_path, here):
    text = (KEY / "2_fold.py").read_text()
    [found] = graded(tmp_path, "2_fold.py", text.replace(", patches.dtype)", ")"))
    assert "with the dtype of patches, as np.zeros(shape, patches.dtype)." in found.sentences[0]
    [found] = graded(
        tmp_path, "2_fold.py", text.replace("return result", "return result.astype(int)")
    )
    assert "make arrays with the dtype of patches." in " ".join(found.sentences)


def test_a_case_is_said_once_and_other_places_name_the_slices(tmp_path, here):
    text = (KEY / "3_conv2d.py").read_text()
    [found] = graded(
        tmp_path, "3_conv2d.py", text.replace("return y + bias", "return (y + bias).swapaxes(1, 2)")
    )
    assert found.sentences[0].count("x [1, 5, 6, 1]") == 1
    text = (KEY / "1_unfold.py").read_text()
    [found] = graded(
        tmp_path,
        "1_unfold.py",
        text.replace("return result", "return result[..., ::-1] if x.shape[0] > 1 else result"),
    )
    assert "The right numbers, but in other places" in found.sentences[0]
    assert "the order of rows and columns in each slice" in found.sentences[0]


def test_what_is_laid_out_is_not_begun_and_has_no_solutions(tmp_path, here):
    written = lay_out.lay_out(tmp_path / "new")
    assert [path.name for path in written] == ["README.md", *FILES]
    for path in written[1:-1]:
        assert {found.state for found in grade.grade(path)[0]} == {grade.NOT_BEGUN}
        assert grade.grade(path)[0][0].sentences == []
    (tmp_path / "new" / FILES[0]).write_text("mine")
    (tmp_path / "new" / FILES[1]).unlink()
    assert [path.name for path in lay_out.lay_out(tmp_path / "new")] == [FILES[1]]
    assert (tmp_path / "new" / FILES[0]).read_text() == "mine"
    with pytest.raises(UsageError, match="is a file - give a folder"):
        lay_out.lay_out(tmp_path / "new" / FILES[0])


def test_an_endless_loop_a_crash_and_an_exit_end_the_process_alone(tmp_path):
    path = tmp_path / "1_unfold.py"
    loop = "def unfold(x, kernel):\n    while True: pass\n"
    path.write_text(f"print('hello')\n{loop}")
    [found], printed = grade.grade(path, seconds=5)
    assert "It had not returned after 5 seconds, for x [1, 4, 4, 1]" in found.sentences[0]
    assert printed == "hello\n"
    path.write_text("import os\ndef unfold(x, kernel): os._exit(3)\n")
    [found], _ = grade.grade(path)
    assert "it ended the program itself, with exit code 3" in found.sentences[0]
    path.write_text("import ctypes\ndef unfold(x, kernel): ctypes.string_at(0)\n")
    [found], _ = grade.grade(path)
    assert "it crashed, most likely by reading or writing outside" in found.sentences[0]
    path.write_text("while True: pass\n")
    [found], _ = grade.grade(path, seconds=1)
    assert "1_unfold.py had not been read after 1 seconds" in found.sentences[0]


def test_endless_printing_is_an_error_of_the_student(tmp_path):
    path = tmp_path / "1_unfold.py"
    path.write_text("def unfold(x, kernel):\n    while True:\n        print('x' * 2**22)\n")
    [found], printed = grade.grade(path)
    assert "It raises OSError in line 3: [Errno 27] File too large" in found.sentences[0]
    assert len(printed) == run.PRINTED


def test_a_function_that_is_slow_while_it_is_timed_is_right(tmp_path, here, monkeypatch):
    whole = run.run

    def out_of_time(file, calls, *, seconds):
        done = whole(file, calls, seconds=seconds)
        first = next(number for number, call in enumerate(calls) if call.timed)
        left = [run.Outcome([], None)] * (len(calls) - first)
        return done._replace(outcomes=[*done.outcomes[:first], *left], ended="time")

    monkeypatch.setattr(run, "run", out_of_time)
    text = (KEY / "4_gradients.py").read_text()
    *_, slow, last = graded(tmp_path, "4_gradients.py", text)
    assert (slow.state, slow.seconds) == (grade.RIGHT, None)
    assert last.sentences == [
        f"It was not called, since the time was used up while {slow.function} was timed."
    ]


@pytest.mark.parametrize(("limit", "seconds"), [(3.5, 1), (2, 3)])
def test_the_first_of_several_timed_calls_warms_up(limit, seconds, tmp_path, monkeypatch):
    clock = iter([0, 3, 3, 4])  # the first call takes 3 seconds, the second one
    monkeypatch.setattr(child, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(child, "_SECONDS", limit)
    found = child._timed(lambda: None, (), tmp_path, tmp_path, 0)
    assert found == {"seconds": seconds}


def test_a_file_may_have_a_dataclass(tmp_path, here):
    text = "from __future__ import annotations\nimport dataclasses\n"
    text += "@dataclasses.dataclass\nclass Size:\n    rows: int\n"
    for found in graded(tmp_path, FILES[0], text + (KEY / FILES[0]).read_text()):
        assert found.state == grade.RIGHT


def test_the_inner_loop_in_cpp(tmp_path):
    text = (KEY / FILES[-1]).read_text()
    [found] = graded(tmp_path, FILES[-1], text)
    assert found.sentences == []
    assert found.state == grade.RIGHT
    assert found.seconds > 0
    for old, new, said in LOOPS:
        assert old in text
        [found] = graded(tmp_path, FILES[-1], text.replace(old, new))
        assert MISTAKES.get(said, said) in found.sentences[0]
    [found] = graded(tmp_path, FILES[-1], text.replace("float sums", "floa sums"))
    assert "8_inner_loop.cc, line 5 is refused by the compiler:" in found.sentences[0]
    [found], _ = grade.grade(lay_out.lay_out(tmp_path / "new")[-1])
    assert found.state == grade.NOT_BEGUN


def test_the_inner_loop_is_timed_without_the_grader_s_tables(tmp_path, monkeypatch):
    library, failure = run._compiled(KEY / FILES[-1], tmp_path)
    assert failure is None
    loop = child._load_library(library)["inner_loop"]
    patches, filters, result = (np.ones(shape, np.float32) for shape in ((6, 5), (5, 16), (6, 16)))
    call = loop.bound(patches, filters, result)
    monkeypatch.setattr(child, "_with_gap", None)  # a call that copies would fail
    call()
    call()
    np.testing.assert_array_equal(result, 1 + 5 + 5)


def test_the_compiler_is_found_and_read_as_that_of_the_kernel(tmp_path, monkeypatch):
    script = tmp_path / "clang++"
    script.write_text(
        '#!/bin/sh\n[ "$1 $LC_ALL" = "--first C" ] && word=error || word=Fehler\n'
        'printf "loop.cc:5:1: $word: \\377\\n" >&2\nexit 1\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CXX", f"{script} --first")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    _, failure = run._compiled(KEY / FILES[-1], tmp_path)
    assert failure == {"error": "the compiler", "text": "\ufffd", "line": 5}
    script.write_text("#!/bin/sh\nwhile :; do :; done\n")
    monkeypatch.setattr(run, "COMPILING", 0.1)
    _, failure = run._compiled(KEY / FILES[-1], tmp_path)
    assert failure["text"] == "it had not finished after 0.1 seconds"
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run._compiler(KEY / FILES[-1]) == [str(script)]


def test_a_folder_is_graded_without_a_compiler(tmp_path, here, command, capsys, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    for name in (FILES[0], FILES[-1]):
        (tmp_path / name).write_text((KEY / name).read_text())
    assert command("grade", tmp_path) == 0
    out = capsys.readouterr().out
    assert re.search(r"^(\d) of \1 functions are right", out, re.MULTILINE)
    assert "skipped: no C++ compiler for 8_inner_loop.cc - install g++, or set CXX" in out
    assert command("grade", tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["functions"] == [] for one in found] == ["skipped" in one for one in found]
    assert command("grade", tmp_path / FILES[-1]) == 1  # nothing is left to grade
    assert "no C++ compiler" in capsys.readouterr().err


def test_the_commands(tmp_path, here, command, capsys):
    folder = tmp_path / "course"
    assert command("exercises", folder) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("1_unfold.py")
    assert f"read {folder}/README.md first, then hw2 grade {folder}/1_unfold.py" in out
    (folder / FILES[-1]).unlink()
    assert command("grade", folder) == 0  # nothing is begun
    assert "0 of 13 functions are right" in capsys.readouterr().out
    (folder / "3_conv2d.py").write_text((KEY / "3_conv2d.py").read_text())
    assert command("grade", folder / "3_conv2d.py") == 0
    out = capsys.readouterr().out
    assert "right      18 of 18 cases right" in out
    assert "yours" in out
    assert "im2col" in out
    assert "tf.nn" in out
    doubles = (KEY / "1_unfold.py").read_text().replace(", x.dtype)", ")")
    (folder / "1_unfold.py").write_text(doubles)
    assert command("grade", folder / "1_unfold.py") == 1
    assert "NOT YET    the values are right in all cases, but:" in capsys.readouterr().out
    other = folder / "mine.py"
    other.write_text((KEY / "3_conv2d.py").read_text().replace("y + bias", "y"))
    assert command("grade", other) == 1
    assert "no exercise mine.py - give --exercise, one of unfold, fold" in capsys.readouterr().err
    assert command("grade", other, "--exercise=conv2d", "--json") == 1
    [found] = json.loads(capsys.readouterr().out)
    assert found["functions"][0]["sentences"] == [MISTAKES["bias_missing"]]
    assert command("grade") == 1
    assert command("exercises") == 1
    err = capsys.readouterr().err
    assert "no file to grade" in err
    assert "no folder for the exercises" in err

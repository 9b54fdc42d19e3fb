from hw2.input.paths import first_few, shown


def test_a_path_stays_on_one_line_and_encodes():
    assert shown("cats/\N{CAT FACE} é.png") == "cats/\N{CAT FACE} é.png"
    assert shown("a\nb\x1b[1m\udcff") == r"a\nb\x1b[1m\udcff"
    shown("\udcff").encode()


def test_a_long_list_ends_in_a_count():
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(list("abcdefg"), 3) == "a, b, c and 4 more"

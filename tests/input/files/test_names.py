from hw2.input.files.names import all_differ, beginning, first_few, shown


def test_a_path_stays_on_one_line_and_encodes():
    assert shown("cats/\N{CAT FACE} é.png") == "cats/\N{CAT FACE} é.png"
    assert shown("a\nb\x1b[1m\udcff") == r"a\nb\x1b[1m\udcff"
    shown("\udcff").encode()


def test_a_beginning_is_text_or_hexadecimal():
    assert beginning(b"<html>\r\n") == '"<html>"'
    assert beginning(b"\x89PNG") == "the bytes 89 50 4e 47"
    assert beginning(b"caf\xe9") == "the bytes 63 61 66 e9"
    assert beginning(b"\n") == "the bytes 0a"


def test_a_long_list_ends_in_a_count():
    assert first_few(["a", "b"]) == "a, b"
    assert first_few(list("abcdefg"), 3) == "a, b, c and 4 more"


def test_names_that_differ():
    assert all_differ([])
    assert all_differ(["a", "b", "\udcff", "ab"])
    assert not all_differ(["a", "b", "a"])
    assert not all_differ(("", ""))


def test_names_of_the_same_hash_differ():
    class Name(str):
        __slots__ = ()

        def __hash__(self):
            return 1

    assert all_differ([Name("a"), Name("b")])
    assert not all_differ([Name("a"), Name("b"), Name("a")])

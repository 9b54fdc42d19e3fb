"""The convolutions that conv_ops.py times."""


def test_drawn_shapes_are_those_of_the_seed_and_within_bounds():
    import convolutions

    drawn = convolutions.drawn(60, seed=1)
    assert drawn == convolutions.drawn(60, seed=1) != convolutions.drawn(60, seed=2)
    for shape in drawn:
        assert 5e7 <= shape.multiply_adds <= 5e9
        assert shape.megabytes <= 500
        assert 1 <= shape.batch <= 64
        assert 5 <= shape.side <= 224
        assert all(3 <= channels <= 512 for channels in (shape.c, shape.o))
    assert {shape.stride for shape in drawn} == {1, 2, 3}
    assert {shape.dilation for shape in drawn} == {1, 2}
    assert {(1, 7), (7, 1)} <= {shape.kernel for shape in convolutions.drawn(60, seed=1)}
    assert len(convolutions.layers(32)) == 28


def test_a_shape_has_the_size_of_its_result():
    import convolutions

    shape = convolutions.Shape("", 2, 9, (1, 3), 2, 2, "VALID", 3, 4)
    assert str(shape) == "2x9x9, 1x3/2 dilated by 2 VALID, 3->4"
    assert shape.out == (5, 3)  # rows 0, 2, ... 8; columns 0, 2, 4 with taps up to 4 further
    assert shape.multiply_adds == 2 * 5 * 3 * 3 * 3 * 4
    assert shape._replace(padding="SAME").out == (5, 5)

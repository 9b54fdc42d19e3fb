"""What the ablation changes: the decay, which has no flag of its own."""

import pytest
import tensorflow as tf

from hw2.training.optimizers import Sgd


@pytest.mark.parametrize(("tricks", "bias"), [((), 0.95), (("no decay on bias and norm",), 1.0)])
def test_without_the_trick_bias_and_norm_decay_as_the_weights_do(tricks, bias):
    import bag_of_tricks

    variables = {"w": tf.Variable(tf.ones([2, 2])), "b": tf.Variable(tf.ones([2]))}
    optimizer = Sgd(variables, weight_decay=0.1, decoupled=True)
    nothing = [tf.zeros_like(variable) for variable in variables.values()]
    with bag_of_tricks.decayed(tricks):
        optimizer.apply(nothing, rate=tf.constant(0.5), step=tf.constant(0))
    assert variables["w"].numpy() == pytest.approx(0.95)
    assert variables["b"].numpy() == pytest.approx(bias)
    optimizer.apply(nothing, rate=tf.constant(0.5), step=tf.constant(0))
    assert variables["b"].numpy() == pytest.approx(bias)

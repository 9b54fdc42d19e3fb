"""Layers with weights, as `tf.Module`s, all called alike: `layer(x, training=, seed=)`."""

from hw2.layers.conv import Conv as Conv
from hw2.layers.conv import conv_stack as conv_stack
from hw2.layers.dense import Dense as Dense
from hw2.layers.dense import dense_stack as dense_stack
from hw2.layers.depthwise import DepthwiseConv as DepthwiseConv
from hw2.layers.dropout import Dropout as Dropout
from hw2.layers.dropout import SpatialDropout as SpatialDropout
from hw2.layers.fire import Fire as Fire
from hw2.layers.inception import InceptionV1 as InceptionV1
from hw2.layers.inception import InceptionV2 as InceptionV2
from hw2.layers.inverted_residual import InvertedResidual as InvertedResidual
from hw2.layers.norm import BatchNorm as BatchNorm
from hw2.layers.pool import AvgPool as AvgPool
from hw2.layers.pool import MaxPool as MaxPool
from hw2.layers.residual import BasicBlock as BasicBlock
from hw2.layers.residual import Bottleneck as Bottleneck
from hw2.layers.sequential import Sequential as Sequential
from hw2.layers.squeeze_excite import SqueezeExcite as SqueezeExcite

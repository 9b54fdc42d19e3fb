"""Stateless tensor functions: NHWC, any float dtype, each with its own gradient."""

from hw2.ops.conv import ALGORITHMS as ALGORITHMS
from hw2.ops.conv import algorithm as algorithm
from hw2.ops.conv import conv2d as conv2d
from hw2.ops.conv import keeps_images as keeps_images
from hw2.ops.conv import portable as portable
from hw2.ops.deform import deform_conv2d as deform_conv2d
from hw2.ops.depthwise import depthwise_conv2d as depthwise_conv2d
from hw2.ops.depthwise import separable_conv2d as separable_conv2d
from hw2.ops.local import locally_connected2d as locally_connected2d
from hw2.ops.octave import octave_conv2d as octave_conv2d
from hw2.ops.patches import fold as fold
from hw2.ops.patches import unfold as unfold
from hw2.ops.patches_nd import fold1d as fold1d
from hw2.ops.patches_nd import fold3d as fold3d
from hw2.ops.patches_nd import unfold1d as unfold1d
from hw2.ops.patches_nd import unfold3d as unfold3d
from hw2.ops.pool import avg_pool2d as avg_pool2d
from hw2.ops.pool import fastest_pool as fastest_pool
from hw2.ops.pool import max_pool2d as max_pool2d
from hw2.ops.signal import conv1d as conv1d
from hw2.ops.signal import conv1d_transpose as conv1d_transpose
from hw2.ops.transpose import conv2d_transpose as conv2d_transpose
from hw2.ops.volume import conv3d as conv3d
from hw2.ops.volume import conv3d_transpose as conv3d_transpose

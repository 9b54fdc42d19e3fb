"""Words for every mistake that can be told from its results, and those that go together."""

PADS = (
    "odd_in_front",
    "unpadded",
    "all_behind",
    "all_in_front",
    "half_on_both",
    "edges_repeated",
    "wrapped",
    "odd_above",
    "odd_left",
    "all_below",
    "all_right",
    "all_above",
    "all_left",
)
TAPS = ("flipped", "column_taps", "channels_outermost", "flipped_rows", "flipped_columns")
WINDOW = (  # where there are no filters
    "window_flipped",
    "column_taps",
    "channels_outermost",
    "window_flipped_rows",
    "window_flipped_columns",
)
POSITIONS = (
    "positions_swapped",
    "last_position",
    "last_row_of_positions",
    "last_column_of_positions",
)
IMAGES = ("image_swapped", "first_image", "later_images_zero")
FILTERS = ("filters_reshaped", "channels_reversed", "first_channel", "last_tap", "averaged")

MISTAKES = {
    # padding
    "odd_in_front": "Padding on the wrong side: where the number of zeros is odd, the extra one "
    "is in front (above, or to the left). It belongs behind: before = zeros // 2.",
    "all_behind": "Padding on the wrong side: all zeros are behind the image. Half of them, "
    "rounded down, belong in front: before = zeros // 2.",
    "all_in_front": "Padding on the wrong side: all zeros are in front of the image. Half of them, "
    "rounded down, belong in front and the rest behind.",
    "odd_above": "Padding on the wrong side: where the number of rows of zeros is odd, the extra "
    "row is above the image. It belongs below: above = zeros // 2. The columns are right.",
    "odd_left": "Padding on the wrong side: where the number of columns of zeros is odd, the extra "
    "column is on the left of the image. It belongs on the right: left = zeros // 2. The rows are "
    "right.",
    "all_below": "Padding on the wrong side: all rows of zeros are below the image. Half of them, "
    "rounded down, belong above: above = zeros // 2. The columns are right.",
    "all_right": "Padding on the wrong side: all columns of zeros are on the right of the image. "
    "Half of them, rounded down, belong on the left: left = zeros // 2. The rows are right.",
    "all_above": "Padding on the wrong side: all rows of zeros are above the image. Half of them, "
    "rounded down, belong above and the rest below. The columns are right.",
    "all_left": "Padding on the wrong side: all columns of zeros are on the left of the image. "
    "Half of them, rounded down, belong on the left and the rest on the right. The rows are right.",
    "padding_swapped": "Height and width swapped in the padding: the rows of zeros come from the "
    "kernel's height and belong above and below, the columns from its width, left and right.",
    "unpadded": "Padding dropped: SAME gives what VALID should give. Put the zeros around the "
    "image before the window slides.",
    "half_on_both": "Padding by kernel // 2 on both sides: that is SAME only for odd kernels and "
    "stride 1. Compute the zeros from the number of positions.",
    "padded_undilated": "Dilation forgotten in the padding: a dilated window spans dilation * "
    "(kernel - 1) + 1 pixels, and SAME must be computed from that span.",
    "padded_unstrided": "Stride forgotten in the padding: with a stride, SAME takes (positions - "
    "1) * stride + span - size zeros, not those of stride 1.",
    "rounded_down": "Positions rounded down: with SAME there are ceil(size / stride) of them.",
    "edges_repeated": "Edges repeated: outside the image a tap reads the nearest pixel. It must "
    "read 0.",
    "wrapped": "Wrapped around: outside the image a tap reads the pixel at the opposite side (a "
    "negative index in Python counts from the end). It must read 0.",
    # where the window is
    "stride_dropped": "Stride dropped: the window moves by one pixel at a time.",
    "dilation_dropped": "Dilation dropped: neighbouring taps are one pixel apart.",
    "strides_swapped": "Height and width swapped in the strides: the first is that of the rows.",
    "dilations_swapped": "Height and width swapped in the dilations: the first is that of the "
    "rows.",
    "kernel_swapped": "Height and width swapped in the kernel: the first is its number of rows.",
    "image_swapped": "Height and width swapped: rows and columns of the image are exchanged.",
    "last_position": "The last position is missing: a window fits size - kernel + 1 times.",
    "last_row_of_positions": "The last row of positions is missing: a window fits H - kH + 1 times "
    "from top to bottom.",
    "last_column_of_positions": "The last column of positions is missing: a window fits W - kW + 1 "
    "times from left to right.",
    "last_row_zero": "The last row of positions stays zero: the loop over rows has H - kH + 1 "
    "rounds.",
    "last_column_zero": "The last column of positions stays zero: the loop over columns has W - kW "
    "+ 1 rounds.",
    "positions_swapped": "Rows and columns of positions swapped: position (i, j) begins at row i "
    "and column j of the image. Look at the order of i and j in the slices and indices.",
    # what a row of the matrix is
    "column_taps": "Taps in the wrong order: they run down the columns of the window. They must "
    "run along its rows: all of row 0 first, then row 1.",
    "channels_outermost": "Channel order: each channel's taps are together. The channels of a tap "
    "must be next to each other, channels innermost.",
    "flipped": "Filter flipped: the window is read from its last tap to its first, which is the "
    "mathematicians' convolution. Tap (a, b) must meet row a and column b of the "
    "window.",
    "flipped_rows": "Filter flipped up-down: tap (a, b) must meet row a of the window, counted "
    "from above.",
    "flipped_columns": "Filter flipped left-right: tap (a, b) must meet column b of the window, "
    "counted from the left.",
    "window_flipped": "Window flipped: its taps are in the order from the last to the first. Tap "
    "(a, b) belongs to row a and column b of the window, counted from the upper left.",
    "window_flipped_rows": "Window flipped up-down: tap (a, b) belongs to row a of the window, "
    "counted from above.",
    "window_flipped_columns": "Window flipped left-right: tap (a, b) belongs to column b of the "
    "window, counted from the left.",
    "last_tap": "The last tap is missing: the loops over the window must include its last row and "
    "column (taps).",
    "first_image": "One image for all: every image of the batch has the result of the first.",
    "later_images_zero": "Only the first image is handled: the images after the first stay zero. "
    "Take all images at once with : as the first index, or loop over them.",
    "one_image": "Only the first image counts: the gradient is a sum over all images of the batch.",
    # channels and filters
    "filters_reshaped": "Filters reshaped in the wrong order: a reshape to [O, ...] and a "
    "transpose mixes the weights up. Each filter is a column: reshape to [-1, O], without a "
    "transpose.",
    "weights_by_column": "Height and width swapped in the filters: the first two axes of w are kH, "
    "kW, and must stay in this order when w is reshaped.",
    "channels_reversed": "Channels in reversed order: channel c of the image must meet channel c "
    "of the filter.",
    "first_channel": "Only the first channel is summed: the sum goes over all channels.",
    "filters_transposed": "Channels and filters exchanged: the last two axes of w are C, O.",
    # sums
    "averaged": "A mean instead of a sum: the numbers are divided by how many there are.",
    "averaged_images": "A mean instead of a sum over the images: do not divide by the batch size.",
    "averaged_positions": "A mean instead of a sum over images and positions: do not divide by "
    "their number.",
    "assigned": "Overwritten instead of added: a pixel that several windows read gets the number "
    "of one of them alone. Use += where the windows overlap.",
    "assigned_by_tap": "Overwritten instead of added: a pixel that several windows read gets the "
    "number of one of them alone. Use += where the windows overlap.",
    "images_only": "Summed over the images alone: rows and columns of positions must be reduced "
    "too, axes 0, 1 and 2.",
    "positions_only": "Each image by itself: the images of the batch must be reduced too, axes 0, "
    "1 and 2.",
    # bias
    "bias_missing": "Bias missing: the sums are right, but the bias is not added.",
    "bias_twice": "Bias added twice.",
    "bias_by_column": "Bias for each column of positions instead of each filter: it must run "
    "along the last axis of the result.",
    "bias_before_sum": "Bias inside the sum: it is added once for each tap and channel. Add it "
    "once, after the sum.",
    # Winograd
    "one_side": "One side only: the matrix must be multiplied from the left, and its transpose "
    "from the right.",
    "sides_swapped": "Rows and columns exchanged: the result is the transposed one.",
    "not_transposed": "B in place of its transpose: the tile is B' d B, with B' as the text "
    "has it.",
    "odd_rest": "The last row or column is missing: where the number of results is odd, the last "
    "tiles reach over the edge, and half of what they give is still needed.",
    "odd_rest_cut": "The last row or column is cut off: where the number of results is odd, the "
    "last tiles reach over the edge, and half of what they give is still needed.",
    "tile_transposed": "Tiles transposed: rows and columns are exchanged within each tile of 2x2.",
    # batch norm
    "all_axes": "One mean for all channels: each channel has its own, over axes 0, 1 and 2.",
    "each_image": "Each image by itself: mean and variance of a channel go over all images, axes "
    "0, 1 and 2 (this is layer normalization).",
    "unbiased": "Variance divided by n - 1: batch norm divides by n.",
    "epsilon_outside": "Epsilon outside the root: it is added to the variance, before the root.",
    "epsilon_missing": "Epsilon missing: it is added to the variance, before the root.",
    "root_missing": "Divided by the variance: it must be its square root.",
    "mean_missing": "The mean is not subtracted.",
    "gamma_missing": "Gamma missing: multiply by it.",
    "beta_missing": "Beta missing: add it.",
    "gamma_beta_swapped": "Gamma and beta exchanged.",
    "constant_statistics": "Mean and variance taken as constants: both depend on x, so dx has two "
    "more terms.",
    "constant_mean": "The mean is taken as a constant: it depends on x, so dx has one more term.",
    "constant_variance": "The variance is taken as a constant: it depends on x, so dx has one "
    "more term.",
    "sums_for_means": "Sums instead of means in dx: both terms that are subtracted are means over "
    "images and positions.",
    "not_normalized": "Gamma's gradient by x itself: gamma multiplies the normalized x, and so "
    "does its gradient.",
    # the inner loop
    "overwritten": "Overwritten instead of added: the sums must be added to what is in the result.",
    "half_the_columns": "Half of the columns are missing: there are 16 filters.",
    "last_row": "The last row is missing: there are 6 rows of patches.",
    "negated": "The sign is wrong.",
}

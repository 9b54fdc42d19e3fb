import numpy as np


def place(size, k, s, d, padding):
    span = d * (k - 1) + 1
    if padding == "VALID":
        return (size - span) // s + 1, 0, 0
    positions = (size + s - 1) // s
    zeros = max((positions - 1) * s + span - size, 0)
    return positions, zeros // 2, zeros - zeros // 2


def conv2d(x, w, strides, padding, dilations):
    kh, kw, _, o = w.shape
    (sh, sw), (dh, dw) = strides, dilations
    high, above, below = place(x.shape[1], kh, sh, dh, padding)
    wide, left, right = place(x.shape[2], kw, sw, dw, padding)
    x = np.pad(x, [(0, 0), (above, below), (left, right), (0, 0)])
    y = np.zeros((len(x), high, wide, o), x.dtype)
    for a in range(kh):
        for b in range(kw):
            rows = slice(dh * a, dh * a + sh * (high - 1) + 1, sh)
            columns = slice(dw * b, dw * b + sw * (wide - 1) + 1, sw)
            y += x[:, rows, columns] @ w[a, b]
    return y

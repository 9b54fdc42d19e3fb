import numpy as np


def pads(kernel, padding):
    if padding == "VALID":
        return [(0, 0), (0, 0)]
    return [((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel]


def grad_bias(dy):
    return dy.sum((0, 1, 2))


def grad_filters(x, dy, kernel, padding):
    kh, kw = kernel
    x = np.pad(x, [(0, 0), *pads(kernel, padding), (0, 0)])
    high, wide = dy.shape[1:3]
    dw = np.zeros((kh, kw, x.shape[3], dy.shape[3]), x.dtype)
    for a in range(kh):
        for b in range(kw):
            tap = x[:, a : a + high, b : b + wide]
            dw[a, b] = tap.reshape(-1, x.shape[3]).T @ dy.reshape(-1, dy.shape[3])
    return dw


def grad_images(dy, w, image_size, padding):
    kh, kw, c, _ = w.shape
    (above, below), (left, right) = pads((kh, kw), padding)
    height, width = image_size
    dx = np.zeros((len(dy), height + above + below, width + left + right, c), dy.dtype)
    high, wide = dy.shape[1:3]
    for a in range(kh):
        for b in range(kw):
            dx[:, a : a + high, b : b + wide] += dy @ w[a, b].T
    return dx[:, above : above + height, left : left + width]

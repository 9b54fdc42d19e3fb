import numpy as np


def unfold(x, kernel):
    kh, kw = kernel
    n, height, width, c = x.shape
    high, wide = height - kh + 1, width - kw + 1
    result = np.zeros((n, high, wide, kh * kw * c), x.dtype)
    for i in range(high):
        for j in range(wide):
            result[:, i, j] = x[:, i : i + kh, j : j + kw].reshape(n, kh * kw * c)
    return result

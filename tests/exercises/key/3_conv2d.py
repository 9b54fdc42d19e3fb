import numpy as np


def unfold(x, kernel):
    kh, kw = kernel
    high, wide = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    taps = [x[:, a : a + high, b : b + wide] for a in range(kh) for b in range(kw)]
    return np.concatenate(taps, 3)


def conv2d(x, w, bias, padding):
    kh, kw, c, o = w.shape
    if padding == "SAME":
        above, left = (kh - 1) // 2, (kw - 1) // 2
        x = np.pad(x, [[0, 0], [above, kh - 1 - above], [left, kw - 1 - left], [0, 0]])
    rows = unfold(x, (kh, kw))
    y = rows @ w.reshape(kh * kw * c, o)
    return y + bias

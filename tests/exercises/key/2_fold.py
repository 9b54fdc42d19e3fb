import numpy as np


def fold(patches, image_size, kernel):
    kh, kw = kernel
    height, width = image_size
    n, high, wide, values = patches.shape
    c = values // (kh * kw)
    taps = patches.reshape(n, high, wide, kh, kw, c)
    result = np.zeros((n, height, width, c), patches.dtype)
    for a in range(kh):
        for b in range(kw):
            result[:, a : a + high, b : b + wide] += taps[:, :, :, a, b]
    return result

import numpy as np

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def transform_filters(w):
    return np.einsum("ia,abco,jb->ijco", G, w, G).astype(w.dtype)


def transform_tile(tile):
    return np.einsum("ia,abc,jb->ijc", BT, tile, BT).astype(tile.dtype)


def transform_products(products):
    return np.einsum("ia,abo,jb->ijo", AT, products, AT).astype(products.dtype)


def conv2d(x, w):
    n, height, width, _ = x.shape
    high, wide = height - 2, width - 2
    x = np.pad(x, [(0, 0), (0, high % 2), (0, wide % 2), (0, 0)])
    u = transform_filters(w)
    y = np.zeros((n, high + high % 2, wide + wide % 2, w.shape[3]), x.dtype)
    for k in range(n):
        for i in range(0, high, 2):
            for j in range(0, wide, 2):
                v = transform_tile(x[k, i : i + 4, j : j + 4])
                m = np.einsum("ijc,ijco->ijo", v, u)
                y[k, i : i + 2, j : j + 2] = transform_products(m)
    return y[:, :high, :wide]

import numpy as np


def batch_norm(x, gamma, beta, epsilon):
    mean = x.mean((0, 1, 2))
    variance = x.var((0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + x.dtype.type(epsilon))
    return gamma * normal + beta


def batch_norm_gradients(dy, x, gamma, epsilon):
    root = np.sqrt(x.var((0, 1, 2)) + x.dtype.type(epsilon))
    normal = (x - x.mean((0, 1, 2))) / root
    dgamma = (dy * normal).sum((0, 1, 2))
    dbeta = dy.sum((0, 1, 2))
    dx = gamma / root * (dy - dy.mean((0, 1, 2)) - normal * (dy * normal).mean((0, 1, 2)))
    return dx, dgamma, dbeta

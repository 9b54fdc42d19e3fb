"""The convolution as a kernel in C++, compiled at its first use."""

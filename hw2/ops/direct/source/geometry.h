// Sizes and padding of sliding windows, in TensorFlow's sense; hw2/ops/geometry.py in C++.
#pragma once

#include <algorithm>
#include <vector>

#include "product.h"

namespace hw2 {

// A window sliding along one axis of an image.
struct Axis {
  int size;    // pixels of the image
  int taps;    // pixels of the window
  int stride, dilation;
  int before;  // zeros in front of the image
  int out;     // positions of the window

  int span() const { return (taps - 1) * dilation + 1; }
};

enum class Padding { SAME, VALID, EXPLICIT };

inline Axis lay(int size, int taps, int stride, int dilation, Padding padding, int before,
                int after) {
  Axis axis{size, taps, stride, dilation, 0, 0};
  if (padding == Padding::SAME) {
    axis.out = (size + stride - 1) / stride;
    axis.before = std::max((axis.out - 1) * stride + axis.span() - size, 0) / 2;
  } else {
    if (padding == Padding::EXPLICIT)
      axis.before = before;
    else
      after = 0;
    const int room = size + axis.before + after - axis.span();
    axis.out = room < 0 ? 0 : room / stride + 1;
  }
  return axis;
}

// A tap of the window: where it reads, from the pixel of output (0, 0), and which filter it is.
struct Tap {
  int row, column, filter;
};

// One dense convolution over an image: what the forward pass is, and each phase of its gradient by
// the image (the outputs whose distance to the strides' grid is the same).
struct Sweep {
  int rows, columns;            // outputs
  int row_stride, column_stride;  // of the window over the image
  std::vector<Tap> taps;        // sorted by row and column
  int top = 0, left = 0, bottom = 0, right = 0;  // the taps' bounding box, or one that holds it

  void close() {
    std::sort(taps.begin(), taps.end(), [](const Tap& a, const Tap& b) {
      return a.row != b.row ? a.row < b.row : a.column < b.column;
    });
    if (taps.empty()) return;
    top = bottom = taps[0].row, left = right = taps[0].column;
    for (const Tap& tap : taps) {
      top = std::min(top, tap.row), bottom = std::max(bottom, tap.row);
      left = std::min(left, tap.column), right = std::max(right, tap.column);
    }
  }

  // Rows and columns of the image under so many outputs.
  int reach_rows(int outputs) const { return (outputs - 1) * row_stride + bottom - top + 1; }
  int reach_columns(int outputs) const { return (outputs - 1) * column_stride + right - left + 1; }

  // Whether no window reaches over the left or right edge of an image.
  bool columns_inside(int width) const {
    return left >= 0 && left + reach_columns(columns) <= width;
  }

  // The windows' values as runs in an image whose rows are `row_values` apart and pixels
  // `pixel_values`, from the corner of the bounding box; neighbouring taps of a row with all their
  // values side by side become one run.
  std::vector<Run> runs(long row_values, long pixel_values, int channels) const {
    std::vector<Run> found;
    for (const Tap& tap : taps) {
      const long offset = (tap.row - top) * row_values + (tap.column - left) * pixel_values;
      if (!found.empty() && found.back().row == tap.row &&
          found.back().offset + found.back().length == offset)
        found.back().length += channels;
      else
        found.push_back({offset, channels, tap.row});
    }
    return found;
  }
};

inline Sweep forward_sweep(const Axis& y, const Axis& x) {
  Sweep sweep{y.out, x.out, y.stride, x.stride, {}};
  for (int i = 0; i < y.taps; i++)
    for (int j = 0; j < x.taps; j++)
      sweep.taps.push_back({i * y.dilation - y.before, j * x.dilation - x.before, i * x.taps + j});
  sweep.close();
  return sweep;
}

// The gradient by the image at pixels (a + stride * r, b + stride * q): a convolution of dy by the
// taps that meet these pixels, dx[p] = sum of dy[(p + before - tap * dilation) / stride] w[tap].
inline Sweep gradient_sweep(const Axis& y, const Axis& x, int a, int b) {
  auto count = [](int size, int first, int stride) {
    return first < size ? (size - first + stride - 1) / stride : 0;
  };
  Sweep sweep{count(y.size, a, y.stride), count(x.size, b, x.stride), 1, 1, {}};
  for (int i = 0; i < y.taps; i++)
    for (int j = 0; j < x.taps; j++) {
      const int u = a + y.before - i * y.dilation, v = b + x.before - j * x.dilation;
      if (u % y.stride || v % x.stride) continue;
      sweep.taps.push_back({u / y.stride, v / x.stride, i * x.taps + j});
    }
  sweep.close();
  return sweep;
}

// All phases of the gradient by the image, row by row of the strides' grid. They have the bounding
// box of all their taps, so that one copy of a part of dy serves them; the first has most outputs.
inline std::vector<Sweep> gradient_sweeps(const Axis& y, const Axis& x) {
  std::vector<Sweep> sweeps;
  for (int a = 0; a < y.stride; a++)
    for (int b = 0; b < x.stride; b++) sweeps.push_back(gradient_sweep(y, x, a, b));
  Sweep all{0, 0, 1, 1, {}};
  for (const Sweep& sweep : sweeps)
    if (sweep.rows > 0 && sweep.columns > 0)
      all.taps.insert(all.taps.end(), sweep.taps.begin(), sweep.taps.end());
  all.close();
  for (Sweep& sweep : sweeps) {
    sweep.top = all.top, sweep.bottom = all.bottom;
    sweep.left = all.left, sweep.right = all.right;
  }
  return sweeps;
}

}  // namespace hw2

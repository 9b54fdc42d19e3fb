// Winograd convolution by 3x3 windows, F(m x m, 3 x 3), in the cache.
//
// Along one axis, m outputs of a filter of 3 taps take P = m + 2 products instead of 3 m: image and
// filter are transformed, multiplied point by point, and the products transformed back. Images are
// cut into tiles of m x m outputs; some tiles at a time are transformed, multiplied for each of the
// P*P points as matrices of [tiles, channels] x [channels, filters], and transformed back, before
// they leave the cache.
//
// Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
// arxiv.org/abs/1509.09308.
#pragma once

#include "cook_toom.h"
#include "sweep.h"

namespace hw2 {

// Which of the matrices, and whether transposed.
enum class Transform { INPUT, FILTER, OUTPUT, FILTER_BACK, OUTPUT_BACK };

template <int M, Transform WHICH>
struct Lines {
  static constexpr int P = M + TAPS - 1;
  static constexpr int FROM = WHICH == Transform::INPUT         ? P
                              : WHICH == Transform::FILTER      ? TAPS
                              : WHICH == Transform::OUTPUT_BACK ? M
                                                                : P;
  static constexpr int TO = WHICH == Transform::OUTPUT        ? M
                            : WHICH == Transform::FILTER_BACK ? TAPS
                                                              : P;
  static constexpr double at(int i, int k) {
    switch (WHICH) {
      case Transform::INPUT: return COOK_TOOM<M>.input.at[i][k];
      case Transform::FILTER: return COOK_TOOM<M>.filter.at[i][k];
      case Transform::OUTPUT: return COOK_TOOM<M>.output.at[i][k];
      case Transform::FILTER_BACK: return COOK_TOOM<M>.filter.at[k][i];
      default: return COOK_TOOM<M>.output.at[k][i];
    }
  }
};

// One line of a transform: the sum over k of at(I, k) * x[k * stride], the zeros left out.
template <class L, int I, class T, int K = 0>
__attribute__((always_inline)) inline Vec<T> line(const Vec<T>* x, int stride,
                                                  Vec<T> sum = Vec<T>{}, bool begun = false) {
  if constexpr (K == L::FROM) {
    return sum;
  } else {
    constexpr double factor = L::at(I, K);
    if constexpr (factor != 0) {
      if constexpr (factor == 1)
        sum = begun ? sum + x[K * stride] : x[K * stride];
      else if constexpr (factor == -1)
        sum = begun ? sum - x[K * stride] : -x[K * stride];
      else
        sum = begun ? sum + x[K * stride] * T(factor) : x[K * stride] * T(factor);
      begun = true;
    }
    return line<L, I, T, K + 1>(x, stride, sum, begun);
  }
}

template <class L, class T, int... I>
__attribute__((always_inline)) inline void lines(const Vec<T>* x, int stride, Vec<T>* y,
                                                 int y_stride, std::integer_sequence<int, I...>) {
  ((y[I * y_stride] = line<L, I, T>(x, stride)), ...);
}

// Transforms a square [FROM, FROM] of registers into [TO, TO], down the columns and along the rows.
template <class L, class T = float>
__attribute__((always_inline)) inline void square(const Vec<T>* x, Vec<T>* y) {
  Vec<T> half[L::TO * L::FROM];
  using Each = std::make_integer_sequence<int, L::TO>;
#pragma GCC unroll 8
  for (int j = 0; j < L::FROM; j++) lines<L, T>(x + j, L::FROM, half + j, L::FROM, Each{});
#pragma GCC unroll 8
  for (int i = 0; i < L::TO; i++) lines<L, T>(half + i * L::FROM, 1, y + i * L::TO, 1, Each{});
}

inline long whole(long channels) { return (channels + LANES<float> - 1) / LANES<float> * LANES<float>; }

// Tiles of all images, one after another.
struct Tiles {
  int rows, columns;  // outputs of an image
  int down, across;   // tiles of an image
  int top, left;      // zeros in front
  long count;         // of all images

  Tiles(const Axis& y, const Axis& x, int images, int m)
      : rows(y.out), columns(x.out), down((y.out + m - 1) / m), across((x.out + m - 1) / m),
        top(y.before), left(x.before), count((long)images * down * across) {}
};

// Transforms squares of an image, `side` pixels wide and `m` apart, to points.
//
//   to  [P*P points][tiles][whole(channels)], points `point` values apart
template <int M, Transform WHICH, class T>
void transform_tiles(const Images<T>& x, const Tiles& tiles, int top, int left, long first,
                     long last, float* to, long point) {
  using L = Lines<M, WHICH>;
  constexpr int SIDE = L::FROM, POINTS = L::TO * L::TO, W = LANES<float>;
  const long c = x.channels, row = whole(c);
  T* zeros = scratch<T>(row, 3);
  std::memset(zeros, 0, row * sizeof(T));
  for (long t = first; t < last; t++, to += row) {
    const long n = t / (tiles.down * tiles.across);
    const int at = t % (tiles.down * tiles.across);
    const int y0 = at / tiles.across * M - top, x0 = at % tiles.across * M - left;
    const T* image = x.data + n * x.height * x.width * x.pixel;
    const T* pixels[SIDE * SIDE];
    for (int i = 0; i < SIDE; i++)
      for (int j = 0; j < SIDE; j++) {
        const int r = y0 + i, q = x0 + j;
        const bool there = r >= 0 && r < x.height && q >= 0 && q < x.width;
        pixels[i * SIDE + j] = there ? image + ((long)r * x.width + q) * x.pixel : zeros;
      }
    for (long k = 0; k < c; k += W) {
      Vec<float> from[SIDE * SIDE], points[POINTS];
      if (k + W <= c)
#pragma GCC unroll 49
        for (int i = 0; i < SIDE * SIDE; i++) from[i] = load_wide(pixels[i] + k);
      else
        for (int i = 0; i < SIDE * SIDE; i++) from[i] = load_wide_part(pixels[i] + k, c - k);
      square<L>(from, points);
#pragma GCC unroll 49
      for (int i = 0; i < POINTS; i++) store(to + i * point + k, points[i]);
    }
  }
}

// Transforms filters of a panel: [panel][points][channels][registers of the panel].
template <int M, class T>
void transform_filters_of(const Panels& panels, int panel, int channels, const T* filters,
                          FilterSteps steps, float* to) {
  using L = Lines<M, Transform::FILTER>;
  constexpr int POINTS = L::TO * L::TO;
  const int width = panels.width(panel) * LANES<float>, first = panels.first(panel);
  to += (long)first * channels * POINTS;
  constexpr int HALF = LANES<double>;
  for (int c = 0; c < channels; c++)
    for (int j = 0; j < width; j += HALF) {
      // In float64: the filters are few, and their rounding would be in every product.
      Vec<double> taps[TAPS * TAPS], points[POINTS];
      for (int t = 0; t < TAPS * TAPS; t++) {
        double lanes[HALF];
        const T* from = filters + t * steps.tap + c * steps.channel + (first + j) * steps.filter;
        for (int o = 0; o < HALF; o++)
          lanes[o] = first + j + o < panels.filters ? widen(from[o * steps.filter]) : 0;
        taps[t] = load(lanes);
      }
      square<L, double>(taps, points);
      for (int i = 0; i < POINTS; i++) {
        float* point = to + ((long)i * channels + c) * width + j;
        for (int o = 0; o < HALF; o++) point[o] = points[i][o];
      }
    }
}

constexpr long TILES_BYTES = 512 << 10;  // of the transformed tiles: half a second-level cache
constexpr long LEAST_TILES = 28;         // a filter's load from the third level serves so many

// Convolves: y = transform back of (points of x times points of the filters).
template <int M, class T>
void winograd(const Images<T>& x, const Tiles& tiles, const float* filters, const Panels& panels,
              const Results<T>& y, const float* bias, bool relu,
              int threads, const Each& each) {
  constexpr int POINTS = (M + 2) * (M + 2), W = LANES<float>;
  using Back = Lines<M, Transform::OUTPUT>;
  const long c = x.channels, row = whole(c);
  long block = std::max(LEAST_TILES, TILES_BYTES / (POINTS * row * (long)sizeof(float)));
  const int most = most_rows<float>(panels.columns);
  block = (block + most - 1) / most * most;
  long blocks = (tiles.count + block - 1) / block;
  blocks = (blocks + threads - 1) / threads * threads;  // as much for each
  block = (tiles.count + blocks - 1) / blocks;
  const Run run{0, (int)c, 0};
  const bool past = past_cache(y.data, y.pixel, (long)x.count * y.image);
  each(blocks, WORTH_WAKING, [&](long b) {
    const long first = b * block, last = std::min(first + block, tiles.count), count = last - first;
    if (count <= 0) return;
    const long point = count * row + 16;  // not a power of two: the points' sets differ
    float* v = scratch<float>(POINTS * point + W, 0);
    transform_tiles<M, Transform::INPUT>(x, tiles, tiles.top, tiles.left, first, last, v, point);
    const int cuts = (count + most - 1) / most, m = (count + cuts - 1) / cuts;
    for (int p = 0; p < panels.count; p++) {
      const int width = panels.width(p), o = panels.first(p), lanes = width * W;
      const long product_point = count * lanes + 16;
      float* products = scratch<float>(POINTS * product_point, 1);
      const float* w = filters + (long)o * c * POINTS;
      const auto full = windows_for<Plain<float>>(m, width);
      for (int i = 0; i < POINTS; i++, w += (long)c * lanes)
        for (long t = 0; t < count; t += m) {
          const int rows = std::min<long>(m, count - t);
          const auto product = rows == m ? full : windows_for<Plain<float>>(rows, width);
          product(v + i * point + t * row, row, &run, 1, w,
                  products + i * product_point + t * lanes, lanes, lanes, {});
        }
      for (long t = first; t < last; t++) {
        const long n = t / (tiles.down * tiles.across);
        const int at = t % (tiles.down * tiles.across);
        const int y0 = at / tiles.across * M, x0 = at % tiles.across * M;
        const int down = std::min(M, tiles.rows - y0), across = std::min(M, tiles.columns - x0);
        T* out = y.data + n * y.image + y0 * y.row + x0 * y.pixel + o;
        for (int j = 0; j < lanes && o + j < panels.filters; j += W) {
          const int real = std::min(W, panels.filters - o - j);
          Vec<float> from[POINTS], results[M * M];
          const float* at_point = products + (t - first) * lanes + j;
#pragma GCC unroll 49
          for (int i = 0; i < POINTS; i++) from[i] = load(at_point + i * product_point);
          square<Back>(from, results);
          const Vec<float> offset = bias ? load_part(bias + o + j, real) : Vec<float>{};
          for (int i = 0; i < down; i++)
            for (int k = 0; k < across; k++) {
              Vec<float> value = results[i * M + k] + offset;
              if (relu) value = value < 0 ? Vec<float>{} : value;
              T* to = out + i * y.row + k * y.pixel + j;
              if (past && real == W)
                write_past(to, value);
              else
                write(to, value, real);
            }
        }
      }
    }
    if (past) settle();
  });
}

constexpr long GRADIENT_BYTES = 6 << 20;  // of transformed tiles at a time, in the third level
constexpr long SUMMED_TILES = 64;         // a tile of the result stays in registers over so many

// The filters' gradient: the transpose of the same, summed over all tiles in their order.
//
//   sums  [points][channels][whole(filters)]
//   v, d  memory for `block` tiles of both: [points][tiles][whole(channels)], and of filters
template <int M, class T>
void winograd_filter_gradient(const Images<T>& x, const Images<T>& dy, const Tiles& tiles,
                              long block, float* v, float* d, float* sums, T* dw,
                              const Each& each) {
  constexpr int POINTS = (M + 2) * (M + 2), W = LANES<float>;
  const long c = x.channels, o = dy.channels, rows = whole(c), columns = whole(o);
  const Tiling tile = tiling<float>(c, columns / W);
  for (long first = 0; first < tiles.count; first += block) {
    const long count = std::min(block, tiles.count - first);
    const long v_point = count * rows + 16, d_point = count * columns + 16;
    const long some = 16, parts = (count + some - 1) / some;
    each(2 * parts, WORTH_WAKING, [&](long part) {
      const long begin = part / 2 * some, end = std::min(begin + some, count);
      if (part % 2)
        transform_tiles<M, Transform::OUTPUT_BACK>(dy, tiles, 0, 0, first + begin, first + end,
                                                   d + begin * columns, d_point);
      else
        transform_tiles<M, Transform::INPUT>(x, tiles, tiles.top, tiles.left, first + begin,
                                             first + end, v + begin * rows, v_point);
    });
    const long cut = (c + 63) / 64;
    each(POINTS * cut, WORTH_WAKING, [&](long unit) {
      const long i = unit / cut, c0 = unit % cut * 64, c1 = std::min(c, c0 + 64);
      for (long t = 0; t < count; t += SUMMED_TILES) {
        const int some = std::min(SUMMED_TILES, count - t);
        for (long j = 0; j < columns; j += tile.columns * W) {
          const int width = std::min<long>(tile.columns, (columns - j) / W);
          const int most = most_rows<float>(width);
          const int cuts = (c1 - c0 + most - 1) / most, m = (c1 - c0 + cuts - 1) / cuts;
          for (long k = c0; k < c1; k += m)
            outer_for<Plain<float>>(std::min<long>(m, c1 - k), width)(
                v + i * v_point + t * rows + k, 0, rows, d + i * d_point + t * columns + j, columns,
                1, some, sums + (i * c + k) * columns + j, columns, first + t > 0, {});
        }
      }
    });
  }
  using Back = Lines<M, Transform::FILTER_BACK>;
  each(c, POINTS * c * columns, [&](long k) {
    for (long j = 0; j < o; j += W) {
      Vec<float> from[POINTS], taps[TAPS * TAPS];
      for (int i = 0; i < POINTS; i++) from[i] = load(sums + (i * c + k) * columns + j);
      square<Back>(from, taps);
      for (int t = 0; t < TAPS * TAPS; t++) write(dw + (t * c + k) * o + j, taps[t], o - j);
    }
  });
}

// winograd.cc holds the compiled functions of each tile.
#define EACH_TILE(PREFIX, M, T)                                                                    \
  PREFIX template void transform_filters_of<M>(const Panels&, int, int, const T*, FilterSteps,     \
                                               float*);                                            \
  PREFIX template void winograd<M>(const Images<T>&, const Tiles&, const float*, const Panels&,    \
                                   const Results<T>&, const float*, bool, int, const Each&);       \
  PREFIX template void winograd_filter_gradient<M>(const Images<T>&, const Images<T>&,             \
                                                   const Tiles&, long, float*, float*, float*, T*, \
                                                   const Each&);
#define EACH_NUMBER(PREFIX, M) EACH_TILE(PREFIX, M, float) EACH_TILE(PREFIX, M, BFloat16)
EACH_NUMBER(extern, 2)
EACH_NUMBER(extern, 3)
EACH_NUMBER(extern, 4)
EACH_NUMBER(extern, 5)

}  // namespace hw2

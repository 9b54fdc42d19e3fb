// Pooling and its gradients, over images where they lie.
//
// Pooling is bound by memory: every image is read once, every result written once, and nothing is
// written in between. The largest value leaves behind which tap it was, in one byte, so that its
// gradient reads no image. A gradient is gathered, not scattered: each pixel looks up the windows
// that hold it, so that it is written once and its sum has one order.
#pragma once

#include <limits>

#include "geometry.h"
#include "numbers.h"
#include "sweep.h"

namespace hw2 {

// N values side by side, in the type of their sums; and integers as wide.
template <class Sum, int N>
struct Lanes {
  using Int = std::conditional_t<sizeof(Sum) == 8, int64_t, int32_t>;
  typedef Sum Values __attribute__((vector_size(N * sizeof(Sum))));
  typedef Int Ints __attribute__((vector_size(N * sizeof(Sum))));
};
template <class Sum>
struct Lanes<Sum, 1> {
  using Int = std::conditional_t<sizeof(Sum) == 8, int64_t, int32_t>;
  using Values = Sum;
  using Ints = Int;
};
template <class T, int N>
using Values = typename Lanes<SumOf<T>, N>::Values;
template <class T, int N>
using Ints = typename Lanes<SumOf<T>, N>::Ints;

template <class T, int N>
inline Values<T, N> read(const T* from) {
  if constexpr (N == LANES<SumOf<T>>) {
    return load_wide(from);
  } else if constexpr (N == 1) {
    return widen(*from);
  } else {
    Values<T, N> value;
    for (int k = 0; k < N; k++) value[k] = widen(from[k]);
    return value;
  }
}

template <class T, int N>
inline void put(T* to, Values<T, N> value) {
  if constexpr (N == LANES<SumOf<T>>) {
    store_narrow(to, value);
  } else if constexpr (N == 1) {
    *to = narrow(value, T{});
  } else {
    for (int k = 0; k < N; k++) to[k] = narrow(value[k], T{});
  }
}

// Which tap was the largest; the greatest number of the type, where there is none.
template <class I>
constexpr int NONE = std::is_same_v<I, uint8_t> ? 255 : 0x7fffffff;

template <class T, int N, class I>
inline Ints<T, N> read_taps(const I* from) {
#if defined(__AVX512F__)  // GCC 12 takes the bytes apart one by one
  if constexpr (sizeof(I) == 1 && sizeof(SumOf<T>) == 4 && N == 16)
    return (Ints<T, N>)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)from));
#elif defined(__AVX2__)
  if constexpr (sizeof(I) == 1 && sizeof(SumOf<T>) == 4 && N == 8)
    return (Ints<T, N>)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
#endif
  if constexpr (N == 1) {
    return *from;
  } else {
    Ints<T, N> taps;
    for (int k = 0; k < N; k++) taps[k] = from[k];
    return taps;
  }
}

template <class T, int N, class I>
inline void put_taps(I* to, Ints<T, N> taps) {
  if constexpr (N == 1) {
    *to = taps;
  } else {
    typedef I Stored __attribute__((vector_size(N * sizeof(I)), aligned(1), may_alias));
    *reinterpret_cast<Stored*>(to) = __builtin_convertvector(taps, Stored);
  }
}

// The taps of a position that lie inside of the image: `count` from `first` on.
struct Inside {
  int first, count;
};

inline std::vector<Inside> inside(const Axis& axis) {
  std::vector<Inside> found(axis.out);
  for (int i = 0; i < axis.out; i++) {
    const int start = i * axis.stride - axis.before;
    int a = start < 0 ? (-start + axis.dilation - 1) / axis.dilation : 0;
    int end = start < axis.size ? (axis.size - start + axis.dilation - 1) / axis.dilation : 0;
    a = std::min(a, axis.taps), end = std::min(end, axis.taps);
    found[i] = {a, std::max(end - a, 0)};
  }
  return found;
}

// The windows that hold a pixel: positions, and by which tap.
struct Holder {
  int position, tap;
};

inline std::vector<std::vector<Holder>> holders(const Axis& axis) {
  std::vector<std::vector<Holder>> found(axis.size);
  for (int i = 0; i < axis.out; i++)
    for (int a = 0; a < axis.taps; a++) {
      const int pixel = i * axis.stride + a * axis.dilation - axis.before;
      if (pixel >= 0 && pixel < axis.size) found[pixel].push_back({i, a});
    }
  return found;
}

// Registers that are in flight at once: enough to hide how long a comparison takes.
constexpr int TOGETHER = 4;

// Calls `work(first channel, lanes, registers)` until all channels are done. What is left over is
// done again with its neighbours, or four at a time, or one.
template <class T, class Work>
inline void by_channels(int channels, Work work) {
  constexpr int FULL = LANES<SumOf<T>>;
  using std::integral_constant;
  auto walk = [&](auto lanes) {
    constexpr int N = decltype(lanes)::value;
    int c = 0;
    for (; c + TOGETHER * N <= channels; c += TOGETHER * N)
      work(c, lanes, integral_constant<int, TOGETHER>{});
    for (; c + N <= channels; c += N) work(c, lanes, integral_constant<int, 1>{});
    if (c < channels) work(channels - N, lanes, integral_constant<int, 1>{});
  };
  if (channels >= FULL)
    walk(integral_constant<int, FULL>{});
  else if (FULL > 4 && channels >= 4)
    walk(integral_constant<int, 4>{});
  else
    walk(integral_constant<int, 1>{});
}

// Images, and a window that slides over them.
struct Pooling {
  int count, height, width, channels;
  Axis rows, columns;
  std::vector<Inside> in_rows = inside(rows), in_columns = inside(columns);

  long results() const { return (long)count * rows.out * columns.out * channels; }
  long pixels() const { return (long)count * height * width * channels; }
};

// The part of a window that lies inside of its image.
struct View {
  Inside rows, columns;
  long down, right;  // from tap to tap, in values
  int across;        // taps in a row of the whole window

  // Calls `work(offset from the first tap, number of the tap)` in row order.
  template <class Work>
  void each(Work work) const {
    for (int i = 0; i < rows.count; i++)
      for (int j = 0; j < columns.count; j++)
        work(i * down + j * right, (rows.first + i) * across + columns.first + j);
  }
};

// The largest values under a window, and which taps they were.
template <class T, int N, int R, class I>
inline void largest(const View& view, const T* x, T* y, I* where) {
  Values<T, N> most[R], bad[R];  // the last value that was not a number
  Ints<T, N> tap[R];
  for (int r = 0; r < R; r++) {
    most[r] = Values<T, N>{} - std::numeric_limits<SumOf<T>>::infinity();
    bad[r] = Values<T, N>{};
    // If all are minus infinity, it is the first tap of the window, which may be padding.
    tap[r] = Ints<T, N>{} + (view.rows.first || view.columns.first ? NONE<I> : 0);
  }
  for (int i = 0; i < view.rows.count; i++) {
    Ints<T, N> number = Ints<T, N>{} + (view.rows.first + i) * view.across + view.columns.first;
    const T* from = x + i * view.down;
    for (int j = 0; j < view.columns.count; j++, from += view.right, number += 1)
      for (int r = 0; r < R; r++) {
        const Values<T, N> value = read<T, N>(from + r * N);
        tap[r] = value > most[r] ? number : tap[r];
        most[r] = value > most[r] ? value : most[r];
        bad[r] = value == value ? bad[r] : value;
      }
  }
  for (int r = 0; r < R; r++) {
    put<T, N>(y + r * N, bad[r] == bad[r] ? most[r] : bad[r]);
    put_taps<T, N>(where + r * N, bad[r] == bad[r] ? tap[r] : Ints<T, N>{} + NONE<I>);
  }
}

// What lies where the largest values were; 0 where there were none.
template <class T, int N, int R, class I>
inline void found(const View& view, const T* x, T* y, const I* where) {
  Values<T, N> value[R] = {};
  Ints<T, N> tap[R];
  for (int r = 0; r < R; r++) tap[r] = read_taps<T, N>(where + r * N);
  view.each([&](long offset, int t) {
    for (int r = 0; r < R; r++)
      value[r] = tap[r] == t ? read<T, N>(x + offset + r * N) : value[r];
  });
  for (int r = 0; r < R; r++) put<T, N>(y + r * N, value[r]);
}

// The mean of what lies under a window.
template <class T, int N, int R>
inline void mean(const View& view, const T* x, T* y) {
  Values<T, N> sum[R] = {};
  view.each([&](long offset, int) {
    for (int r = 0; r < R; r++) sum[r] += read<T, N>(x + offset + r * N);
  });
  const SumOf<T> count = std::max(view.rows.count * view.columns.count, 1);
  for (int r = 0; r < R; r++) put<T, N>(y + r * N, sum[r] / count);
}

// How many positions from each one on are alike: their windows hold the same taps, and lie side by
// side, so that they are as one position of so many times the channels.
inline std::vector<int> alike(int count, const std::function<bool(int)>& as_before) {
  std::vector<int> run(count, 1);
  for (int i = count - 1; i > 0; i--)
    if (as_before(i)) run[i - 1] = run[i] + 1;
  return run;
}

// Calls `work(view, first pixel, result, values)` with offsets in values, for every position of a
// window, or run of them.
template <class Work>
void over_windows(const Pooling& s, const Each& each, Work work) {
  const long row = (long)s.width * s.channels;
  const auto run = alike(s.columns.out, [&](int j) {
    const Inside &a = s.in_columns[j - 1], &b = s.in_columns[j];
    return s.columns.stride == 1 && a.first == b.first && a.count == b.count;
  });
  each((long)s.count * s.rows.out, s.results() + s.pixels(), [&](long line) {
    const long n = line / s.rows.out, i = line % s.rows.out;
    View view{s.in_rows[i], {}, s.rows.dilation * row, (long)s.columns.dilation * s.channels,
              s.columns.taps};
    const long top = i * s.rows.stride - s.rows.before + view.rows.first * s.rows.dilation;
    for (long j = 0; j < s.columns.out; j += run[j]) {
      view.columns = s.in_columns[j];
      const long left =
          j * s.columns.stride - s.columns.before + view.columns.first * s.columns.dilation;
      work(view, (n * s.height + top) * row + left * s.channels,
           (line * s.columns.out + j) * s.channels, run[j] * s.channels);
    }
  });
}

// A window that holds a pixel: where its result lies, from that of an image's first one in values;
// by which tap it holds the pixel; and the share of the pixel in the mean.
struct Held {
  long offset;
  int tap;
  double share;
};

// Calls `work(windows, their number, first result, pixel, values)` for every pixel of the images,
// or run of them.
template <class Work>
void over_pixels(const Pooling& s, const Each& each, Work work) {
  const auto rows = holders(s.rows), columns = holders(s.columns);
  const auto run = alike(s.width, [&](int j) {
    const auto &a = columns[j - 1], &b = columns[j];
    bool same = a.size() == b.size();
    for (size_t k = 0; same && k < a.size(); k++)
      same = a[k].tap == b[k].tap && a[k].position + 1 == b[k].position &&
             s.in_columns[a[k].position].count == s.in_columns[b[k].position].count;
    return same;
  });
  each((long)s.count * s.height, s.results() + s.pixels(), [&](long line) {
    const long n = line / s.height;
    std::vector<Held> windows;
    for (long j = 0; j < s.width; j += run[j]) {
      windows.clear();
      for (const Holder& a : rows[line % s.height])
        for (const Holder& b : columns[j])
          windows.push_back({((long)a.position * s.columns.out + b.position) * s.channels,
                             a.tap * s.columns.taps + b.tap,
                             1.0 / (s.in_rows[a.position].count * s.in_columns[b.position].count)});
      work(windows.data(), (int)windows.size(), n * s.rows.out * s.columns.out * s.channels,
           (line * s.width + j) * s.channels, run[j] * s.channels);
    }
  });
}

// The gradients of those windows whose largest value the pixel was.
template <class T, int N, int R, class I>
inline void routed(const Held* windows, int count, const T* dy, const I* where, T* dx) {
  Values<T, N> sum[R] = {};
  for (int k = 0; k < count; k++)
    for (int r = 0; r < R; r++) {
      const long at = windows[k].offset + r * N;
      const Values<T, N> value = read<T, N>(dy + at);
      sum[r] += read_taps<T, N>(where + at) == windows[k].tap ? value : Values<T, N>{};
    }
  for (int r = 0; r < R; r++) put<T, N>(dx + r * N, sum[r]);
}

// The pixel's shares of the gradients.
template <class T, int N, int R>
inline void shared(const Held* windows, int count, const T* dy, T* dx) {
  Values<T, N> sum[R] = {};
  for (int k = 0; k < count; k++)
    for (int r = 0; r < R; r++)
      sum[r] += read<T, N>(dy + windows[k].offset + r * N) * (SumOf<T>)windows[k].share;
  for (int r = 0; r < R; r++) put<T, N>(dx + r * N, sum[r]);
}

}  // namespace hw2

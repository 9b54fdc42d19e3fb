// Pooling and its gradients, over images where they lie.
//
// Pooling is bound by memory: every image is read once, every result written once, and nothing is
// written in between. The largest value leaves behind which tap it was, in one byte, so that its
// gradient reads no image. A gradient is gathered, not scattered: each pixel looks up the windows
// that hold it, so that it is written once and its sum has one order.
#pragma once

#include <limits>

#include "ahead.h"
#include "geometry.h"
#include "numbers.h"
#include "sweep.h"

namespace hw2 {

// A register of values in the type of their sums, and of integers as wide.
template <class T>
using Values = Vec<SumOf<T>>;
template <class T>
using Ints = Vec<std::conditional_t<sizeof(SumOf<T>) == 8, int64_t, int32_t>>;

// Which tap was the largest; the greatest number of the type, where there is none.
template <class I>
constexpr int NONE = std::is_same_v<I, uint8_t> ? 255 : 0x7fffffff;

// The numbers of taps of the first `count` lanes; memory behind them is not read.
template <class T, class I>
inline Ints<T> read_taps(const I* from, int count) {
  constexpr int N = LANES<SumOf<T>>;
#if defined(__AVX512BW__) && defined(__AVX512VL__)  // GCC 12 takes the bytes apart one by one
  if constexpr (sizeof(I) == 1 && N == 16) {
    const __mmask16 mask = count >= N ? 0xffff : (1u << count) - 1;
    return (Ints<T>)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, from));
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(I) == 1 && N == 8)
    if (count >= N) return (Ints<T>)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
#endif
  Ints<T> taps{};
  for (int k = 0; k < std::min(count, N); k++) taps[k] = from[k];
  return taps;
}

template <class T, class I>
inline void put_taps(I* to, Ints<T> taps, int count) {
  constexpr int N = LANES<SumOf<T>>;
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  if constexpr (sizeof(I) == 1 && N == 16) {
    const __mmask16 mask = count >= N ? 0xffff : (1u << count) - 1;
    return _mm512_mask_cvtepi32_storeu_epi8(to, mask, (__m512i)taps);
  }
#endif
  typedef I Stored __attribute__((vector_size(N * sizeof(I)), aligned(1), may_alias));
  const Stored stored = __builtin_convertvector(taps, Stored);
  if (count >= N)
    *reinterpret_cast<Stored*>(to) = stored;
  else
    std::memcpy(to, &stored, count * sizeof(I));
}

// Whether any lane is true, which is all ones.
template <class Mask>
inline bool any(Mask mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask);
#elif defined(__AVX__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#endif
  uint64_t parts[sizeof(Mask) / 8], all = 0;
  std::memcpy(parts, &mask, sizeof parts);
  for (const uint64_t part : parts) all |= part;
  return all;
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

// A window that holds a pixel, along one axis.
struct Holder {
  int position;
  int tap;       // by which it holds the pixel
  double share;  // of the pixel in the mean
};

// The windows that hold each pixel, in the order of their positions.
inline std::vector<std::vector<Holder>> holders(const Axis& axis) {
  const auto within = inside(axis);
  std::vector<std::vector<Holder>> found(axis.size);
  for (int i = 0; i < axis.out; i++)
    for (int a = within[i].first; a < within[i].first + within[i].count; a++)
      found[i * axis.stride + a * axis.dilation - axis.before].push_back(
          {i, a, 1.0 / within[i].count});
  return found;
}

// Registers that are in flight at once: enough to hide how long a comparison takes.
constexpr int TOGETHER = 4;

// Calls `work(first channel, registers, channels)` until all channels are done, of which a register
// holds fewer only where they fill none.
template <class T, class Work>
inline void by_channels(int channels, Work work) {
  constexpr int N = LANES<SumOf<T>>;
  using One = std::integral_constant<int, 1>;
  int c = 0;
  if constexpr (TRAINED<T>)
    for (; c + TOGETHER * N <= channels; c += TOGETHER * N)
      work(c, std::integral_constant<int, TOGETHER>{}, TOGETHER * N);
  for (; c + N <= channels; c += N) work(c, One{}, N);
  if (c == channels) return;
  if (channels > N) c = channels - N;  // some again, with their neighbours
  work(c, One{}, channels - c);
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
  int new_rows, new_columns;  // taps that read what the positions before have not
  bool past;                  // whether results go past the cache

  // Calls `work(offset from the first tap, number of the tap)` in row order.
  template <class Work>
  void each(Work work) const {
    for (int i = 0; i < rows.count; i++)
      for (int j = 0; j < columns.count; j++)
        work(i * down + j * right, (rows.first + i) * across + columns.first + j);
  }

  // Asks for `count` values under each new tap of a later position, of which `there` are read.
  template <class T>
  __attribute__((always_inline)) void fetch(const T* x, int count, int there) const {
    if (there * (int)sizeof(T) < LINE) return;
    for (int i = std::max(rows.count - new_rows, 0); i < rows.count; i++)
      for (int j = 0; j < new_columns; j++) ahead(x + i * down + j * right, count);
  }
};

// Asks for memory that is written later, and writes it, perhaps past the cache.
template <class T>
__attribute__((always_inline)) inline void expect(T* y, int count, int there, bool past) {
  if (!past && there * (int)sizeof(T) >= LINE) ahead<1>(y, count);
}
template <class T>
inline void put(T* y, Values<T> value, int count, bool past) {
  if (past)
    write_past(y, value);
  else
    write(y, value, count);
}

// The largest values under a window that holds something else than numbers: the last of that.
template <class T, class I>
void not_a_number(const View& view, const T* x, T* y, I* where, int count) {
  for (int k = 0; k < count; k++) {
    T found = x[k];
    bool bad = false;
    view.each([&](long offset, int) {
      const SumOf<T> value = widen(x[offset + k]);
      if (value != value) found = x[offset + k], bad = true;
    });
    if (bad) y[k] = found, where[k] = NONE<I>;
  }
}

// The largest values under a window, and which taps they were.
template <class T, int R, class I>
inline void largest(const View& view, const T* x, T* y, I* where, int count) {
  constexpr int N = LANES<SumOf<T>>;
  view.fetch(x, N * R, count);
  expect(y, N * R, count, view.past);
  Values<T> most[R], check[R];  // which stays 0 unless there is an infinity, or no number
  Ints<T> tap[R];
  // If all are minus infinity, it is the first tap of the window, which may be padding.
  const int none = view.rows.first || view.columns.first ? NONE<I> : 0;
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) {
    most[r] = Values<T>{} - std::numeric_limits<SumOf<T>>::infinity();
    check[r] = Values<T>{};
    tap[r] = Ints<T>{} + none;
  }
  for (int i = 0; i < view.rows.count; i++) {
    Ints<T> number = Ints<T>{} + (view.rows.first + i) * view.across + view.columns.first;
    const T* from = x + i * view.down;
    for (int j = 0; j < view.columns.count; j++, from += view.right, number += 1)
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const Values<T> value = R > 1 ? load_wide(from + r * N) : load_wide_part(from, count);
        tap[r] = value > most[r] ? number : tap[r];
        most[r] = value > most[r] ? value : most[r];
        check[r] += value * 0;
      }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) {
    put(y + r * N, most[r], count - r * N, view.past);
    put_taps<T>(where + r * N, tap[r], count - r * N);
    if (any(check[r] != check[r]))
      not_a_number(view, x + r * N, y + r * N, where + r * N, std::min(count - r * N, N));
  }
}

// What lies where the largest values were; 0 where there were none.
template <class T, int R, class I>
inline void found(const View& view, const T* x, T* y, const I* where, int count) {
  constexpr int N = LANES<SumOf<T>>;
  view.fetch(x, N * R, count);
  expect(y, N * R, count, view.past);
  Values<T> value[R] = {};
  Ints<T> tap[R];
  for (int r = 0; r < R; r++) tap[r] = read_taps<T>(where + r * N, count - r * N);
  view.each([&](long offset, int t) {
    for (int r = 0; r < R; r++)
      value[r] = tap[r] == t ? load_wide_part(x + offset + r * N, count - r * N) : value[r];
  });
  for (int r = 0; r < R; r++) put(y + r * N, value[r], count - r * N, view.past);
}

// sum / count, rounded once: a product where that is exact, and else one that is corrected by its
// remainder, as a division of a whole register takes as long as ten products.
template <class Sum>
inline Vec<Sum> divided(Vec<Sum> sum, Sum count) {
  const Sum share = 1 / count;
  const Vec<Sum> near = sum * share;
  if (!((int)count & ((int)count - 1))) return near;
  const Vec<Sum> better = near + (sum - near * count) * share;
  return better == better ? better : near;  // infinity has no remainder
}

// The mean of what lies under a window.
template <class T, int R>
inline void mean(const View& view, const T* x, T* y, int count) {
  constexpr int N = LANES<SumOf<T>>;
  view.fetch(x, N * R, count);
  expect(y, N * R, count, view.past);
  Values<T> sum[R] = {};
  for (int i = 0; i < view.rows.count; i++) {
    const T* from = x + i * view.down;
    for (int j = 0; j < view.columns.count; j++, from += view.right)
#pragma GCC unroll 4
      for (int r = 0; r < R; r++)
        sum[r] += R > 1 ? load_wide(from + r * N) : load_wide_part(from, count);
  }
  const SumOf<T> taps = std::max(view.rows.count * view.columns.count, 1);
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) put(y + r * N, divided(sum[r], taps), count - r * N, view.past);
}

// How many positions from each one on are alike: their windows hold the same taps, and lie side by
// side, so that they are as one position of so many times the channels.
inline std::vector<int> alike(int count, const std::function<bool(int)>& as_before) {
  std::vector<int> run(count, 1);
  for (int i = count - 1; i > 0; i--)
    if (as_before(i)) run[i - 1] = run[i] + 1;
  return run;
}

// Rows of images that one thread walks in turn: neighbours read the same pixels.
constexpr int BAND = 16;

// Work by which it is decided whether another thread is woken: a value is read and written, and
// multiplied by nothing.
inline long work_of(const Pooling& s) { return (s.results() + s.pixels()) / 4; }

// Calls `work(view, first pixel, result, values)` with offsets in values, for every position of a
// window, or run of them, whose results are written to `y`.
template <class T, class Work>
void over_windows(const Pooling& s, const T* y, const Each& each, Work work) {
  const bool past = past_cache(y, s.channels, s.results() + s.pixels());
  const long row = (long)s.width * s.channels;
  const auto run = alike(s.columns.out, [&](int j) {
    const Inside &a = s.in_columns[j - 1], &b = s.in_columns[j];
    return s.columns.stride == 1 && a.first == b.first && a.count == b.count;
  });
  const long lines = (long)s.count * s.rows.out;
  each((lines + BAND - 1) / BAND, work_of(s), [&](long band) {
    for (long line = band * BAND; line < std::min((band + 1) * BAND, lines); line++) {
      const long n = line / s.rows.out, i = line % s.rows.out;
      View view{s.in_rows[i], {}, s.rows.dilation * row, (long)s.columns.dilation * s.channels,
                s.columns.taps, s.rows.stride, std::min(s.columns.stride, s.columns.taps), past};
      const long top = i * s.rows.stride - s.rows.before + view.rows.first * s.rows.dilation;
      for (long j = 0; j < s.columns.out; j += run[j]) {
        view.columns = s.in_columns[j];
        const long left =
            j * s.columns.stride - s.columns.before + view.columns.first * s.columns.dilation;
        work(view, (n * s.height + top) * row + left * s.channels,
             (line * s.columns.out + j) * s.channels, run[j] * s.channels);
      }
    }
    if (past) settle();
  });
}

// The windows that hold a pixel.
struct Held {
  const std::vector<Holder>&rows, &columns;
  long down, right;  // from result to result, in values
  int across;        // taps in a row of a window
  bool past;         // whether gradients go past the cache

  // Calls `work(offset in an image's results, number of the tap, share of the pixel)`.
  template <class Work>
  void each(Work work) const {
    for (const Holder& a : rows)
      for (const Holder& b : columns)
        work(a.position * down + b.position * right, a.tap * across + b.tap, a.share * b.share);
  }

  // Asks for `count` values of the results that a later pixel needs, of which `there` are read.
  template <class T>
  __attribute__((always_inline)) void fetch(const T* results, int count, int there) const {
    if (there * (int)sizeof(T) >= LINE && !rows.empty() && !columns.empty())
      ahead(results + rows.back().position * down + columns.back().position * right, count);
  }
};

// Calls `work(held, first result of the image, pixel, values)` with offsets in values, for every
// pixel of the images, or run of them, whose gradients are written to `dx`.
template <class T, class Work>
void over_pixels(const Pooling& s, const T* dx, const Each& each, Work work) {
  const bool past = past_cache(dx, s.channels, s.results() + s.pixels());
  const auto rows = holders(s.rows), columns = holders(s.columns);
  const auto run = alike(s.width, [&](int j) {
    const auto &a = columns[j - 1], &b = columns[j];
    bool same = a.size() == b.size();
    for (size_t k = 0; same && k < a.size(); k++)
      same = a[k].tap == b[k].tap && a[k].position + 1 == b[k].position && a[k].share == b[k].share;
    return same;
  });
  const long lines = (long)s.count * s.height, row = (long)s.columns.out * s.channels;
  each((lines + BAND - 1) / BAND, work_of(s), [&](long band) {
    for (long line = band * BAND; line < std::min((band + 1) * BAND, lines); line++) {
      const std::vector<Holder>& of_row = rows[line % s.height];
      const long image = line / s.height * s.rows.out * row;
      for (long j = 0; j < s.width; j += run[j])
        work(Held{of_row, columns[j], row, s.channels, s.columns.taps, past}, image,
             (line * s.width + j) * s.channels, run[j] * s.channels);
    }
    if (past) settle();
  });
}

// The gradients of those windows whose largest value the pixel was.
template <class T, int R, class I>
inline void routed(const Held& held, const T* dy, const I* where, T* dx, int count) {
  constexpr int N = LANES<SumOf<T>>;
  held.fetch(dy, N * R, count);
  expect(dx, N * R, count, held.past);
  Values<T> sum[R] = {};
  held.each([&](long offset, int tap, double) {
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      const int left = count - r * N;
      const T* from = dy + offset + r * N;
      const Values<T> value = R > 1 ? load_wide(from) : load_wide_part(from, left);
      const Ints<T> taps = read_taps<T>(where + offset + r * N, R > 1 ? N : left);
      sum[r] += taps == tap ? value : Values<T>{};
    }
  });
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) put(dx + r * N, sum[r], count - r * N, held.past);
}

// The pixel's shares of the gradients.
template <class T, int R>
inline void shared(const Held& held, const T* dy, T* dx, int count) {
  constexpr int N = LANES<SumOf<T>>;
  held.fetch(dy, N * R, count);
  expect(dx, N * R, count, held.past);
  Values<T> sum[R] = {};
  held.each([&](long offset, int, double share) {
    const T* from = dy + offset;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
      sum[r] += (R > 1 ? load_wide(from + r * N) : load_wide_part(from, count)) * (SumOf<T>)share;
  });
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) put(dx + r * N, sum[r], count - r * N, held.past);
}

}  // namespace hw2

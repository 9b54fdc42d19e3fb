// Convolution of each channel by itself, and its gradients, over images where they lie.
//
// There is no product to gain from, so it is bound by memory and by loads. A band of rows is copied
// once into a frame that stays in the second level of the cache: with the zeros of the padding
// around, widened to the type of sums, each channel repeated for each of its filters, and the
// columns sorted by their phase in the strides. Then every tap reads straight on, no position is
// special, and the inner loop multiplies registers of the frame by one of the filters.
//
// Where a pixel fills no whole number of registers, several pixels do: for 3 channels and 16 lanes
// 16 pixels are 3 registers, and the filters are repeated as often.
#pragma once

#include <climits>
#include <numeric>

#include "ahead.h"
#include "geometry.h"
#include "numbers.h"
#include "sweep.h"

namespace hw2 {

constexpr long FRAME_BYTES = 384 << 10;  // of a second-level cache of 1 MB
constexpr int BLOCK_BYTES = 512;         // channels of a frame: eight lines of the cache
constexpr long FILTER_BYTES = 16 << 10;  // of a first-level cache of 32 KB
constexpr int FLAT_REGISTERS = 16;       // at most, that some pixels fill together

// How the channels of a result are cut into blocks, and pixels into groups that fill registers.
struct Blocks {
  int channels, width, count;  // all of them; of a block; blocks
  int together = 1;            // pixels that fill registers together

  // `lanes` is what the width of a group must be a multiple of; `wanted` is the width of a block,
  // unless pixels fill registers together or there are fewer channels.
  Blocks(int channels, int lanes, int wanted) : channels(channels) {
    const int all = std::lcm(channels, lanes);
    if (channels % lanes && all <= FLAT_REGISTERS * lanes) {
      together = all / channels;
      wanted = channels;
    }
    width = std::min(wanted, channels);
    count = (channels + width - 1) / width;
  }

  int first(int block) const { return block * width; }
  int of(int block) const { return std::min(width, channels - first(block)); }
  // Values from pixel to pixel of a frame: whole registers, but where pixels fill them together.
  int pitch(int block, int lanes) const {
    return together > 1 ? channels : (of(block) + lanes - 1) / lanes * lanes;
  }
  int period(int block, int lanes) const { return together * pitch(block, lanes); }
  int padded(int lanes) const {  // all periods
    return first(count - 1) + period(count - 1, lanes);
  }
};

// A band of an image: rows of pixels, their columns sorted by phases of `stride`.
template <class Sum>
struct Frame {
  Sum* data;
  int rows, stride, columns;  // columns of a phase
  int pitch;

  long row() const { return (long)stride * columns * pitch; }
  long place(long line, int column) const {  // of a tap
    return line * row() + ((long)(column % stride) * columns + column / stride) * pitch;
  }
};

template <class T, class Sum>
inline void copy(const T* from, Sum* to, long count) {
  constexpr int L = LANES<Sum>;
  long i = 0;
  for (; i + L <= count; i += L) {
    ahead(from + i, L);
    store(to + i, load_wide(from + i));
  }
  for (; i < count; i++) to[i] = widen(from[i]);
}

// Copies rows `top` and on of an image into a frame, whose first column is -left of the image.
template <class T, class Sum>
void fill(const Frame<Sum>& frame, const Images<T>& x, long image, int top, int left, int first,
          int width, int multiplier) {
  const bool whole = frame.stride == 1 && multiplier == 1 && frame.pitch == x.pixel;
  for (int i = 0; i < frame.rows; i++) {
    const int line = top + i;
    const bool outside = line < 0 || line >= x.height;
    const T* from = x.data + ((image * x.height + line) * x.width) * x.pixel + first / multiplier;
    for (int phase = 0; phase < frame.stride; phase++) {
      Sum* to = frame.data + i * frame.row() + (long)phase * frame.columns * frame.pitch;
      auto column = [&](int pixel) {  // of the frame, that holds this pixel or the next one
        const int at = pixel + left - phase;
        return std::min(at <= 0 ? 0 : (at + frame.stride - 1) / frame.stride, frame.columns);
      };
      const int begin = outside ? frame.columns : column(0), end = outside ? begin : column(x.width);
      std::fill_n(to, (long)begin * frame.pitch, Sum{});
      std::fill_n(to + (long)end * frame.pitch, (long)(frame.columns - end) * frame.pitch, Sum{});
      const T* pixel = from + (long)(begin * frame.stride + phase - left) * x.pixel;
      to += (long)begin * frame.pitch;
      if (whole) {
        copy(pixel, to, (long)(end - begin) * frame.pitch);
        continue;
      }
      for (int k = begin; k < end; k++, pixel += frame.stride * x.pixel, to += frame.pitch) {
        if (multiplier == 1)
          copy(pixel, to, width);
        else
          for (int m = 0; m < multiplier; m++)
            for (int c = 0; c < width / multiplier; c++) to[c * multiplier + m] = widen(pixel[c]);
        std::fill_n(to + width, frame.pitch - width, Sum{});
      }
    }
  }
}

// A tap: where it reads, from the first value of a position, and where its filters lie.
struct Weight {
  long x, w;
};

// How groups of pixels follow each other.
struct Steps {
  long x, y;      // values from one group to the next, in what is read and in the results
  int ahead = 0;  // prefetch for the group this many groups later; 0 for none
  // Offsets of the taps whose pixels no earlier group has read; of all taps, only these prefetch.
  std::vector<long> fresh{};
  bool past = false;  // whether results go past the cache
};

// P groups of pixels by Q registers of channels: the sums over all taps.
//
//   left  results that are wanted, from the first one on; of each next group `left_step` fewer
template <int P, int Q, class T, class Sum>
void weigh(const Sum* x, const std::vector<Weight>& taps, const Sum* w, T* y, const Steps& steps,
           long left, long left_step) {
  constexpr int L = LANES<Sum>;
  if (steps.ahead) {
    const long later = steps.ahead * steps.x;
    for (const long tap : steps.fresh)
      for (int p = 0; p < P; p++)
        for (int q = 0; q < Q; q++) __builtin_prefetch(x + tap + later + p * steps.x + q * L);
    for (int p = 0; p < P && !steps.past; p++)
      for (int q = 0; q < Q; q++) __builtin_prefetch(y + (steps.ahead + p) * steps.y + q * L, 1);
  }
  Vec<Sum> sums[P][Q];
#pragma GCC unroll 16
  for (int k = 0; k < P * Q; k++) sums[k / Q][k % Q] = Vec<Sum>{};
  for (const Weight& tap : taps) {
#pragma GCC unroll 8
    for (int q = 0; q < Q; q++) {
      const Vec<Sum> filter = load(w + tap.w + q * L);
#pragma GCC unroll 8
      for (int p = 0; p < P; p++)
        sums[p][q] += load(x + tap.x + p * steps.x + q * L) * filter;
    }
  }
  if (steps.past) {
#pragma GCC unroll 16
    for (int k = 0; k < P * Q; k++) write_past(y + k / Q * steps.y + k % Q * L, sums[k / Q][k % Q]);
    return;
  }
  if (!std::is_same_v<T, Float16> && left - (P - 1) * left_step >= Q * L) {
#pragma GCC unroll 16
    for (int k = 0; k < P * Q; k++) store_narrow(y + k / Q * steps.y + k % Q * L, sums[k / Q][k % Q]);
    return;
  }
  Sum all[P * Q * L];
#pragma GCC unroll 16
  for (int k = 0; k < P * Q; k++) store(all + k * L, sums[k / Q][k % Q]);
#pragma GCC unroll 1
  for (int k = 0; k < P * Q; k++)
    write(y + k / Q * steps.y + k % Q * L, load(all + k * L),
          (int)std::min<long>(left - k / Q * left_step - k % Q * L, L));
}

constexpr int GROUPS = 12;  // sums in registers, of 16: two units need eight, four steps deep

// Groups of Q registers each, at most.
template <class T, int Q>
constexpr int MOST_GROUPS = TRAINED<T> ? std::min(GROUPS / Q, 8) : 1;

// Calls `weigh` for `p` groups.
template <int P, int Q, class T, class... Rest>
inline void weigh_some(int p, Rest... rest) {
  if constexpr (P > 1)
    if (p < P) return weigh_some<P - 1, Q, T>(p, rest...);
  weigh<P, Q, T>(rest...);
}

// Some groups of pixels that lie side by side, all their channels at once.
template <class T, class Sum>
void weigh_row(const Sum* x, int groups, long channels, const std::vector<Weight>& taps,
               const Sum* w, T* y, const Steps& steps, long left, long left_step) {
  constexpr int L = LANES<Sum>;
  auto few = [&](long at, int p, int count, auto registers) {
    constexpr int Q = decltype(registers)::value;
    weigh_some<MOST_GROUPS<T, Q>, Q, T>(count, x + p * steps.x + at, std::cref(taps), w + at,
                                 y + p * steps.y + at, std::cref(steps),
                                 left - p * left_step - at, left_step);
  };
  auto walk = [&](long from, long to, auto registers) {
    constexpr int Q = decltype(registers)::value, most = MOST_GROUPS<T, Q>;
    const long end = from + (to - from) / (Q * L) * Q * L;
    const int rounds = (groups + most - 1) / most, each = (groups + rounds - 1) / rounds;
    for (int p = 0; p < groups; p += each)
      for (long at = from; at < end; at += Q * L) few(at, p, std::min(each, groups - p), registers);
    return end;
  };
  // Filters that stay in the first level of the cache, while pixels go by.
  const long fitting = FILTER_BYTES / (long)sizeof(Sum) / std::max<long>(taps.size(), 1);
  const long block = std::max<long>(fitting / (4 * L), 1) * 4 * L;
  for (long at = 0; at < channels;) {
    const long to = std::min(at + block, channels);
    if (groups == 1) at = walk(at, to, std::integral_constant<int, 8>{});
    if (groups <= 2) at = walk(at, to, std::integral_constant<int, 4>{});
    at = walk(at, to, std::integral_constant<int, 2>{});
    at = walk(at, to, std::integral_constant<int, 1>{});
  }
}

// Adds products of what some taps read and the results' gradients, along a row of groups: one
// register of each tap.
template <int TAPS, class Sum>
void gather(const Sum* x, long x_step, const Weight* taps, const Sum* dy, long dy_step, int groups,
            Sum* dw) {
  Vec<Sum> sums[TAPS];
#pragma GCC unroll 9
  for (int t = 0; t < TAPS; t++) sums[t] = load(dw + taps[t].w);
  for (int p = 0; p < groups; p++, x += x_step, dy += dy_step) {
    const Vec<Sum> error = load(dy);
#pragma GCC unroll 9
    for (int t = 0; t < TAPS; t++) sums[t] += load(x + taps[t].x) * error;
  }
#pragma GCC unroll 9
  for (int t = 0; t < TAPS; t++) store(dw + taps[t].w, sums[t]);
}

// Taps of a 3x3 window, which are few enough for 16 registers.
template <class Sum>
constexpr int GATHERED = TRAINED<Sum> ? 9 : 1;

template <int TAPS, class... Rest>
inline void gather_some(int taps, Rest... rest) {
  if constexpr (TAPS > 1)
    if (taps < TAPS) return gather_some<TAPS - 1>(taps, rest...);
  gather<TAPS>(rest...);
}

// All taps, by as many at once as registers hold, for all channels.
//
//   fresh  where next rows are read, that are asked for now
template <class Sum>
void gather_row(const Sum* x, long x_step, const std::vector<Weight>& taps, const Sum* dy,
                long dy_step, int groups, long channels, Sum* dw,
                const std::vector<long>& fresh = {}, long next_dy = 0) {
  constexpr int MOST = GATHERED<Sum>;
  const int kernel = taps.size(), rounds = (kernel + MOST - 1) / MOST;
  for (long at = 0; at < channels; at += LANES<Sum>) {
    if (!fresh.empty())
      for (int p = 0; p < groups; p++) {
        for (const long tap : fresh) __builtin_prefetch(x + at + tap + p * x_step);
        __builtin_prefetch(dy + at + next_dy + p * dy_step);
      }
    for (int r = 0; r < rounds; r++) {
      const int t = kernel * r / rounds, next = kernel * (r + 1) / rounds;
      gather_some<MOST>(next - t, x + at, x_step, taps.data() + t, dy + at, dy_step, groups,
                            dw + at);
    }
  }
}

// Calls `work(first, next, taps, fresh)` for the runs of positions of row `i` that have the same
// taps inside of the image: at the edges they have fewer. Taps read from the position that would
// lie over the image's first pixel of row i * row_stride; `fresh` are those that read what the
// positions before and above have not.
template <class T, class Work>
void by_runs(const Sweep& sweep, const Images<T>& x, int i, Work work) {
  auto within = [](long at, int size) { return at >= 0 && at < size; };
  const int stride = sweep.column_stride, room = x.width - 1 - sweep.right;
  // Positions at which every tap's column is in the image.
  const int low = std::min(sweep.left >= 0 ? 0 : (-sweep.left - 1) / stride + 1, sweep.columns);
  const int high = std::max(room < 0 ? 0 : std::min(room / stride + 1, sweep.columns), low);
  std::vector<Weight> taps;
  std::vector<long> fresh;
  for (int j = 0, next; j < sweep.columns; j = next) {
    next = j == low && low < high ? high : j + 1;
    taps.clear(), fresh.clear();
    for (const Tap& tap : sweep.taps) {
      if (!within((long)i * sweep.row_stride + tap.row, x.height) ||
          !within((long)j * stride + tap.column, x.width))
        continue;
      taps.push_back({(tap.row * x.width + tap.column) * x.pixel, (long)tap.filter * x.pixel});
      if (tap.row > sweep.bottom - sweep.row_stride && tap.column < sweep.left + stride)
        fresh.push_back(taps.back().x);
    }
    work(j, next, taps, fresh);
  }
}

// Convolves a row of an image where it lies, without a frame: each channel has one filter, all are
// a whole number of registers, and they are summed as they are stored.
//
//   y     the first result of the row, whose pixels are `pixel` values apart
//   past  whether results go past the cache
template <class T>
void weigh_in_place(const Sweep& sweep, const Images<T>& x, long image, int i, const T* w, T* y,
                    long pixel, bool past) {
  const T* from = x.data + (image * x.height + (long)i * sweep.row_stride) * x.width * x.pixel;
  const long step = sweep.column_stride * x.pixel;
  Steps steps{step, pixel, (int)std::max<long>(2 * PAGE / (step * sizeof(T)), GROUPS)};
  steps.past = past;
  by_runs(sweep, x, i, [&](int j, int next, const auto& taps, const auto& fresh) {
    steps.fresh = fresh;
    weigh_row(from + j * step, next - j, x.channels, taps, w, y + j * pixel, steps, LONG_MAX / 2,
              0);
  });
}

constexpr int TOGETHER_ASKED = 32;  // pixels whose next rows are asked for at once

// Adds what a row of results gives to the gradient by filters, likewise.
template <class T>
void gather_in_place(const Sweep& sweep, const Images<T>& x, long image, int i, const T* dy,
                     T* dw) {
  const T* from = x.data + (image * x.height + (long)i * sweep.row_stride) * x.width * x.pixel;
  const long step = sweep.column_stride * x.pixel;
  by_runs(sweep, x, i, [&](int first, int next, const auto& taps, auto fresh) {
    for (long& tap : fresh) tap += sweep.row_stride * x.width * x.pixel;
    for (int j = first; j < next; j += TOGETHER_ASKED)
      gather_row(from + j * step, step, taps, dy + j * x.channels, x.channels,
                 std::min(TOGETHER_ASKED, next - j), x.channels, dw, fresh,
                 (long)sweep.columns * x.channels);
  });
}

}  // namespace hw2

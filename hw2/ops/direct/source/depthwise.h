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

  // `unit` is what a block's width must be a multiple of; `lanes` what that of a group must be.
  Blocks(int channels, int lanes, int unit, int width) : channels(channels) {
    const int all = std::lcm(channels, lanes);
    if (channels % lanes && all <= FLAT_REGISTERS * lanes) {
      together = all / channels;
      width = channels;
    }
    this->width = width = std::min(width, channels);
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
  long x, y;      // values from one to the next
  int ahead = 0;  // after how many what is read and written is asked for; 0 for not at all
  std::vector<long> fresh{};  // where taps read what the groups before have not
};

// P groups of pixels by Q registers of channels: the sums over all taps.
//
//   left  results that are wanted, from the first one on; of each next group `left_step` fewer
template <int P, int Q, class T, class Sum>
void weigh(const Sum* x, const std::vector<Weight>& taps, const Sum* w, T* y, const Steps& steps,
           long left, long left_step) {
  constexpr int L = LANES<Sum>;
  Vec<Sum> sums[P][Q] = {};
  if (steps.ahead)
    for (int p = 0; p < P; p++)
      for (int q = 0; q < Q; q++) {
        const long later = p + steps.ahead;
        for (const long tap : steps.fresh) __builtin_prefetch(x + tap + later * steps.x + q * L);
        __builtin_prefetch(y + later * steps.y + q * L, 1);
      }
  for (const Weight& tap : taps)
    for (int q = 0; q < Q; q++) {
      const Vec<Sum> filter = load(w + tap.w + q * L);
      for (int p = 0; p < P; p++)
        sums[p][q] += load(x + tap.x + p * steps.x + q * L) * filter;
    }
  for (int p = 0; p < P; p++)
    for (int q = 0; q < Q; q++)
      write(y + p * steps.y + q * L, sums[p][q],
            (int)std::min<long>(left - p * left_step - q * L, L));
}

constexpr int GROUPS = 8;  // sums in registers: as many as two units need, four steps deep

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
    weigh_some<GROUPS / Q, Q, T>(count, x + p * steps.x + at, std::cref(taps), w + at,
                                 y + p * steps.y + at, std::cref(steps),
                                 left - p * left_step - at, left_step);
  };
  auto walk = [&](long from, long to, int most, auto registers) {
    constexpr int Q = decltype(registers)::value;
    const int rounds = (groups + most - 1) / most, each = rounds ? (groups + rounds - 1) / rounds : 0;
    for (int p = 0; p < groups; p += each)
      for (long at = from; at < to; at += Q * L) few(at, p, std::min(each, groups - p), registers);
  };
  const long pairs = channels / (2 * L) * 2 * L;
  // Filters that stay in the first level of the cache, while pixels go by.
  const long block = std::max<long>(FILTER_BYTES / (long)sizeof(Sum) /
                                        std::max<long>(taps.size(), 1) / (2 * L), 1) * 2 * L;
  for (long at = 0; at < pairs; at += block)
    walk(at, std::min(at + block, pairs), GROUPS / 2, std::integral_constant<int, 2>{});
  if (pairs < channels) walk(pairs, channels, GROUPS, std::integral_constant<int, 1>{});
}

// Adds products of a frame and the results' gradients, over a band: one register of each tap.
//
//   lines, groups         of the gradients, which lie side by side
//   x_line, x             from line to line of the frame, and its first value
template <int TAPS, class Sum>
void gather(const Sum* x, long x_line, long period, const long* taps, const Sum* dy, int lines,
            int groups, Sum* dw) {
  Vec<Sum> sums[TAPS] = {};
  for (int i = 0; i < lines; i++, x += x_line) {
    const Sum* from = x;
    for (int p = 0; p < groups; p++, from += period, dy += period) {
      const Vec<Sum> error = load(dy);
      for (int t = 0; t < TAPS; t++) sums[t] += load(from + taps[t]) * error;
    }
  }
  for (int t = 0; t < TAPS; t++) store(dw + t * period, load(dw + t * period) + sums[t]);
}

constexpr int GATHERED = 9;  // taps of a 3x3 window; few enough for 16 registers

// Convolves rows of an image where they lie, without a frame: each channel is a whole number of
// registers, has one filter, and is summed as it is stored. Positions at the edge have fewer taps.
//
//   y  the first result of the image
template <class T>
void weigh_in_place(const Sweep& sweep, const Images<T>& x, long image, int begin, int end,
                    const T* w, T* y, const Results<T>& results) {
  const long row = x.width * x.pixel, step = sweep.column_stride * x.pixel;
  auto within = [](long at, int size) { return at >= 0 && at < size; };
  // Positions at which every tap's column is in the image.
  const int low = std::min(sweep.left >= 0 ? 0 : (-sweep.left - 1) / sweep.column_stride + 1,
                           sweep.columns);
  const int room = x.width - 1 - sweep.right;
  const int high = std::max(room < 0 ? 0 : std::min(room / sweep.column_stride + 1, sweep.columns),
                            low);
  Steps steps{step, results.pixel, (int)std::max<long>(PAGE / (x.pixel * sizeof(T)), 1)};
  std::vector<Weight> taps;
  for (int i = begin; i < end; i++) {
    const T* from = x.data + (image * x.height + (long)i * sweep.row_stride) * row;
    auto some = [&](int j, int next) {
      taps.clear(), steps.fresh.clear();
      for (const Tap& tap : sweep.taps) {
        if (!within((long)i * sweep.row_stride + tap.row, x.height) ||
            !within((long)j * sweep.column_stride + tap.column, x.width))
          continue;
        taps.push_back({tap.row * row + tap.column * x.pixel, (long)tap.filter * x.channels});
        if (tap.row > sweep.bottom - sweep.row_stride &&
            tap.column < sweep.left + sweep.column_stride)
          steps.fresh.push_back(taps.back().x);
      }
      weigh_row(from + j * step, next - j, x.channels, taps, w,
                y + i * results.row + j * results.pixel, steps, LONG_MAX / 2, 0);
    };
    for (int j = 0; j < low; j++) some(j, j + 1);
    if (low < high) some(low, high);
    for (int j = high; j < sweep.columns; j++) some(j, j + 1);
  }
}

template <int TAPS, class... Rest>
inline void gather_some(int taps, Rest... rest) {
  if constexpr (TAPS > 1)
    if (taps < TAPS) return gather_some<TAPS - 1>(taps, rest...);
  gather<TAPS>(rest...);
}

}  // namespace hw2

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

#include "geometry.h"
#include "numbers.h"
#include "sweep.h"

namespace hw2 {

constexpr long FRAME_BYTES = 384 << 10;  // of a second-level cache of 1 MB
constexpr int BLOCK_BYTES = 512;         // channels of a frame: eight lines of the cache
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
        widen_all(pixel, to, (long)(end - begin) * frame.pitch);
        continue;
      }
      for (int k = begin; k < end; k++, pixel += frame.stride * x.pixel, to += frame.pitch) {
        if (multiplier == 1)
          widen_all(pixel, to, width);
        else
          for (int m = 0; m < multiplier; m++)
            for (int c = 0; c < width / multiplier; c++) to[c * multiplier + m] = widen(pixel[c]);
        std::fill_n(to + width, frame.pitch - width, Sum{});
      }
    }
  }
}

// P groups of pixels by Q registers of channels: the sums over all taps.
//
//   left  results that are wanted, from the first one on; of each next group `left_step` fewer
template <int P, int Q, class T, class Sum>
void weigh(const Sum* x, long period, const std::vector<long>& taps, const Sum* w, T* y, long step,
           long left, long left_step) {
  constexpr int L = LANES<Sum>;
  Vec<Sum> sums[P][Q] = {};
  for (const long tap : taps) {
    for (int q = 0; q < Q; q++) {
      const Vec<Sum> filter = load(w + q * L);
      for (int p = 0; p < P; p++)
        sums[p][q] += load(x + tap + p * period + q * L) * filter;
    }
    w += period;
  }
  for (int p = 0; p < P; p++)
    for (int q = 0; q < Q; q++)
      write(y + p * step + q * L, sums[p][q],
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

// One row of results.
template <class T, class Sum>
void weigh_row(const Sum* x, int groups, long period, const std::vector<long>& taps, const Sum* w,
               T* y, long step, long left, long left_step) {
  constexpr int L = LANES<Sum>;
  auto walk = [&](long at, auto registers) {
    constexpr int Q = decltype(registers)::value, P = GROUPS / Q;
    const int rounds = (groups + P - 1) / P, each = (groups + rounds - 1) / rounds;
    for (int p = 0; p < groups; p += each)
      weigh_some<P, Q, T>(std::min(each, groups - p), x + p * period + at, period, std::cref(taps),
                          w + at, y + p * step + at, step, left - p * left_step - at, left_step);
  };
  long at = 0;
  for (; at + 2 * L <= period; at += 2 * L) walk(at, std::integral_constant<int, 2>{});
  if (at < period) walk(at, std::integral_constant<int, 1>{});
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

template <int TAPS, class... Rest>
inline void gather_some(int taps, Rest... rest) {
  if constexpr (TAPS > 1)
    if (taps < TAPS) return gather_some<TAPS - 1>(taps, rest...);
  gather<TAPS>(rest...);
}

}  // namespace hw2

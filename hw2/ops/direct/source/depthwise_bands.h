// How depthwise convolution walks images: in bands of rows and blocks of channels.
#pragma once

#include "depthwise.h"
#include "op.h"

namespace hw2 {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

constexpr int BAND = 16;    // rows that one thread walks in turn: neighbours read the same pixels
constexpr long ROWS_BYTES = 24 << 10;  // of a first-level cache of 32 KB
constexpr int SLICES = 32;  // partial sums of the filters' gradient, at most: work for 32 threads

// How the rows of results are cut into bands, and their channels into blocks.
template <class Sum>
struct Bands {
  static constexpr int L = LANES<Sum>;
  Blocks blocks;
  int rows, count;  // rows of results of a band; bands

  // `columns` of a frame; of its rows, `span` for the first row of results and `stride` for each
  // next one.
  Bands(int channels, int unit, int results, int columns, int span, int stride)
      : blocks(channels, L, unit) {
    auto fitting = [&](int width) {
      const long row = (long)columns * width * sizeof(Sum);
      const long lines = FRAME_BYTES / std::max(row, 1L) - span;
      return (int)std::clamp<long>(lines < 0 ? 0 : lines / stride + 1, 1, results);
    };
    // Narrower than a few lines of the cache only where the rows that bands share were too many.
    const int most = std::max<int>(BLOCK_BYTES / sizeof(Sum) / unit, 1) * unit;
    int width = most;
    while (width / 2 >= unit && width / 2 % unit == 0 &&
           fitting(width) < std::min(results, 4 * span / stride))
      width /= 2;
    blocks = Blocks(channels, L, width);
    rows = fitting(blocks.pitch(0, L));
    count = (results + rows - 1) / rows;
    rows = (results + count - 1) / count;
    count = (results + rows - 1) / rows;
  }
};

// Filters of one block as `weigh` reads them: for each tap the block's, once for each pixel of a
// group.
template <class T, class Sum>
void lay_out(const Blocks& blocks, int block, const std::vector<int>& filters, const T* w,
             Sum* to) {
  constexpr int L = LANES<Sum>;
  const int pitch = blocks.pitch(block, L), width = blocks.of(block);
  for (const int filter : filters)
    for (int g = 0; g < blocks.together; g++, to += pitch) {
      widen_all(w + (long)filter * blocks.channels + blocks.first(block), to, width);
      std::fill_n(to + width, pitch - width, Sum{});
    }
}

// The sizes that every op of these finds.
struct Sizes {
  int count, height, width, channels, multiplier;
  Axis rows, columns;

  int filters() const { return channels * multiplier; }
  long values_moved() const {  // to memory and from it
    return (long)count * ((long)height * width * channels + (long)rows.out * columns.out * filters());
  }
  long values() const {
    return (long)count * ((long)height * width * channels +
                          (long)rows.out * columns.out * filters() * rows.taps);
  }
};

Sizes sizes(const Sliding& sliding, int n, int height, int width, int channels, int kh, int kw,
            int multiplier) {
  return {n, height, width, channels, multiplier, sliding.rows(height, kh),
          sliding.columns(width, kw)};
}

// Whether images can be convolved where they lie.
template <class Sum>
bool in_place(const Sizes& s) {
  return s.multiplier == 1 && s.channels % LANES<Sum> == 0;
}

// Convolves images where they lie, band by band.
//
//   firsts  of each sweep, its first result; the steps between them are those of `results`
template <class T>
void by_bands(OpKernelContext* c, const Sizes& s, int rows, const std::vector<Sweep>& sweeps,
              const Images<T>& x, const T* w, const std::vector<T*>& firsts,
              const Results<T>& results) {
  const int bands = (rows + BAND - 1) / BAND;
  // Channels whose rows under a window stay in the first level of the cache, as it pays where
  // most are read again for the next row.
  const int unit = 4 * LANES<T>;
  const long one = (long)s.rows.span() * x.width * sizeof(T);  // of one channel
  const long fitting = ROWS_BYTES / std::max(one, 1L);  // images may have no columns
  const bool again = s.rows.stride == 1 && s.columns.stride == 1 && fitting >= unit;
  const int block = again ? fitting / unit * unit : x.channels;
  // What is read and written fills the cache, so that no result stays there until it is read.
  const bool past = past_cache(results.data, results.pixel, s.values_moved());
  on_threads(c)((long)s.count * bands, s.values(), [&](long unit) {
    const long image = unit / bands;
    const int begin = unit % bands * BAND;
    for (int c0 = 0; c0 < x.channels; c0 += block) {
      Images<T> some = x;
      some.data += c0, some.channels = std::min(block, x.channels - c0);
      for (int i = begin; i < std::min(begin + BAND, rows); i++)
        for (size_t k = 0; k < sweeps.size(); k++)
          if (sweeps[k].columns > 0 && i < sweeps[k].rows)
            weigh_in_place(sweeps[k], some, image, i, w + c0,
                           firsts[k] + c0 + image * results.image + i * results.row,
                           results.pixel, past);
    }
    if (past) settle();
  });
}

}  // namespace
}  // namespace hw2

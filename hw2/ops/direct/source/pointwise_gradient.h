// The gradient by the filters of windows of one tap: dw[c, o] = sum over pixels of x[c] * dy[o].
//
// It is a product of matrices whose inner dimension is the pixels, some 100,000 of them. They are
// taken in blocks of a few hundred: of a block, x is packed by tiles of rows and dy by panels of
// columns, as the inner loop reads them, and the next block comes from memory meanwhile. The result
// is cut so that the part of it that one thread holds stays in the second level of the cache; where
// that makes few parts, the pixels are cut into slices, each with a sum of its own, which are added
// in order. All cuts depend on shapes alone, so that threads do not change a bit.
#pragma once

#include "sweep.h"

namespace hw2 {

constexpr long PART_BYTES = 256 << 10;   // of the result: a quarter of a second-level cache of 1 MB
constexpr long BLOCK_BYTES_OF_PIXELS = 192 << 10;  // of both operands, packed
constexpr int LEAST_BLOCK = 64, MOST_BLOCK = 192;  // pixels; a tile is loaded and stored for each
constexpr int LEAST_UNITS = 16;          // of work, so that threads end together
constexpr int LEAST_BLOCKS = 6;          // of a slice, whose sums are added once more

// How the result, and the pixels, are cut.
struct PointwisePlan {
  int channels, filters;        // of the result
  int rows, columns;            // of a part of it
  int down, across;             // parts
  long pixels;                  // of all images
  int block, slices;            // pixels of a block, sums of each part

  int parts() const { return down * across; }
  template <class Sum>
  long values() const {  // of the sums' memory
    return slices * channels * ((filters + LANES<Sum> - 1L) / LANES<Sum> * LANES<Sum>);
  }
};

template <class Sum>
PointwisePlan pointwise_plan(int channels, int filters, long pixels) {
  constexpr int W = LANES<Sum>;
  auto cut = [](int all, int parts, int unit) {  // how many each part has
    const int units = (all + unit - 1) / unit;
    return (units + parts - 1) / parts * unit;
  };
  PointwisePlan plan{channels, filters, channels, filters, 1, 1, pixels, 0, 0};
  // The longer side is halved, so that both operands are read again as little as can be.
  while ((long)plan.rows * plan.columns * (long)sizeof(Sum) > PART_BYTES) {
    if (plan.columns > plan.rows && plan.columns > 2 * W)
      plan.columns = cut(filters, plan.across *= 2, 2 * W);
    else
      plan.rows = cut(channels, plan.down *= 2, 1);
  }
  plan.across = (filters + plan.columns - 1) / plan.columns;
  plan.down = (channels + plan.rows - 1) / plan.rows;
  const long each = (plan.rows + plan.columns) * (long)sizeof(Sum);
  plan.block = std::clamp<long>(BLOCK_BYTES_OF_PIXELS / each, LEAST_BLOCK, MOST_BLOCK) / 2 * 2;
  const long blocks = (pixels + plan.block - 1) / plan.block;
  plan.slices = std::clamp<long>((LEAST_UNITS + plan.parts() - 1) / plan.parts(), 1,
                                 std::max(blocks / LEAST_BLOCKS, 1L));
  return plan;
}

// Packs `width` values of each of some pixels, or pairs of them: [pixels / DEPTH][padded], zeros
// behind. The last pixel of a pair may not be there.
template <class Kind, class T>
inline void pack_pixels(const T* const* pixels, int count, int first, int width, int padded,
                        typename Kind::Factor* to) {
  using Factor = typename Kind::Factor;
  constexpr int W = LANES<Factor>;
  for (int p = 0; p < count; p += Kind::DEPTH, to += padded) {
    const T* from = pixels[p] + first;
    if constexpr (Kind::DEPTH == 1) {
      for (int k = 0; k < padded; k += W)
        write(to + k, load_wide_part(from + k, std::max(width - k, 0)), padded - k);
    } else {
      if (p + 1 < count)
        interleave(from, pixels[p + 1] + first, to, width);
      else
        for (int k = 0; k < width; k++) to[k] = from[k].bits;
      if (width < padded) std::fill(to + width, to + padded, Factor(0));
    }
  }
}

// Adds up the gradient.
//
//   x      pixel (n, r, q) of the results reads pixel (n, r * stride, q * stride) of the images
//   dy     a pixel of the results is `dy_pixel` values behind the one before
//   parts  memory of [slices][channels][columns], columns a whole number of registers, if there is
//          more than one slice; and else of the same without slices
//   dw     [channels, filters], rows `dw_row` apart
template <class Kind, class T>
void pointwise_gradient(const PointwisePlan& plan, const Sweep& sweep, const Images<T>& x,
                        const T* dy, long dy_pixel, typename Kind::Sum* parts, T* dw, long dw_row,
                        const Each& each) {
  using Sum = typename Kind::Sum;
  using Factor = typename Kind::Factor;
  constexpr int W = LANES<Sum>;
  const int registers = (plan.filters + W - 1) / W;
  const long dw_columns = (long)registers * W, part = plan.channels * dw_columns;
  const long blocks = (plan.pixels + plan.block - 1) / plan.block;
  const bool dense = sweep.row_stride == 1 && sweep.column_stride == 1 && plan.down == 1 &&
                     x.pixel == x.channels;
  const bool dy_dense = plan.across == 1 && dy_pixel == plan.filters;

  each((long)plan.slices * plan.parts(), plan.pixels * part, [&](long unit) {
    const int slice = unit / plan.parts(), down = unit % plan.parts() / plan.across;
    const int across = unit % plan.parts() % plan.across;
    const int c0 = down * plan.rows, rows = std::min(plan.rows, plan.channels - c0);
    const int o0 = across * plan.columns, columns = std::min(plan.columns, plan.filters - o0);
    const int width = (columns + W - 1) / W;  // registers
    Tiling tile = tiling<Sum>(rows, width);
    if (width % 2 == 0) tile.columns = 2;  // as fast, and packed in larger pieces
    const int panels = (width + tile.columns - 1) / tile.columns;
    const int most = most_rows<Sum>(tile.columns), cuts = (rows + most - 1) / most;
    const int m = (rows + cuts - 1) / cuts;
    const long depth = plan.block / Kind::DEPTH;
    Factor* of_x = scratch<Factor>(depth * (cuts * m + W), 0);
    Factor* of_dy = scratch<Factor>(depth * width * W, 1);
    Sum* sums = parts + slice * part + c0 * dw_columns + o0;
    const T *pixels[2 * MOST_BLOCK], *errors[2 * MOST_BLOCK];  // of a block and the next
    const long first = blocks * slice / plan.slices, last = blocks * (slice + 1) / plan.slices;
    for (long b = first; b < last; b++) {
      const long begin = b * plan.block;
      const int count = std::min<long>(plan.block, plan.pixels - begin);
      const int known = std::min<long>(2 * plan.block, last * plan.block - begin);
      for (int p = 0; p < std::min<long>(known, plan.pixels - begin); p++) {
        const long q = begin + p, n = q / ((long)sweep.rows * sweep.columns);
        const int at = q % ((long)sweep.rows * sweep.columns);
        const long row = (long)at / sweep.columns * sweep.row_stride + sweep.top;
        const long column = (long)at % sweep.columns * sweep.column_stride + sweep.left;
        pixels[p] = x.data + ((n * x.height + row) * x.width + column) * x.pixel + c0;
        errors[p] = dy + q * dy_pixel + o0;
      }
      const int pairs = (count + Kind::DEPTH - 1) / Kind::DEPTH;
      for (int k = 0; k < cuts; k++)
        pack_pixels<Kind>(pixels, count, k * m, std::min(m, rows - k * m), std::min(m, rows - k * m),
                          of_x + k * m * depth);
      for (int p = 0; p < panels; p++) {
        const int o = p * tile.columns * W, padded = std::min(tile.columns * W, width * W - o);
        pack_pixels<Kind>(errors, count, o, std::min(padded, columns - o), padded,
                          of_dy + o * depth);
      }
      // The next block comes from memory while this one is at work.
      const bool more = b + 1 < last;
      Stream of_next[] = {{}, {}};
      if (more && dense)
        of_next[0] = {(const char*)(pixels[0] + plan.block * x.pixel),
                      (long)plan.block * rows * (long)sizeof(T)};
      if (more && dy_dense)
        of_next[1] = {(const char*)(errors[0] + plan.block * dy_pixel),
                      (long)plan.block * columns * (long)sizeof(T)};
      const long bytes = of_next[0].left + of_next[1].left, calls = (long)cuts * panels;
      const int later = std::min<long>(known, plan.pixels - begin) - count;
      long asked = 0, call = 0;
      for (int p = 0; p < panels; p++)
        for (int k = 0; k < cuts; k++) {
          const int o = p * tile.columns * W, taken = std::min(tile.columns, width - o / W);
          const int height = std::min(m, rows - k * m);
          Stream& next = of_next[of_next[0].left <= 0];
          for (const long end = ++call * later / calls; asked < end; asked++) {
            if (!dense) prefetch(pixels[count + asked], rows);
            if (!dy_dense) prefetch(errors[count + asked], columns);
          }
          outer_for<Kind>(height, taken)(of_x + k * m * depth, 0, height, of_dy + o * depth,
                                         (long)taken * W, 1, pairs, sums + k * m * dw_columns + o,
                                         dw_columns, b > first,
                                         next.share(pairs, bytes, calls));
        }
    }
  });

  each((plan.channels + 63) / 64, part * plan.slices / 4, [&](long block) {
    for (long k = block * 64; k < std::min<long>(plan.channels, block * 64 + 64); k++) {
      const Sum* row = parts + k * dw_columns;
      T* to = dw + k * dw_row;
      for (int o = 0; o < plan.filters; o += W) {
        Vec<Sum> sum = load(row + o);
        for (int s = 1; s < plan.slices; s++) sum += load(row + s * part + o);
        write(to + o, sum, plan.filters - o);
      }
    }
  });
}

}  // namespace hw2

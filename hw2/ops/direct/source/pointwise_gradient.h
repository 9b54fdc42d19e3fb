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
  // The panels of the part that is the n-th across.
  template <class Sum>
  Panels panels(int n) const {
    constexpr int W = LANES<Sum>;
    const int some = std::min(columns, filters - n * columns), width = (some + W - 1) / W;
    // Two registers are as fast, and packed in larger pieces.
    return {some, width % 2 ? tiling<Sum>(rows, width).columns : 2, W};
  }
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

// Adds up the gradient.
//
//   x      pixel (n, r, q) of the results reads pixel (n, r * stride, q * stride) of the images
//   dy     a pixel of the results is `dy_pixel` values behind the one before
//   parts  memory of the plan: [slices], of each the parts down, of each the parts across, of each
//          the panels [channels, filters of the panel], so that a tile's sums lie side by side
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
    const Panels panels = plan.template panels<Sum>(across);
    const int width = panels.registers, tile = panels.columns * W;
    const int most = most_rows<Sum>(panels.columns), cuts = (rows + most - 1) / most;
    const int m = (rows + cuts - 1) / cuts;
    const long depth = plan.block / Kind::DEPTH;
    Factor* of_x = scratch<Factor>(depth * (cuts * m + W), 0);
    Factor* of_dy = scratch<Factor>(depth * width * W, 1);
    Sum* sums = parts + slice * part + c0 * dw_columns + (long)o0 * rows;
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
      pack_pixels<Kind>(pixels, count, 0, rows, rows, m, m * depth, of_x);
      pack_pixels<Kind>(errors, count, 0, columns, width * W, tile, tile * depth, of_dy);
      // The next block comes from memory while this one is at work.
      const bool more = b + 1 < last;
      Stream of_next[] = {{}, {}};
      if (more && dense)
        of_next[0] = {(const char*)(pixels[0] + plan.block * x.pixel),
                      (long)plan.block * rows * (long)sizeof(T)};
      if (more && dy_dense)
        of_next[1] = {(const char*)(errors[0] + plan.block * dy_pixel),
                      (long)plan.block * columns * (long)sizeof(T)};
      const long bytes = of_next[0].left + of_next[1].left, calls = (long)cuts * panels.count;
      const int later = std::min<long>(known, plan.pixels - begin) - count;
      long asked = 0, call = 0;
      for (int p = 0; p < panels.count; p++)
        for (int k = 0; k < cuts; k++) {
          const int o = panels.first(p), taken = panels.width(p);
          const int height = std::min(m, rows - k * m);
          Stream& next = of_next[of_next[0].left <= 0];
          for (const long end = ++call * later / calls; asked < end; asked++) {
            if (!dense) prefetch(pixels[count + asked], rows);
            if (!dy_dense) prefetch(errors[count + asked], columns);
          }
          outer_for<Kind>(height, taken)(of_x + k * m * depth, 0, height, of_dy + o * depth,
                                         (long)taken * W, 1, pairs,
                                         sums + (long)o * rows + k * m * taken * W, taken * W, b > first,
                                         next.share(pairs, bytes, calls));
        }
    }
  });

  const int most_panels = plan.template panels<Sum>(0).count;
  each((long)plan.parts() * most_panels, part * plan.slices / 4, [&](long task) {
    const int p = task % most_panels, across = task / most_panels % plan.across;
    const int c0 = task / most_panels / plan.across * plan.rows, o0 = across * plan.columns;
    const int rows = std::min(plan.rows, plan.channels - c0);
    const Panels panels = plan.template panels<Sum>(across);
    if (p >= panels.count) return;
    const int o = o0 + panels.first(p), width = panels.width(p) * W;
    const Sum* row = parts + c0 * dw_columns + (long)o * rows;
    T* to = dw + c0 * dw_row + o;
    for (int k = 0; k < rows; k++, row += width, to += dw_row)
      for (int j = 0; j < width; j += W) {
        Vec<Sum> sum = load(row + j);
        for (int s = 1; s < plan.slices; s++) sum += load(row + s * part + j);
        write(to + j, sum, plan.filters - o - j);
      }
  });
}

}  // namespace hw2

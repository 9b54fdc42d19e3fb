// The gradient by the filters: dw[tap, c, o] = sum over pixels of x[pixel + tap, c] * dy[pixel, o].
//
// The images are shared out in slices, fixed by the shapes alone; each sums into a gradient of its
// own, one after another of its bands, and the slices' gradients are added in their order. So the
// result has the same bits for any number of threads. A slice's work is shared out once more by
// blocks of channels, so that the sums of a block stay in the second level of the cache, and where
// channels are few by panels of filters. Blocks and panels write different parts of the gradient,
// so nothing is added between them.
#pragma once

#include "sweep.h"

namespace hw2 {

constexpr long SLICES_BYTES = 8 << 20;  // of all slices' gradients together, if more than two
constexpr int MOST_SLICES = 8, UNITS = 16;
constexpr long SUMS_BYTES = 640 << 10;  // of a block, which has its frame beside it in 1 MB
constexpr int PACKED_DEPTH = 256;  // values of a window, that read a band's errors again and again
constexpr int SLICE_PIXELS = 64;  // outputs of a band at least: a tile stays in registers over them

// How the work is cut, and with it the memory of sums: [slices], of each the blocks, of each the
// panels, of each [taps, channels of the block, filters of the panel]. A tile's sums lie side by
// side: rows some KB apart would fall into few sets of the caches.
struct FilterGradientPlan {
  Sweep sweep;
  int channels, band, bands;   // all channels; rows of a band, bands of an image
  int slices, block, blocks;   // channels of a block; blocks
  Panels panels;
  int across;                  // shares of the panels

  int taps() const { return sweep.taps.size(); }
  int of(int b) const { return std::min(block, channels - b * block); }
  long columns() const { return (long)panels.registers * panels.lanes; }
  long slice() const { return taps() * channels * columns(); }
  long values() const { return slices * slice(); }
  // Where the sums of a panel of a block begin in those of a slice.
  long begin(int b, int p) const {
    return taps() * ((long)b * block * columns() + (long)panels.first(p) * of(b));
  }
  // From pixel to pixel of a frame, in values. Pixels a multiple of 1 KB apart fall into few sets
  // of the first-level cache, and push each other out of it: they are a register further apart.
  int pixel(int b, int bytes) const {
    return of(b) * bytes % 1024 ? of(b) : of(b) + REGISTER_BYTES / bytes;
  }
};

template <class Kind>
FilterGradientPlan filter_gradient_plan(const Sweep& sweep, int images, int channels, int filters) {
  using Sum = typename Kind::Sum;
  constexpr int L = LANES<Sum>, BYTES = sizeof(typename Kind::Factor);
  constexpr int SOME = LINE / sizeof(Sum);  // channels of a line of the cache
  const int registers = (filters + L - 1) / L;
  FilterGradientPlan plan{sweep, channels, 0, 0, 0, 0, 0, Panels(filters, 1, L), 1};
  const long row_bytes = (long)sweep.reach_columns(sweep.columns) * channels * BYTES;
  plan.band = band_rows(sweep, SLICE_PIXELS, row_bytes, images);
  plan.bands = (sweep.rows + plan.band - 1) / plan.band;
  const long bytes = plan.slice() * sizeof(Sum);
  const long slices = std::clamp(SLICES_BYTES / bytes, 2L, (long)MOST_SLICES);
  plan.slices = std::min(slices, (long)images * plan.bands);
  const long blocks = std::max<long>((UNITS + plan.slices - 1) / plan.slices,
                                     (bytes + SUMS_BYTES - 1) / SUMS_BYTES);
  const int block = ((channels + blocks - 1) / blocks + SOME - 1) / SOME * SOME;
  plan.block = std::min(block, channels);
  plan.blocks = (channels + plan.block - 1) / plan.block;
  const int c = plan.of(0);
  const auto runs = sweep.runs((long)plan.pixel(0, BYTES) * (1 << 20), plan.pixel(0, BYTES), c);
  plan.panels = Panels(filters, tiling<Sum>(runs[0].length, registers).columns, L);
  const int units = plan.slices * plan.blocks;
  plan.across = std::clamp((UNITS + units - 1) / units, 1, plan.panels.count);
  return plan;
}

// Adds up the gradient of all images.
//
//   dy     [images, rows, columns] pixels, `dy_pixel` values apart
//   parts  memory of the plan
//   dw     [taps * channels, filters], rows `dw_row` apart
template <class Kind, class T>
void filter_gradient(const FilterGradientPlan& plan, const Images<T>& x, const T* dy, long dy_pixel,
                     typename Kind::Sum* parts, T* dw, long dw_row, const Each& each) {
  using Sum = typename Kind::Sum;
  using Factor = typename Kind::Factor;
  constexpr int L = LANES<Sum>;
  const Sweep& sweep = plan.sweep;
  const Panels& panels = plan.panels;
  const int frame_columns = sweep.reach_columns(sweep.columns);
  const int columns = (sweep.columns + Kind::DEPTH - 1) / Kind::DEPTH;  // pixels or pairs
  const long bands = (long)x.count * plan.bands;
  // A band of dy is packed by panels where many tiles read it; registers are loaded whole, so else
  // the last pixel's must not reach past the end.
  const bool in_place = std::is_same_v<T, Factor> && panels.filters % L == 0 &&
                        plan.taps() * plan.block < PACKED_DEPTH;

  const long units = (long)plan.slices * plan.blocks * plan.across;
  each(units, bands * plan.band * sweep.columns * plan.slice(), [&](long unit) {
    const int share = unit % plan.across, b = unit / plan.across % plan.blocks;
    const int slice = unit / plan.across / plan.blocks;
    const int first_panel = (long)panels.count * share / plan.across;
    const int last_panel = (long)panels.count * (share + 1) / plan.across;
    Images<T> some = x;
    some.data += b * plan.block, some.channels = plan.of(b);
    const int pixel = plan.pixel(b, sizeof(Factor));
    const long frame_row = (long)frame_columns * pixel, next = (long)sweep.column_stride * pixel;
    const std::vector<Run> runs = sweep.runs(frame_row, pixel, some.channels);
    Sum* sums = parts + slice * plan.slice();
    std::vector<const T*> of_row(sweep.columns);

    // A row of the image, framed; in pairs, each value with that of the next position.
    auto frame_a_row = [&](const T* image, int row, Factor* to) {
      if constexpr (Kind::DEPTH == 1) {
        copy_row(some, image, row, sweep.left, frame_columns, pixel, to);
      } else {
        T* line = scratch<T>(frame_row + next + 64, 2);
        copy_row(some, image, row, sweep.left, frame_columns, pixel, line);
        std::memset(line + frame_row, 0, next * sizeof(T));
        interleave(line, line + next, to, frame_row);
      }
    };

    const long first = bands * slice / plan.slices, last = bands * (slice + 1) / plan.slices;
    for (long band = first; band < last; band++) {
      const int n = band / plan.bands, row = band % plan.bands * plan.band;
      const int rows = std::min(plan.band, sweep.rows - row);
      const T* image = some.data + (long)n * x.height * x.width * x.pixel;
      const int top = row * sweep.row_stride + sweep.top, frame_rows = sweep.reach_rows(rows);
      Factor* frame = scratch<Factor>((size_t)frame_rows * frame_row + 64, 0);
      for (int r = 0; r < frame_rows; r++) frame_a_row(image, top + r, frame + r * frame_row);
      const T* from = dy + ((long)n * sweep.rows + row) * sweep.columns * dy_pixel;
      Factor* packed = scratch<Factor>((size_t)rows * columns * plan.columns(), 1);
      for (int r = 0; r < rows && !in_place; r++) {
        for (int q = 0; q < sweep.columns; q++)
          of_row[q] = from + ((long)r * sweep.columns + q) * dy_pixel;
        for (int p = first_panel; p < last_panel; p++) {
          const int o = panels.first(p), width = panels.width(p) * L;
          pack_pixels<Kind>(of_row.data(), sweep.columns, o, std::min(width, panels.filters - o),
                            width, width, 0, packed + (long)columns * (rows * o + r * width));
        }
      }
      // The next band comes from memory while this one is at work.
      if (band + 1 < last)
        prefetch(from + (long)rows * sweep.columns * dy_pixel, (long)rows * sweep.columns * dy_pixel);
      const long step = next * Kind::DEPTH, row_step = sweep.row_stride * frame_row;
      for (int p = first_panel; p < last_panel; p++) {
        const int width = panels.width(p), most = most_rows<Sum>(width);
        const Factor* errors = in_place ? reinterpret_cast<const Factor*>(from) + panels.first(p)
                                        : packed + (long)columns * rows * panels.first(p);
        const long error_step = in_place ? dy_pixel : width * L;
        Sum* to = sums + plan.begin(b, p);
        for (const Run& run : runs) {
          // Rows of the band whose tap lies in the image: [above, above + inside).
          const int above = std::clamp(
              (-run.row - row * sweep.row_stride + sweep.row_stride - 1) / sweep.row_stride, 0, rows);
          const int below = x.height - 1 - run.row - row * sweep.row_stride;
          const int inside =
              std::max(below < 0 ? 0 : std::min(below / sweep.row_stride + 1, rows), above) - above;
          const int cuts = (run.length + most - 1) / most, m = (run.length + cuts - 1) / cuts;
          const auto full = outer_for<Kind>(m, width);
          for (int k = 0; k < run.length; k += m) {
            const int taken = std::min(m, run.length - k);
            const auto product = taken == m ? full : outer_for<Kind>(taken, width);
            product(frame + run.offset + k + above * row_step, row_step, step,
                    errors + above * columns * error_step, error_step, inside, columns, to, width * L,
                    band > first, {});
            to += taken * width * L;
          }
        }
      }
    }
  });

  each((long)plan.blocks * plan.taps(), plan.values() / 4, [&](long task) {
    const int b = task / plan.taps(), tap = task % plan.taps();
    for (int p = 0; p < panels.count; p++) {
      const int width = panels.width(p) * L, o = panels.first(p);
      const Sum* row = parts + plan.begin(b, p) + (long)tap * plan.of(b) * width;
      T* to = dw + ((long)tap * plan.channels + b * plan.block) * dw_row + o;
      for (int c = 0; c < plan.of(b); c++, row += width, to += dw_row)
        for (int j = 0; j < width; j += L) {
          Vec<Sum> sum = load(row + j);
          for (int s = 1; s < plan.slices; s++) sum += load(row + s * plan.slice() + j);
          write(to + j, sum, panels.filters - o - j);
        }
    }
  });
}

}  // namespace hw2

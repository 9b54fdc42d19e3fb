// The gradient by the filters: dw[tap, c, o] = sum over pixels of x[pixel + tap, c] * dy[pixel, o].
//
// The images are shared out in slices, fixed by the shapes alone; each sums into a gradient of its
// own, one after another of its bands, and the slices' gradients are added in their order. So the
// result has the same bits for any number of threads. Where there are many filters a slice's work
// is shared out once more by panels of filters, which do not meet in a sum.
#pragma once

#include "sweep.h"

namespace hw2 {

constexpr long SLICES_BYTES = 8 << 20;  // of all slices' gradients together, if more than two
constexpr int MOST_SLICES = 8, UNITS = 16;
constexpr int SLICE_PIXELS = 64;  // outputs of a band at least: a tile stays in registers over them

// Memory of the gradients of all slices: [slices][depth][columns], columns a whole number of
// registers.
struct Slices {
  long depth, columns;
  int count;

  template <class Sum>
  static Slices of(long depth, int filters, long bands, Sum) {
    const long columns = (filters + LANES<Sum> - 1) / LANES<Sum> * LANES<Sum>;
    const long bytes = std::max(1L, depth * columns * (long)sizeof(Sum));
    const long count = std::clamp(SLICES_BYTES / bytes, 2L, (long)MOST_SLICES);
    return {depth, columns, (int)std::max(1L, std::min(count, bands))};
  }
  long values() const { return count * depth * columns; }
};

struct FilterGradientPlan {
  Sweep sweep;
  int band, bands;  // rows of a band, bands of an image
};

inline FilterGradientPlan filter_gradient_plan(const Sweep& sweep) {
  FilterGradientPlan plan{sweep, 1, 1};
  plan.band = std::clamp((SLICE_PIXELS + sweep.columns - 1) / std::max(sweep.columns, 1), 1,
                         std::max(sweep.rows, 1));
  plan.bands = (sweep.rows + plan.band - 1) / plan.band;
  return plan;
}

// Adds up the gradient of all images.
//
//   dy     [images, rows, columns] pixels, `dy_pixel` values apart, of which `filters` count
//   parts  memory of `Slices`
//   dw     [depth, filters], rows `dw_row` apart
template <class Sum, class T>
void filter_gradient(const FilterGradientPlan& plan, const Images<T>& x, const T* dy, long dy_pixel,
                     int filters, const Slices& slices, Sum* parts, T* dw, long dw_row,
                     const Each& each) {
  const Sweep& sweep = plan.sweep;
  const int c = x.channels;
  const bool one_tap = sweep.taps.size() == 1;
  const bool inside = sweep.top >= 0 && sweep.left >= 0 &&
                      sweep.bottom + (sweep.rows - 1) * sweep.row_stride < x.height &&
                      sweep.right + (sweep.columns - 1) * sweep.column_stride < x.width;
  const bool in_place = inside && std::is_same_v<T, Sum> && (one_tap || x.pixel == c);
  // Registers are loaded whole, so the last pixel's must not reach past the end.
  const bool dy_in_place = std::is_same_v<T, Sum> && filters % LANES<Sum> == 0;
  const int frame_columns =
      (sweep.columns - 1) * sweep.column_stride + sweep.right - sweep.left + 1;
  const int taps_down = sweep.bottom - sweep.top + 1;
  const long frame_row = (long)frame_columns * c;
  const std::vector<Run> runs = in_place ? sweep.runs((long)x.width * x.pixel, x.pixel, c)
                                         : sweep.runs(frame_row, c, c);
  const long step = (long)sweep.column_stride * (in_place ? x.pixel : c);
  const long row_step = sweep.row_stride * (in_place ? (long)x.width * x.pixel : frame_row);
  const long dy_step = dy_in_place ? dy_pixel : slices.columns;
  const long part = slices.depth * slices.columns;
  const long bands = (long)x.count * plan.bands;
  const long registers = slices.columns / LANES<Sum>;
  const Tiling tile = tiling<Sum>(runs.empty() ? 1 : runs[0].length, registers);
  const int panels = (registers + tile.columns - 1) / tile.columns;
  const int shares = std::clamp((UNITS + slices.count - 1) / slices.count, 1, std::max(panels, 1));

  each((long)slices.count * shares, bands * plan.band * sweep.columns * slices.depth, [&](long unit) {
    const int slice = unit / shares, share = unit % shares;
    const int first_panel = (long)panels * share / shares;
    const int last_panel = (long)panels * (share + 1) / shares;
    Sum* sums = parts + slice * part;
    const long first = bands * slice / slices.count, last = bands * (slice + 1) / slices.count;
    for (long b = first; b < last; b++) {
      const int n = b / plan.bands, row = b % plan.bands * plan.band;
      const int rows = std::min(plan.band, sweep.rows - row);
      const T* image = x.data + (long)n * x.height * x.width * x.pixel;
      const Sum* corner;
      if (in_place) {
        corner = reinterpret_cast<const Sum*>(image) +
                 ((long)(row * sweep.row_stride + sweep.top) * x.width + sweep.left) * x.pixel;
      } else {
        const int frame_rows = (rows - 1) * sweep.row_stride + taps_down;
        Sum* frame = scratch<Sum>((size_t)frame_rows * frame_row + 64, 0);
        for (int r = 0; r < frame_rows; r++)
          copy_row(x, image, row * sweep.row_stride + sweep.top + r, sweep.left, frame_columns,
                   frame + r * frame_row);
        corner = frame;
      }
      const T* from = dy + ((long)n * sweep.rows + row) * sweep.columns * dy_pixel;
      const Sum* errors = reinterpret_cast<const Sum*>(from);
      if (!dy_in_place) {
        const long pixels = (long)rows * sweep.columns;
        Sum* copy = scratch<Sum>(pixels * slices.columns, 1);
        for (long p = 0; p < pixels; p++) {
          widen_all(from + p * dy_pixel, copy + p * slices.columns, filters);
          std::fill(copy + p * slices.columns + filters, copy + (p + 1) * slices.columns, Sum(0));
        }
        errors = copy;
      }
      for (int p = first_panel; p < last_panel; p++) {
        const long o = (long)p * tile.columns * LANES<Sum>;
        const int width = std::min<long>(tile.columns, registers - p * tile.columns);
        const int most = most_rows<Sum>(width);
        long at = 0;
        for (const Run& run : runs) {
          const int cuts = (run.length + most - 1) / most, m = (run.length + cuts - 1) / cuts;
          const auto full = outer_for<Sum>(m, width);
          for (int k = 0; k < run.length; k += m) {
            const int taken = std::min(m, run.length - k);
            const auto product = taken == m ? full : outer_for<Sum>(taken, width);
            product(corner + run.offset + k, row_step, step, errors + o, dy_step, rows,
                    sweep.columns, sums + (at + k) * slices.columns + o, slices.columns,
                    b > first);
          }
          at += run.length;
        }
      }
    }
    if (first == last && share == 0) std::fill(sums, sums + part, Sum(0));
  });

  each((slices.depth + 63) / 64, slices.values() / 4, [&](long block) {
    for (long k = block * 64; k < std::min(slices.depth, block * 64 + 64); k++) {
      const Sum* row = parts + k * slices.columns;
      T* to = dw + k * dw_row;
      for (int o = 0; o < filters; o += LANES<Sum>) {
        Vec<Sum> sum = load(row + o);
        for (int s = 1; s < slices.count; s++) sum += load(row + s * part + o);
        write(to + o, sum, filters - o);
      }
    }
  });
}

}  // namespace hw2

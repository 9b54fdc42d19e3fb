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

inline FilterGradientPlan filter_gradient_plan(const Sweep& sweep, int images, long pixel_bytes) {
  FilterGradientPlan plan{sweep, 1, 1};
  plan.band = band_rows(sweep, SLICE_PIXELS, sweep.reach_columns(sweep.columns) * pixel_bytes, images);
  plan.bands = (sweep.rows + plan.band - 1) / plan.band;
  return plan;
}

// Adds up the gradient of all images.
//
//   dy     [images, rows, columns] pixels, `dy_pixel` values apart, of which `filters` count
//   parts  memory of `Slices`
//   dw     [depth, filters], rows `dw_row` apart
template <class Kind, class T>
void filter_gradient(const FilterGradientPlan& plan, const Images<T>& x, const T* dy, long dy_pixel,
                     int filters, const Slices& slices, typename Kind::Sum* parts, T* dw,
                     long dw_row, const Each& each) {
  using Sum = typename Kind::Sum;
  using Factor = typename Kind::Factor;
  const Sweep& sweep = plan.sweep;
  const int c = x.channels;
  // Pixels a multiple of 1 KB apart fall into few sets of the first-level cache, and push each other
  // out of it: in a frame they are a register further apart.
  const bool colliding = c * sizeof(Factor) % 1024 == 0;
  const int pixel = colliding ? c + LANES<Sum> : c;  // values, in a frame
  const bool plain = std::is_same_v<T, Factor> && !colliding &&
                     (sweep.taps.size() == 1 || x.pixel == c) && sweep.columns_inside(x.width);
  // Registers are loaded whole, so the last pixel's must not reach past the end.
  const bool dy_in_place = std::is_same_v<T, Factor> && filters % LANES<Sum> == 0;
  const int frame_columns = sweep.reach_columns(sweep.columns);
  const long frame_row = (long)frame_columns * pixel, ahead = (long)sweep.column_stride * pixel;
  const long image_row = (long)x.width * x.pixel;
  const std::vector<Run> there = sweep.runs(image_row, x.pixel, c);
  const std::vector<Run> framed_runs = sweep.runs(frame_row, pixel, c);
  const long dy_step = dy_in_place ? dy_pixel : slices.columns;
  const int columns = (sweep.columns + Kind::DEPTH - 1) / Kind::DEPTH;  // pixels or pairs
  const long part = slices.depth * slices.columns;
  const long bands = (long)x.count * plan.bands;
  const long registers = slices.columns / LANES<Sum>;
  const Tiling tile = tiling<Sum>(framed_runs.empty() ? 1 : framed_runs[0].length, registers);
  const int panels = (registers + tile.columns - 1) / tile.columns;
  const int shares = std::clamp((UNITS + slices.count - 1) / slices.count, 1, std::max(panels, 1));

  // A row of the image, framed; in pairs, each value with that of the next position.
  auto frame_a_row = [&](const T* image, int row, Factor* to) {
    if constexpr (Kind::DEPTH == 1) {
      copy_row(x, image, row, sweep.left, frame_columns, pixel, to);
    } else {
      T* line = scratch<T>(frame_row + ahead + 64, 2);
      copy_row(x, image, row, sweep.left, frame_columns, pixel, line);
      std::memset(line + frame_row, 0, ahead * sizeof(T));
      interleave(line, line + ahead, to, frame_row);
    }
  };
  // The errors of a row of positions, whole registers for each; a pair's second may be zero.
  auto copy_errors = [&](const T* from, Factor* to) {
    for (int q = 0; q < sweep.columns; q += Kind::DEPTH, to += slices.columns) {
      if constexpr (Kind::DEPTH == 1) {
        widen_all(from + q * dy_pixel, to, filters);
      } else {
        static const T zeros[LANES<T>] = {};
        const T *first = from + q * dy_pixel, *second = first + dy_pixel;
        if (q + 1 < sweep.columns) {
          interleave(first, second, to, filters);
        } else {
          for (int o = 0; o < filters; o += LANES<T>)
            interleave(first + o, zeros, to + o, std::min(LANES<T>, filters - o));
        }
      }
      std::fill(to + filters, to + slices.columns, Factor(0));
    }
  };

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
      const Factor* corner;
      const int top = row * sweep.row_stride + sweep.top, frame_rows = sweep.reach_rows(rows);
      const bool in_place = plain && top >= 0 && top + frame_rows <= x.height;
      const std::vector<Run>& runs = in_place ? there : framed_runs;
      const long step = (long)sweep.column_stride * (in_place ? x.pixel : pixel) * Kind::DEPTH;
      const long row_step = sweep.row_stride * (in_place ? image_row : frame_row);
      if (in_place) {
        corner = reinterpret_cast<const Factor*>(image) + top * image_row + sweep.left * x.pixel;
      } else {
        Factor* frame = scratch<Factor>((size_t)frame_rows * frame_row + 64, 0);
        for (int r = 0; r < frame_rows; r++)
          frame_a_row(image, top + r, frame + r * frame_row);
        corner = frame;
      }
      const T* from = dy + ((long)n * sweep.rows + row) * sweep.columns * dy_pixel;
      const Factor* errors = reinterpret_cast<const Factor*>(from);
      if (!dy_in_place) {
        Factor* copy = scratch<Factor>((size_t)rows * columns * slices.columns, 1);
        for (int r = 0; r < rows; r++)
          copy_errors(from + (long)r * sweep.columns * dy_pixel, copy + (long)r * columns * slices.columns);
        errors = copy;
      }
      // The next band comes from memory while this one is at work.
      if (b + 1 < last && dy_in_place)
        prefetch(errors + (long)rows * sweep.columns * dy_pixel, (long)rows * sweep.columns * dy_pixel);
      if (b + 1 < last && in_place)
        prefetch(corner + rows * row_step, std::min<long>(rows * row_step, 16384));
      for (int p = first_panel; p < last_panel; p++) {
        const long o = (long)p * tile.columns * LANES<Sum>;
        const int width = std::min<long>(tile.columns, registers - p * tile.columns);
        const int most = most_rows<Sum>(width);
        long at = 0;
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
            product(corner + run.offset + k + above * row_step, row_step, step,
                    errors + o + above * columns * dy_step, dy_step, inside, columns,
                    sums + (at + k) * slices.columns + o, slices.columns, b > first, {});
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

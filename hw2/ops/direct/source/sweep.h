// A dense convolution over images, without patches: filters packed once, images walked in bands.
//
// A band is some rows of outputs of one image, few enough that what they read stays in the second
// level of the cache. Its pixels are copied once into a frame, with the zeros of the padding
// around, and widened if they are stored in 16 bits; then every window is a few runs of values
// that lie side by side, and no position is special. Filters are packed so that the inner loop
// reads them straight on: by panels of a few registers of filters, within them in the order of the
// runs. For each panel the band is walked once.
#pragma once

#include <atomic>
#include <functional>

#include "pack.h"

namespace hw2 {

// Calls a function for every number below `count`, on all threads if so many values are worth it.
using Each = std::function<void(long count, long values, const std::function<void(long)>&)>;

constexpr long WORTH_WAKING = 1 << 16;  // values; another thread wakes in some 20 microseconds

constexpr long BAND_BYTES = 256 << 10;  // of the frame: a quarter of a second-level cache of 1 MB
constexpr int BAND_PIXELS = 112;  // outputs at least: a panel of filters serves them all
constexpr int OVERLAPS = 3;       // rows that a band reads alone, beside each that it shares
constexpr int LEAST_BANDS = 16;   // of all images, so that threads end together

// Memory of a thread, kept from call to call.
template <class T>
T* scratch(size_t count, int which) {
  thread_local std::vector<char> memory[4];
  auto& mine = memory[which];
  if (mine.size() < count * sizeof(T) + 128) mine.resize(count * sizeof(T) + 128);
  const uintptr_t address = reinterpret_cast<uintptr_t>(mine.data());
  return reinterpret_cast<T*>((address + 63) & ~uintptr_t(63));
}

// Where images lie: [count, height, width, pixel] values, of which a group reads `channels`.
template <class T>
struct Images {
  const T* data;
  int count, height, width;
  long pixel;  // values from a pixel to the next
  int channels;
};

// Where results go: output (r, q) of image n lies at n * image + r * row + q * pixel.
template <class T>
struct Results {
  T* data;
  long image, row, pixel;
};

// The runs that an output of row `r` reads in an image: all but those above it and below it.
struct Reached {
  int first = 0, count = 0;
  long before = 0;  // values of the runs that are left out before the first

  Reached(const std::vector<Run>& runs, int top, int height) {
    for (const Run& run : runs) {
      if (top + run.row >= height) break;
      if (top + run.row >= 0)
        count++;
      else
        first++, before += run.length;
    }
  }
};

// Copies columns [left, left + columns) of a row into a frame of `c` values a pixel, perhaps more
// than the image has; zeros outside of the image.
template <class T, class Value>
void copy_row(const Images<T>& x, const T* image, int row, int left, int columns, int c,
              Value* to) {
  if (row < 0 || row >= x.height) {
    std::memset(to, 0, sizeof(Value) * columns * c);
    return;
  }
  const int first = std::clamp(-left, 0, columns);
  const int last = std::clamp(x.width - left, first, columns);
  std::memset(to, 0, sizeof(Value) * first * c);
  std::memset(to + (long)last * c, 0, sizeof(Value) * (columns - last) * c);
  const T* from = image + ((long)row * x.width + left + first) * x.pixel;
  to += (long)first * c;
  if (x.pixel == c && x.channels == c) {  // not of a group, whose zero would be its neighbour's
    widen_all(from, to, (long)(last - first) * c);
    return;
  }
  auto pixels = [&](auto channels) {
    for (int i = first; i < last; i++, from += x.pixel, to += c) {
      widen_all(from, to, channels);
      for (int k = channels; k < c; k++) to[k] = {};
    }
  };
  if (x.channels == 3)
    pixels(std::integral_constant<int, 3>{});  // unrolled: pictures in colour
  else
    pixels(x.channels);
}

// Rows of a band of at least so many outputs: enough, too, that rows which two bands read are few
// beside those that one reads, if the frame stays in the cache and all threads have bands to do.
inline int band_rows(const Sweep& sweep, int pixels, long row_bytes, int images) {
  const long enough = (pixels + sweep.columns - 1) / std::max(sweep.columns, 1);
  const long overlap = OVERLAPS * (sweep.reach_rows(1) - 1) / sweep.row_stride;
  const long fitting = BAND_BYTES / std::max(row_bytes * sweep.row_stride, 1L);
  const long shared = (long)sweep.rows * images / LEAST_BANDS;
  const long most = std::max({std::min(fitting, shared), std::min(enough, fitting), 1L});
  const long band = std::clamp(std::max(enough, overlap), 1L, std::min<long>(most, sweep.rows));
  const long bands = (sweep.rows + band - 1) / band;
  return (sweep.rows + bands - 1) / bands;
}

template <class T>
inline void prefetch(const T* from, long count) {
  for (long i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(from + i, 0, 2);
}

// One of the sweeps over the same images: its filters, and where its results go.
template <class Kind, class T>
struct Pass {
  Sweep sweep;
  const typename Kind::Value* packed;  // of `pack`, for all panels
  Results<T> y;
};

// Writes zeros where no tap reaches: `columns` pixels of a row.
template <class T>
void clear(T* row, int columns, long pixel, int filters, bool past) {
  for (int q = 0; q < columns; q++, row += pixel) {
    if (!past || filters % LANES<SumOf<T>>)
      std::memset(row, 0, filters * sizeof(T));
    else
      for (int k = 0; k < filters; k += LANES<SumOf<T>>) write_past(row + k, Vec<SumOf<T>>{});
  }
}

// Convolves every image by some sweeps that have their strides and bounding box in common, and of
// which the first has most outputs: each band is framed once for all.
//
//   bias  [filters] or nothing
template <class Kind, class T>
void convolve(const std::vector<Pass<Kind, T>>& passes, const Images<T>& x, const Panels& panels,
              const typename Kind::Sum* bias, bool relu, const Each& each) {
  using Value = typename Kind::Value;
  using Sum = typename Kind::Sum;
  const int c = framed<Kind>(x.channels);
  // Pixels a multiple of 4 KB apart fall into one set of the first-level cache, and push each other
  // out of it: in a frame they are a line further apart.
  const int pixel = c * sizeof(Value) % PAGE ? c : c + LINE / (int)sizeof(Value);
  const Sweep& largest = passes[0].sweep;
  size_t taps = 0, most_taps = 0;
  bool past = std::is_same_v<T, typename Kind::Out>;
  for (const Pass<Kind, T>& pass : passes) {
    taps += pass.sweep.taps.size(), most_taps = std::max(most_taps, pass.sweep.taps.size());
    past = past && past_cache(pass.y.data, pass.y.pixel, x.count * pass.y.image);
  }
  // Whether images can be read in place, without a frame: values are stored as they are multiplied,
  // pixels need no gap between them, a window has one tap or reads all channels of its pixels, and
  // no window crosses the left or right edge. Bands that cross the top or bottom are framed all the
  // same.
  const bool plain = std::is_same_v<T, Value> && pixel == x.channels &&
                     (most_taps <= 1 || x.pixel == c) && largest.columns_inside(x.width);
  const int frame_columns = largest.reach_columns(largest.columns);
  const long frame_row = (long)frame_columns * pixel, image_row = (long)x.width * x.pixel;
  const int band = band_rows(largest, BAND_PIXELS, frame_row * sizeof(Value), x.count);
  const int bands = (largest.rows + band - 1) / band;
  std::vector<std::vector<Run>> there, framed_runs;  // of each pass
  for (const Pass<Kind, T>& pass : passes) {
    there.push_back(pass.sweep.runs(image_row, x.pixel, c));
    framed_runs.push_back(pass.sweep.runs(frame_row, pixel, c));
  }
  const int most = most_rows<Sum>(panels.columns);
  const int cuts = (largest.columns + most - 1) / most;
  const int tile_rows = (largest.columns + cuts - 1) / cuts;

  const long products = (long)x.count * largest.rows * largest.columns * taps * c;
  each((long)x.count * bands, products, [&](long task) {
    const int n = task / bands, first = task % bands * band;
    const int last = std::min(first + band, largest.rows);
    if (first >= last) return;
    const T* image = x.data + (long)n * x.height * x.width * x.pixel;
    const Value* corner;
    const int top = first * largest.row_stride + largest.top;
    const int frame_rows = largest.reach_rows(last - first);
    const bool in_place = plain && top >= 0 && top + frame_rows <= x.height;
    const long step = (long)largest.column_stride * (in_place ? x.pixel : pixel);
    const long row_step = largest.row_stride * (in_place ? image_row : frame_row);
    if (in_place) {
      corner = reinterpret_cast<const Value*>(image) + top * image_row + largest.left * x.pixel;
    } else {
      Value* frame = scratch<Value>((size_t)frame_rows * frame_row + 64, 0);
      for (int r = 0; r < frame_rows; r++)
        copy_row(x, image, top + r, largest.left, frame_columns, pixel, frame + r * frame_row);
      corner = frame;
    }
    // The results of a panel of filters.
    auto walk = [&](const Pass<Kind, T>& pass, const std::vector<Run>& runs, int p) {
      const Sweep& sweep = pass.sweep;
      const int o = panels.first(p), columns = panels.filters - o;
      const Value* w = pass.packed + o * (long)sweep.taps.size() * c;
      const Finish<Sum> finish{bias ? bias + o : nullptr, relu, past};
      const auto full = windows_for<Kind>(tile_rows, panels.width(p));
      for (int r = first; r < std::min(last, sweep.rows); r++) {
        T* row = pass.y.data + n * pass.y.image + r * pass.y.row;
        if (runs.empty()) {
          if (p == 0) clear(row, sweep.columns, pass.y.pixel, panels.filters, past);
          continue;
        }
        const Reached reached(runs, r * sweep.row_stride, x.height);
        const Value* filters = w + reached.before * panels.width(p) * panels.lanes;
        for (int q = 0; q < sweep.columns; q += tile_rows) {
          const int rows = std::min(tile_rows, sweep.columns - q);
          const auto product = rows == tile_rows ? full : windows_for<Kind>(rows, panels.width(p));
          const Value* at = corner + (r - first) * row_step + q * step;
          // The image comes from memory while the tile before it is at work.
          if (in_place && p == 0 && q + tile_rows < sweep.columns)
            prefetch(at + tile_rows * step, std::min(tile_rows, sweep.columns - q - tile_rows) * step);
          T* to = row + q * pass.y.pixel + o;
          if constexpr (std::is_same_v<T, typename Kind::Out>) {
            product(at, step, runs.data() + reached.first, reached.count, filters, to, pass.y.pixel,
                    columns, finish);
          } else {
            Sum sums[MOST_ROWS * MOST_COLUMNS * LANES<Sum>];
            const int width = panels.width(p) * panels.lanes;
            product(at, step, runs.data() + reached.first, reached.count, filters, sums, width,
                    width, finish);
            for (int i = 0; i < rows; i++)
              for (int j = 0; j < width; j += panels.lanes)
                write(to + i * pass.y.pixel + j, load(sums + i * width + j), columns - j);
          }
        }
      }
    };
    for (int p = 0; p < panels.count; p++)
      for (size_t k = 0; k < passes.size(); k++)
        walk(passes[k], in_place ? there[k] : framed_runs[k], p);
    if (past) settle();
  });
}

}  // namespace hw2

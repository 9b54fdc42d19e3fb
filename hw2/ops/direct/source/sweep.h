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

#include "geometry.h"
#include "product.h"

namespace hw2 {

// Calls a function for every number below `count`, on all threads if so many values are worth it.
using Each = std::function<void(long count, long values, const std::function<void(long)>&)>;

constexpr long WORTH_WAKING = 1 << 16;  // values; another thread wakes in some 20 microseconds

constexpr long BAND_BYTES = 256 << 10;  // of the frame: a quarter of a second-level cache of 1 MB
constexpr int BAND_PIXELS = 112;        // outputs at least: a panel of filters serves them all

// Memory of a thread, kept from call to call.
template <class T>
T* scratch(size_t count, int which) {
  thread_local std::vector<char> memory[4];
  auto& mine = memory[which];
  if (mine.size() < count * sizeof(T) + 128) mine.resize(count * sizeof(T) + 128);
  const uintptr_t address = reinterpret_cast<uintptr_t>(mine.data());
  return reinterpret_cast<T*>((address + 63) & ~uintptr_t(63));
}

// How filters are cut into panels of registers.
struct Panels {
  int filters, columns;  // all of them; registers of a panel
  int registers, count;  // all of them, the last one perhaps not full; panels
  int lanes;

  Panels(int filters, int columns, int lanes)
      : filters(filters), columns(columns), registers((filters + lanes - 1) / lanes),
        count((registers + columns - 1) / columns), lanes(lanes) {}
  int first(int panel) const { return panel * columns * lanes; }
  int width(int panel) const { return std::min(columns, registers - panel * columns); }
};

// Packs filters for `windows`: [panels][taps, channels / DEPTH, registers, lanes, DEPTH].
//
//   value(tap, channel, filter)  reads one
template <class Kind, class Read>
void pack(const Panels& panels, int panel, const std::vector<Tap>& taps, int channels, Read value,
          typename Kind::Value* to) {
  const int width = panels.width(panel) * panels.lanes, first = panels.first(panel);
  const int real = std::min(width, panels.filters - first);
  to += (size_t)first * taps.size() * channels;
  for (const Tap& tap : taps)
    for (int c = 0; c < channels; c += Kind::DEPTH, to += (size_t)width * Kind::DEPTH)
      for (int d = 0; d < Kind::DEPTH; d++) {
        for (int o = 0; o < real; o++) to[o * Kind::DEPTH + d] = value(tap.filter, c + d, first + o);
        for (int o = real; o < width; o++) to[o * Kind::DEPTH + d] = {};
      }
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

// Copies columns [left, left + columns) of a row into a frame; zeros outside of the image.
template <class T, class Value>
void copy_row(const Images<T>& x, const T* image, int row, int left, int columns, Value* to) {
  const int c = x.channels;
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
  auto copy = [](const T* from, Value* to, long count) {
    if constexpr (std::is_same_v<T, Value>)
      std::memcpy(to, from, count * sizeof(T));
    else
      widen_all(from, to, count);
  };
  if (x.pixel == c) {
    copy(from, to, (long)(last - first) * c);
    return;
  }
  for (int i = first; i < last; i++, from += x.pixel, to += c) copy(from, to, c);
}

template <class T>
inline void prefetch(const T* from, long count) {
  for (long i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(from + i, 0, 2);
}

// Convolves every image by one sweep.
//
//   packed  of `pack`, for all panels
//   bias    [filters] or nothing
template <class Kind, class T>
void convolve(const Sweep& sweep, const Images<T>& x, const typename Kind::Value* packed,
              const Panels& panels, const Results<T>& y, const typename Kind::Sum* bias, bool relu,
              const Each& each) {
  using Value = typename Kind::Value;
  using Sum = typename Kind::Sum;
  const int c = x.channels;
  const bool one_tap = sweep.taps.size() == 1;
  const bool inside = sweep.top >= 0 && sweep.left >= 0 &&
                      sweep.bottom + (sweep.rows - 1) * sweep.row_stride < x.height &&
                      sweep.right + (sweep.columns - 1) * sweep.column_stride < x.width;
  // Nothing to pad, to widen or to gather: the image is walked where it lies.
  const bool in_place = inside && std::is_same_v<T, Value> && (one_tap || x.pixel == c);
  const int frame_columns = (sweep.columns - 1) * sweep.column_stride + sweep.right - sweep.left + 1;
  const int taps_down = sweep.bottom - sweep.top + 1;
  const long frame_row = (long)frame_columns * c;
  int band = std::max(1L, std::min<long>(BAND_BYTES / (sizeof(Value) * frame_row * sweep.row_stride),
                                         (BAND_PIXELS + sweep.columns - 1) / sweep.columns));
  band = std::min(band, sweep.rows);
  const int bands = (sweep.rows + band - 1) / band;
  band = (sweep.rows + bands - 1) / bands;
  const std::vector<Run> runs = in_place ? sweep.runs((long)x.width * x.pixel, x.pixel, c)
                                         : sweep.runs(frame_row, c, c);
  const long step = (long)sweep.column_stride * (in_place ? x.pixel : c);
  const long row_step = sweep.row_stride * (in_place ? (long)x.width * x.pixel : frame_row);
  const long depth = (long)sweep.taps.size() * c;
  const int cuts = (sweep.columns + most_rows<Sum>(panels.columns) - 1) / most_rows<Sum>(panels.columns);
  const int tile_rows = (sweep.columns + cuts - 1) / cuts;

  each((long)x.count * bands, (long)x.count * sweep.rows * sweep.columns * depth, [&](long task) {
    const int n = task / bands, first = task % bands * band;
    const int last = std::min(first + band, sweep.rows);
    if (first >= last) return;
    const T* image = x.data + (long)n * x.height * x.width * x.pixel;
    const Value* corner;
    if (in_place) {
      corner = reinterpret_cast<const Value*>(image) +
               ((long)(first * sweep.row_stride + sweep.top) * x.width + sweep.left) * x.pixel;
    } else {
      const int frame_rows = (last - first - 1) * sweep.row_stride + taps_down;
      Value* frame = scratch<Value>((size_t)frame_rows * frame_row + 64, 0);
      for (int r = 0; r < frame_rows; r++)
        copy_row(x, image, first * sweep.row_stride + sweep.top + r, sweep.left, frame_columns,
                 frame + r * frame_row);
      corner = frame;
    }
    T* out = y.data + n * y.image + first * y.row;
    for (int p = 0; p < panels.count; p++) {
      const int o = panels.first(p);
      const Value* w = packed + o * depth;
      const Finish<Sum> finish{bias ? bias + o : nullptr, relu};
      const auto full = windows_for<Kind>(tile_rows, panels.width(p));
      for (int r = first; r < last; r++)
        for (int q = 0; q < sweep.columns; q += tile_rows) {
          const int rows = std::min(tile_rows, sweep.columns - q);
          const auto product = rows == tile_rows ? full : windows_for<Kind>(rows, panels.width(p));
          // The image comes from memory while the tile before it is at work.
          if (in_place && p == 0 && q + tile_rows < sweep.columns)
            prefetch(corner + (r - first) * row_step + (q + tile_rows) * step,
                     std::min(tile_rows, sweep.columns - q - tile_rows) * step);
          const Value* at = corner + (r - first) * row_step + q * step;
          T* to = out + (r - first) * y.row + q * y.pixel + o;
          const int columns = panels.filters - o;
          if constexpr (std::is_same_v<T, Sum>) {
            product(at, step, runs.data(), runs.size(), w, to, y.pixel, columns, finish);
          } else {
            Sum sums[MOST_ROWS * MOST_COLUMNS * LANES<Sum>];
            const int width = panels.width(p) * panels.lanes;
            product(at, step, runs.data(), runs.size(), w, sums, width, width, finish);
            for (int i = 0; i < rows; i++)
              for (int j = 0; j < width; j += panels.lanes)
                write(to + i * y.pixel + j, load(sums + i * width + j), columns - j);
          }
        }
    }
  });
}

}  // namespace hw2

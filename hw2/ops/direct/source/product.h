// The inner loops: a tile of the result is held in registers while everything is added to it.
//
// A tile has M rows (pixels, or filter taps) and N registers of columns (filters). One step of the
// sum loads N registers of one operand, broadcasts M values of the other, and does M*N fused
// multiply-adds; M*N + N + 1 registers are in use, and the CPU has no more.
#pragma once

#include <algorithm>

#include "numbers.h"
#include "vectors.h"

namespace hw2 {

constexpr int MOST_ROWS = 14, MOST_COLUMNS = 4;

// Rows of the largest tile. float64 is for checks and stays small: fewer functions to compile.
template <class Sum>
constexpr int most_rows(int columns) {
  return std::min(sizeof(Sum) == 8 ? 4 : MOST_ROWS, (REGISTERS - 1 - columns) / columns);
}

// Values that lie side by side, `offset` behind where a window starts.
struct Run {
  long offset;
  int length;
  int row;  // of the image, from the pixel of output (0, 0): what lies outside is left out
};

// Where a tile goes, and what happens to it on the way: y = max(tile + bias, 0).
template <class Sum>
struct Finish {
  const Sum* bias = nullptr;  // of the tile's first column
  bool relu = false;
  bool past = false;  // whether it goes past the cache
};

// What an inner loop asks the cache for at each of its steps: what comes later, from memory.
struct Fetch {
  const char* at = nullptr;
  long step = 0;  // bytes
};

// Memory that is needed next, fetched little by little.
struct Stream {
  const char* at;
  long left;  // bytes

  // As much as one of `calls` calls of `steps` steps has to fetch of `bytes`.
  Fetch share(int steps, long bytes, long calls) {
    if (left <= 0) return {};
    const long step = std::min(64L, bytes / (calls * steps) + 1);
    const Fetch found{at, step};
    at += step * steps, left -= step * steps;
    return found;
  }
};

// Multiplies what lies under M windows by N registers of filters.
//
//   image   first window; the next is `step` values behind it
//   runs    what a window holds, in the order of the filters
//   filters [sum of lengths / DEPTH, N registers, DEPTH]
//   y       [M, columns], rows `y_step` apart
template <class Kind, int M, int N>
void windows(const typename Kind::Value* image, long step, const Run* runs, int run_count,
             const typename Kind::Value* filters, typename Kind::Out* y, long y_step, int columns,
             Finish<typename Kind::Sum> finish) {
  using Sum = typename Kind::Sum;
  constexpr int WIDTH = LANES<Sum>;
  Vec<Sum> tile[M][N];
#pragma GCC unroll 14
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) tile[i][j] = Vec<Sum>{};
  for (const Run* run = runs; run < runs + run_count; run++) {
    const typename Kind::Value* at = image + run->offset;
    for (int k = 0; k < run->length; k += Kind::DEPTH, at += Kind::DEPTH) {
      typename Kind::Filters w[N];
#pragma GCC unroll 4
      for (int j = 0; j < N; j++, filters += WIDTH * Kind::DEPTH) w[j] = Kind::load(filters);
#pragma GCC unroll 14
      for (int i = 0; i < M; i++) {
        typename Kind::Filters x = Kind::broadcast(at + i * step);
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) tile[i][j] = Kind::add(tile[i][j], x, w[j]);
      }
    }
  }
  Vec<Sum> bias[N] = {};
  if (finish.bias)
    for (int j = 0; j < N; j++)
      bias[j] = load_part(finish.bias + j * WIDTH, std::clamp(columns - j * WIDTH, 0, WIDTH));
#pragma GCC unroll 14
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) {
      Vec<Sum> value = tile[i][j] + bias[j];
      if (finish.relu) value = value < 0 ? Vec<Sum>{} : value;  // keeps what is not a number
      if (finish.past && columns >= (j + 1) * WIDTH)
        write_past(y + i * y_step + j * WIDTH, value);
      else
        write(y + i * y_step + j * WIDTH, value, columns - j * WIDTH);
    }
}

// Adds, over a rectangle of pixels, each of M values times each of N registers of columns.
//
//   image  [rows, columns] pixels, `row_step` and `step` apart; M factors at each. A factor, and a
//          pixel, are two where numbers are multiplied in pairs.
//   dy     [rows * columns, ...], `dy_step` apart; N registers of factors at each
//   dw     [M, N registers], rows `dw_step` apart; `add` says whether something is there already
//   fetch  a step is a pixel
template <class Kind, int M, int N>
void outer(const typename Kind::Factor* image, long row_step, long step,
           const typename Kind::Factor* dy, long dy_step, int rows, int columns,
           typename Kind::Sum* dw, long dw_step, bool add, Fetch fetch) {
  using Sum = typename Kind::Sum;
  constexpr int WIDTH = LANES<Sum>;
  Vec<Sum> tile[M][N];
#pragma GCC unroll 14
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++)
      tile[i][j] = add ? load(dw + i * dw_step + j * WIDTH) : Vec<Sum>{};
  const char* next = fetch.at ? fetch.at : reinterpret_cast<const char*>(image);
  for (int row = 0; row < rows; row++, image += row_step) {
    const typename Kind::Factor* at = image;
    for (int column = 0; column < columns; column++, at += step, dy += dy_step) {
      __builtin_prefetch(next, 0, 2);
      next += fetch.step;
      typename Kind::Filters w[N];
#pragma GCC unroll 4
      for (int j = 0; j < N; j++) w[j] = Kind::load(dy + j * WIDTH);
#pragma GCC unroll 14
      for (int i = 0; i < M; i++) {
        typename Kind::Filters x = Kind::broadcast(at + i);
#pragma GCC unroll 4
        for (int j = 0; j < N; j++) tile[i][j] = Kind::add(tile[i][j], x, w[j]);
      }
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < M; i++)
#pragma GCC unroll 4
    for (int j = 0; j < N; j++) store(dw + i * dw_step + j * WIDTH, tile[i][j]);
}

// The tables: one compiled function for each tile.
template <class Kind>
using Windows = void (*)(const typename Kind::Value*, long, const Run*, int,
                         const typename Kind::Value*, typename Kind::Out*, long, int,
                         Finish<typename Kind::Sum>);
template <class Kind>
using Outer = void (*)(const typename Kind::Factor*, long, long, const typename Kind::Factor*, long,
                       int, int, typename Kind::Sum*, long, bool, Fetch);

template <class Sum, int N>
using Rows = std::make_integer_sequence<int, most_rows<Sum>(N)>;

template <class Kind, int N, int... M>
Windows<Kind> windows_of(int rows, std::integer_sequence<int, M...>) {
  static constexpr Windows<Kind> TABLE[] = {windows<Kind, M + 1, N>...};
  return TABLE[rows - 1];
}
template <class Kind, int N, int... M>
Outer<Kind> outer_of(int rows, std::integer_sequence<int, M...>) {
  static constexpr Outer<Kind> TABLE[] = {outer<Kind, M + 1, N>...};
  return TABLE[rows - 1];
}

// The function for a tile; products_*.cc hold them all.
template <class Kind>
Windows<Kind> windows_for(int rows, int columns) {
  using Sum = typename Kind::Sum;
  switch (columns) {
    case 1: return windows_of<Kind, 1>(rows, Rows<Sum, 1>{});
    case 2: return windows_of<Kind, 2>(rows, Rows<Sum, 2>{});
    case 3: return windows_of<Kind, 3>(rows, Rows<Sum, 3>{});
    default: return windows_of<Kind, 4>(rows, Rows<Sum, 4>{});
  }
}
template <class Kind>
Outer<Kind> outer_for(int rows, int columns) {
  using Sum = typename Kind::Sum;
  switch (columns) {
    case 1: return outer_of<Kind, 1>(rows, Rows<Sum, 1>{});
    case 2: return outer_of<Kind, 2>(rows, Rows<Sum, 2>{});
    case 3: return outer_of<Kind, 3>(rows, Rows<Sum, 3>{});
    default: return outer_of<Kind, 4>(rows, Rows<Sum, 4>{});
  }
}

extern template Windows<Plain<float>> windows_for<Plain<float>>(int, int);
extern template Windows<Plain<double>> windows_for<Plain<double>>(int, int);
#if defined(__AVX512BF16__)
extern template Windows<Pairs> windows_for<Pairs>(int, int);
extern template Outer<Pairs> outer_for<Pairs>(int, int);
#endif
extern template Outer<Plain<float>> outer_for<Plain<float>>(int, int);
extern template Outer<Plain<double>> outer_for<Plain<double>>(int, int);

// How a matrix of rows x registers is cut into tiles.
struct Tiling {
  int rows, columns;  // of a tile; the last ones may be smaller
};

// The tiling of least time: multiply-adds, loads and latency, each at two per cycle.
template <class Sum>
Tiling tiling(long rows, long registers) {
  Tiling best{1, 1};
  double least = 1e300;
  for (int n = 1; n <= std::min<long>(MOST_COLUMNS, registers); n++) {
    const long blocks = std::max(1L, (rows + most_rows<Sum>(n) - 1) / most_rows<Sum>(n));
    const int m = (rows + blocks - 1) / blocks;
    auto cycles = [&](long width) {
      return blocks * std::max({m * width, m + width + 1, 8L}) / 2.0;
    };
    const double total = registers / n * cycles(n) + (registers % n ? cycles(registers % n) : 0);
    if (total <= least) best = {m, n}, least = total;
  }
  return best;
}

}  // namespace hw2

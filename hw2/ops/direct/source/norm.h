// Batch normalization with ReLU behind it, and its gradient, over images where they lie.
//
// It is bound by memory: forward, images are read twice, for the statistics and to be normalized,
// and the result is written once; backward, images and errors are read twice, and the gradient is
// written once. ReLU costs no pass: backward, its sign is found by the same operations as forward.
// The second pass walks backwards, since what the first one read last is still in the cache.
//
// Statistics are those of blocks that fit into the first level of the cache: each block's mean
// first, then the squares of distances from it. Blocks are merged in float64, in an order that
// depends on shapes alone.
#pragma once

#include <cmath>
#include <limits>

#include "ahead.h"
#include "numbers.h"
#include "sweep.h"

namespace hw2 {

constexpr long STATISTICS_BYTES = 32 << 10;  // of a block: a first-level cache
constexpr int STATISTICS_SLICES = 32;        // that are merged at the end: work for 32 threads

// What is known of each channel, or summed up.
struct Moments {
  double count = 0;
  std::vector<double> mean, squares;  // squares of distances from the mean

  explicit Moments(int channels) : mean(channels), squares(channels) {}

  // Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
  // sample variances", 1979.
  template <class Value>
  void merge(double others, const Value* other_mean, const Value* other_squares) {
    if (!others) return;
    const double all = count + others;
    for (size_t c = 0; c < mean.size(); c++) {
      const double apart = other_mean[c] - mean[c];
      squares[c] += other_squares[c] + apart * apart * count * others / all;
      mean[c] += apart * others / all;
    }
    count = all;
  }
};

// A channel's normalization, y = (x - mean) * slope + offset, for whole registers of channels.
struct Affine {
  std::vector<float> mean, slope, offset;

  Affine(int channels, const float* means, const float* variances, const float* scales,
         const float* offsets, float epsilon)
      : mean(padded(channels)), slope(padded(channels)), offset(padded(channels)) {
    for (int c = 0; c < channels; c++) {
      mean[c] = means[c], offset[c] = offsets[c];
      slope[c] = scales[c] / std::sqrt(variances[c] + epsilon);
    }
  }
  static long padded(int channels) {
    return (channels + LANES<float> - 1L) / LANES<float> * LANES<float>;
  }
  Vec<float> apply(Vec<float> x, int c) const {
    return (x - load(mean.data() + c)) * load(slope.data() + c) + load(offset.data() + c);
  }
};

// How pixels are cut into slices, and these into blocks.
struct PixelBlocks {
  long pixels;
  int channels, block;
  long blocks, slices;

  PixelBlocks(long pixels, int channels, int bytes)
      : pixels(pixels), channels(channels),
        block(std::max<long>(STATISTICS_BYTES / std::max(channels * bytes, 1), 16)),
        blocks((pixels + block - 1) / block), slices(std::min<long>(blocks, STATISTICS_SLICES)) {}

  long first(long slice) const { return blocks * slice / slices; }
  long begin(long at) const { return at * block; }
  int size(long at) const { return std::min<long>(block, pixels - begin(at)); }
};

constexpr int RUN = 4;     // registers at once: an addition takes four cycles
constexpr int WALKED = 8;  // blocks that one thread writes in turn

// Calls `work(channel, registers, channels of a register)` for all channels.
template <class Work>
inline void registers(int channels, Work work) {
  constexpr int N = LANES<float>;
  int c = 0;
  for (; c + RUN * N <= channels; c += RUN * N) work(c, std::integral_constant<int, RUN>{}, N);
  for (; c < channels; c += N) work(c, std::integral_constant<int, 1>{}, std::min(channels - c, N));
}

template <int R, class T>
inline Vec<float> read(const T* from, int r, int some) {
  return R > 1 ? load_wide(from + r * LANES<float>) : load_wide_part(from, some);
}

// Calls `work(first value of a pixel)` for all pixels: the last ones first, in runs of blocks.
template <class Work>
void backwards(const PixelBlocks& cut, const Each& each, Work work) {
  const long units = (cut.blocks + WALKED - 1) / WALKED;
  each(units, cut.pixels * cut.channels, [&](long unit) {
    const long first = (units - 1 - unit) * WALKED, last = std::min(first + WALKED, cut.blocks);
    const long end = std::min(cut.begin(last), cut.pixels);
    for (long p = cut.begin(first); p < end; p++) work(p * cut.channels);
    settle();
  });
}

// Mean and variance of each channel; infinite values have none.
template <class T>
void statistics(const T* x, const PixelBlocks& cut, float* mean, float* variance,
                const Each& each) {
  const int channels = cut.channels;
  std::vector<Moments> parts(cut.slices, Moments(channels));
  each(cut.slices, cut.pixels * channels, [&](long slice) {
    float* means = scratch<float>(2 * Affine::padded(channels), 0);
    float* squares = means + Affine::padded(channels);
    for (long b = cut.first(slice); b < cut.first(slice + 1); b++) {
      const int size = cut.size(b);
      const T* block = x + cut.begin(b) * channels;
      registers(channels, [&](int c, auto run, int some) {
        constexpr int R = decltype(run)::value, N = LANES<float>;
        Vec<float> middle[R] = {}, apart[R] = {};
        for (int p = 0; p < size; p++) {
          const T* from = block + p * channels + c;
          ahead(from, R * N);
#pragma GCC unroll 4
          for (int r = 0; r < R; r++) middle[r] += read<R>(from, r, some);
        }
        for (int r = 0; r < R; r++) middle[r] /= (float)size;
        for (int p = 0; p < size; p++)
#pragma GCC unroll 4
          for (int r = 0; r < R; r++) {
            const Vec<float> value = read<R>(block + p * channels + c, r, some) - middle[r];
            apart[r] += value * value;
          }
        for (int r = 0; r < R; r++) {
          store(means + c + r * N, middle[r]);
          store(squares + c + r * N, apart[r]);
        }
      });
      parts[slice].merge(size, means, squares);
    }
  });
  Moments all(channels);
  for (const Moments& part : parts) all.merge(part.count, part.mean.data(), part.squares.data());
  for (int c = 0; c < channels; c++) mean[c] = all.mean[c], variance[c] = all.squares[c] / all.count;
}

// y = (x - mean) * slope + offset, then ReLU.
template <class T>
void normalize(const T* x, const PixelBlocks& cut, const Affine& affine, bool relu, T* y,
               const Each& each) {
  const int channels = cut.channels;
  const bool past = past_cache(y, channels, cut.pixels * channels);
  backwards(cut, each, [&](long at) {
    registers(channels, [&](int c, auto run, int some) {
      constexpr int R = decltype(run)::value, N = LANES<float>;
      ahead(x + at + c, R * N);
      if (!past) ahead<1>(y + at + c, R * N);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const int k = c + r * N;
        Vec<float> value = affine.apply(read<R>(x + at + c, r, some), k);
        if (relu) value = value < 0 ? Vec<float>{} : value;  // keeps what is not a number
        if (past)
          write_past(y + at + k, value);
        else
          write(y + at + k, value, some);
      }
    });
  });
}

// The errors behind ReLU: 0 where its input was not positive.
inline Vec<float> behind_relu(Vec<float> error, Vec<float> x, const Affine& affine, int c,
                              bool relu) {
  return !relu ? error : affine.apply(x, c) > 0 ? error : Vec<float>{};
}

// Sums of the errors, and of their products with the distance from the mean.
template <class T>
void error_sums(const T* dy, const T* x, const PixelBlocks& cut, const Affine& affine, bool relu,
                double* sums, double* products, const Each& each) {
  const int channels = cut.channels;
  const long padded = Affine::padded(channels);
  std::vector<double> parts(cut.slices * 2 * padded);
  each(cut.slices, cut.pixels * channels, [&](long slice) {
    double* part = parts.data() + slice * 2 * padded;
    for (long b = cut.first(slice); b < cut.first(slice + 1); b++) {
      const long begin = cut.begin(b) * channels;
      registers(channels, [&](int c, auto run, int some) {
        constexpr int R = decltype(run)::value, N = LANES<float>;
        Vec<float> sum[R] = {}, product[R] = {};
        for (int p = 0; p < cut.size(b); p++) {
          const long at = begin + (long)p * channels + c;
          ahead(x + at, R * N), ahead(dy + at, R * N);
#pragma GCC unroll 4
          for (int r = 0; r < R; r++) {
            const Vec<float> value = read<R>(x + at, r, some);
            const Vec<float> error =
                behind_relu(read<R>(dy + at, r, some), value, affine, c + r * N, relu);
            sum[r] += error;
            product[r] += error * (value - load(affine.mean.data() + c + r * N));
          }
        }
        for (int r = 0; r < R; r++)
          for (int k = 0; k < N; k++) {
            part[c + r * N + k] += sum[r][k];
            part[padded + c + r * N + k] += product[r][k];
          }
      });
    }
  });
  for (int c = 0; c < channels; c++) {
    sums[c] = products[c] = 0;
    for (long s = 0; s < cut.slices; s++)
      sums[c] += parts[s * 2 * padded + c], products[c] += parts[s * 2 * padded + padded + c];
  }
}

// dx = slope * (errors - their mean - (x - mean) * share).
//
//   share  of each channel: the mean of errors times distances, over the variance
template <class T>
void normalize_back(const T* dy, const T* x, const PixelBlocks& cut, const Affine& affine,
                    bool relu, const float* mean_error, const float* share, T* dx,
                    const Each& each) {
  const int channels = cut.channels;
  const bool past = past_cache(dx, channels, cut.pixels * channels);
  backwards(cut, each, [&](long at) {
    registers(channels, [&](int c, auto run, int some) {
      constexpr int R = decltype(run)::value, N = LANES<float>;
      ahead(x + at + c, R * N), ahead(dy + at + c, R * N);
      if (!past) ahead<1>(dx + at + c, R * N);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const int k = c + r * N;
        const Vec<float> value = read<R>(x + at + c, r, some);
        const Vec<float> error =
            behind_relu(read<R>(dy + at + c, r, some), value, affine, k, relu);
        const Vec<float> apart = value - load(affine.mean.data() + k);
        const Vec<float> found = (error - load(mean_error + k) - apart * load(share + k)) *
                                 load(affine.slope.data() + k);
        if (past)
          write_past(dx + at + k, found);
        else
          write(dx + at + k, found, some);
      }
    });
  });
}

}  // namespace hw2

// What the convolution and its two gradients have in common: their attributes, and the ways from a
// group of channels to the kernels.
#pragma once

#include "filter_gradient.h"
#include "op.h"
#include "pointwise_gradient.h"
#include "winograd.h"

namespace hw2 {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// The attributes of the three ops.
class Options : public Sliding {
 public:
  Options() = default;
  explicit Options(OpKernelConstruction* c) { OP_REQUIRES_OK(c, read(c)); }

  template <class Context>
  absl::Status read(Context* c) {
    TF_RETURN_IF_ERROR(c->GetAttr("tile", &tile));
    return Sliding::read(c);
  }

  int tile = 0;  // outputs of a tile of Winograd along each axis; 0 for none
};

// Shares work out on TensorFlow's own threads.
struct Threads {
  explicit Threads(OpKernelContext* c)
      : count(c->device()->tensorflow_cpu_worker_threads()->num_threads), each(on_threads(c)) {}

  int count;
  Each each;
};

// Memory for the length of a call.
template <class T>
T* memory(OpKernelContext* c, Tensor* holder, size_t count) {
  const int64_t bytes = std::max<size_t>(count, 1) * sizeof(T) + 64;
  const auto status = c->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), holder);
  if (!status.ok()) {
    c->CtxFailure(status);
    return nullptr;
  }
  return values_of<T>(holder);
}

// Convolves images by one kind of products.
//
//   sweeps  see `convolve`
//   steps   of the filters `w`
//   y       where the results of each sweep go
template <class Kind, class T>
void convolve_group(OpKernelContext* c, const std::vector<Sweep>& sweeps, const Images<T>& x,
                    const T* w, const FilterSteps& steps, int filters,
                    const std::vector<Results<T>>& y, const typename Kind::Sum* bias, bool relu,
                    const Threads& threads) {
  using Value = typename Kind::Value;
  constexpr int L = LANES<typename Kind::Sum>;
  const Panels panels(
      filters, tiling<typename Kind::Sum>(sweeps[0].columns, (filters + L - 1) / L).columns, L);
  const size_t tap = (size_t)panels.registers * panels.lanes * framed<Kind>(x.channels);
  size_t taps = 0;
  for (const Sweep& sweep : sweeps) taps += sweep.taps.size();
  Tensor holder;
  auto* packed = memory<Value>(c, &holder, taps * tap);
  if (!packed) return;
  std::vector<Pass<Kind, T>> passes;
  Value* next = packed;
  for (size_t k = 0; k < sweeps.size(); next += sweeps[k].taps.size() * tap, k++)
    if (sweeps[k].rows > 0 && sweeps[k].columns > 0) passes.push_back({sweeps[k], next, y[k]});
  threads.each(panels.count * passes.size(), taps * tap, [&](long task) {
    const Pass<Kind, T>& pass = passes[task % passes.size()];
    pack<Kind>(panels, task / passes.size(), pass.sweep.taps, x.channels, w, steps,
               const_cast<Value*>(pass.packed));
  });
  convolve<Kind>(passes, x, panels, bias, relu, threads.each);
}

// A divisor of `count` near to `wanted`, or that itself where there is none.
long divisor_near(long count, long wanted) {
  for (long d = wanted + wanted / 4; d > wanted / 2; d--)
    if (count % d == 0) return d;
  return std::min(wanted, std::max(count, 1L));
}

// Whether each result is of one pixel, its own.
template <class T>
bool single(const Sweep& sweep, const Images<T>& x) {
  return sweep.taps.size() == 1 && sweep.row_stride == 1 && sweep.column_stride == 1 &&
         !sweep.top && !sweep.left && sweep.rows == x.height && sweep.columns == x.width;
}

// Whether no window reaches over an edge of the images.
template <class T>
bool inside(const Sweep& sweep, const Images<T>& x) {
  return sweep.top >= 0 && sweep.top + sweep.reach_rows(sweep.rows) <= x.height &&
         sweep.columns_inside(x.width);
}

// The same with the sums' type and instructions that suit the numbers.
template <class T>
void convolve_numbers(OpKernelContext* c, const std::vector<Sweep>& sweeps, const Images<T>& x,
                      const T* w, const FilterSteps& steps, int filters,
                      const std::vector<Results<T>>& y, const SumOf<T>* bias, bool relu,
                      const Threads& threads) {
  using Kind = KindOf<T>;
  const Sweep& sweep = sweeps[0];
  if (sweeps.size() > 1 || !single(sweep, x) || y[0].row != y[0].pixel * x.width ||
      y[0].image != y[0].row * x.height)
    return convolve_group<Kind>(c, sweeps, x, w, steps, filters, y, bias, relu, threads);
  // 1x1: pixels are pixels, cut where it suits.
  const long bytes = std::max(x.channels, 1) * (long)sizeof(typename Kind::Value);
  const long pixels = (long)x.count * x.height * x.width;
  const long row = divisor_near(pixels, std::clamp<long>(2 * BAND_BYTES / bytes, 2 * MOST_ROWS, BAND_PIXELS));
  auto part = [&](long first, long rows, long columns) {
    if (!rows || !columns) return;
    Sweep one = sweep;
    one.rows = rows, one.columns = columns;
    const Images<T> from{x.data + first * x.pixel, 1, (int)rows, (int)columns, x.pixel, x.channels};
    const long line = y[0].pixel * columns;
    const Results<T> to{y[0].data + first * y[0].pixel, line * rows, line, y[0].pixel};
    convolve_group<Kind>(c, {one}, from, w, steps, filters, {to}, bias, relu, threads);
  };
  part(0, pixels / row, row);
  part(pixels / row * row, 1, pixels % row);
}

// Calls `call` with a tile of Winograd, 2 to 5, as a constant: each tile has functions of its own.
template <class Call>
void for_tile(int tile, Call call) {
  switch (tile) {
    case 2: return call(std::integral_constant<int, 2>{});
    case 3: return call(std::integral_constant<int, 3>{});
    case 4: return call(std::integral_constant<int, 4>{});
    default: return call(std::integral_constant<int, 5>{});
  }
}

template <int M, class T>
void winograd_op(OpKernelContext* c, const Axis& rows, const Axis& columns, int top, int left,
                 const Images<T>& x, const T* w, FilterSteps steps, int filters,
                 const Results<T>& y, const float* bias, bool relu, const Threads& threads) {
  Tiles tiles(rows, columns, x.count, M);
  tiles.top = top, tiles.left = left;
  const Panels panels(filters, tiling<float>(LEAST_TILES, whole(filters) / LANES<float>).columns,
                      LANES<float>);
  Tensor holder;
  constexpr int POINTS = (M + 2) * (M + 2);
  float* packed = memory<float>(c, &holder, (size_t)POINTS * x.channels * whole(filters));
  if (!packed) return;
  threads.each(panels.count, (long)POINTS * x.channels * whole(filters),
               [&](long p) { transform_filters_of<M>(panels, p, x.channels, w, steps, packed); });
  winograd<M>(x, tiles, packed, panels, y, bias, relu, threads.count, threads.each);
}

template <class T>
void winograd_op(OpKernelContext* c, int tile, const Axis& rows, const Axis& columns, int top,
                 int left, const Images<T>& x, const T* w, FilterSteps steps, int filters,
                 const Results<T>& y, const float* bias, bool relu, const Threads& threads) {
  for_tile(tile, [&](auto m) {
    winograd_op<decltype(m)::value>(c, rows, columns, top, left, x, w, steps, filters, y, bias, relu,
                                    threads);
  });
}

}  // namespace
}  // namespace hw2

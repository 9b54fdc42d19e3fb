// The convolution and its two gradients, as TensorFlow ops. Each is linear in each of two tensors,
// so that the gradients of the three are the three again.
#include "sweep.h"
#include "filter_gradient.h"
#include "winograd.h"

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

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

// TensorFlow's names of the types of numbers.
template <class T>
struct Named;
template <>
struct Named<float> { using Type = float; };
template <>
struct Named<double> { using Type = double; };
template <>
struct Named<BFloat16> { using Type = tensorflow::bfloat16; };
template <>
struct Named<Float16> { using Type = Eigen::half; };

template <class T>
const T* values(const Tensor& tensor) {
  return reinterpret_cast<const T*>(tensor.tensor_data().data());
}
template <class T>
T* values(Tensor* tensor) {
  return const_cast<T*>(values<T>(*tensor));
}

// The options of an op, and what its sizes become once those of the image are known.
class Options {
 public:
  Options() = default;
  explicit Options(OpKernelConstruction* c) { OP_REQUIRES_OK(c, read(c)); }

  // Reads the attributes, before running or while shapes are inferred.
  template <class Context>
  absl::Status read(Context* c) {
    std::string padding;
    TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides_));
    TF_RETURN_IF_ERROR(c->GetAttr("dilations", &dilations_));
    TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
    TF_RETURN_IF_ERROR(c->GetAttr("pads", &pads_));
    TF_RETURN_IF_ERROR(c->GetAttr("tile", &tile));
    if (strides_.size() != 2 || dilations_.size() != 2 || pads_.size() != 4)
      return absl::InvalidArgumentError("strides and dilations must be pairs, pads four numbers");
    padding_ = padding == "SAME"    ? Padding::SAME
               : padding == "VALID" ? Padding::VALID
                                    : Padding::EXPLICIT;
    return absl::OkStatus();
  }

  Axis rows(int size, int taps) const { return axis(0, size, taps); }
  Axis columns(int size, int taps) const { return axis(1, size, taps); }

  // Positions of the window along an axis whose sizes may be unknown.
  DimensionHandle positions(InferenceContext* c, int i, DimensionHandle size,
                            DimensionHandle taps) const {
    if (!c->ValueKnown(size) || !c->ValueKnown(taps)) return c->UnknownDim();
    return c->MakeDim(axis(i, c->Value(size), c->Value(taps)).out);
  }

  int tile = 0;  // outputs of a tile of Winograd along each axis; 0 for none

 private:
  Axis axis(int i, int size, int taps) const {
    return lay(size, taps, strides_[i], dilations_[i], padding_, pads_[2 * i], pads_[2 * i + 1]);
  }

  std::vector<int> strides_, dilations_, pads_;
  Padding padding_ = Padding::VALID;
};

// Shares work out on TensorFlow's own threads.
struct Threads {
  explicit Threads(OpKernelContext* c)
      : pool(c->device()->tensorflow_cpu_worker_threads()->workers),
        count(c->device()->tensorflow_cpu_worker_threads()->num_threads),
        each([this](long total, long values, const std::function<void(long)>& work) {
          const long shares = std::min<long>(total, count);
          if (shares <= 1 || values < WORTH_WAKING) {
            for (long i = 0; i < total; i++) work(i);
            return;
          }
          std::atomic<long> next{0};
          pool->ParallelFor(
              shares,
              tsl::thread::ThreadPool::SchedulingParams(
                  tsl::thread::ThreadPool::SchedulingStrategy::kFixedBlockSize, {}, 1),
              [&](int64_t, int64_t) {
                for (long i; (i = next++) < total;) work(i);
              });
        }) {}

  tsl::thread::ThreadPool* pool;
  int count;
  Each each;
};

// Whether Winograd is compiled for numbers of a type.
template <class T>
constexpr bool WINOGRAD = std::is_same_v<T, float> || std::is_same_v<T, BFloat16>;

// Memory for the length of a call.
template <class T>
T* memory(OpKernelContext* c, Tensor* holder, size_t count) {
  const int64_t bytes = std::max<size_t>(count, 1) * sizeof(T) + 64;
  const auto status = c->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), holder);
  if (!status.ok()) {
    c->CtxFailure(status);
    return nullptr;
  }
  return values<T>(holder);
}

// Convolves `count` images of [height, width, groups * channels] by filters that `read` gives.
template <class Kind, class T, class Read>
void convolve_group(OpKernelContext* c, const Sweep& sweep, const Images<T>& x, Read read,
                    int filters, const Results<T>& y, const typename Kind::Sum* bias, bool relu,
                    const Threads& threads) {
  const Panels panels(filters, tiling<typename Kind::Sum>(sweep.columns, (filters + LANES<typename Kind::Sum> - 1) /
                                                         LANES<typename Kind::Sum>).columns,
                      LANES<typename Kind::Sum>);
  const size_t size =
      (size_t)panels.registers * panels.lanes * sweep.taps.size() * framed<Kind>(x.channels);
  Tensor holder;
  auto* packed = memory<typename Kind::Value>(c, &holder, size);
  if (!packed) return;
  threads.each(panels.count, size, [&](long p) {
    pack<Kind>(panels, p, sweep.taps, x.channels, read, packed);
  });
  convolve<Kind>(sweep, x, packed, panels, y, bias, relu, threads.each);
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

// The same with the sums' type and instructions that suit the numbers.
template <class T, class Read>
void convolve_numbers(OpKernelContext* c, Sweep sweep, Images<T> x, Read read, int filters,
                      Results<T> y, const SumOf<T>* bias, bool relu, const Threads& threads,
                      bool flat = false) {
  using Sum = SumOf<T>;
  if (sweep.rows <= 0 || sweep.columns <= 0) return;
  if (sweep.taps.empty()) return clear(sweep, x.count, filters, y, threads.each);
  if (!flat && single(sweep, x) && y.row == y.pixel * x.width && y.image == y.row * x.height) {  // 1x1: pixels are pixels, cut where it suits
    const long pixels = (long)x.count * x.height * x.width, row = divisor_near(pixels, BAND_PIXELS);
    auto part = [&](long first, long rows, long columns) {
      if (!rows || !columns) return;
      Sweep one = sweep;
      one.rows = rows, one.columns = columns;
      const Images<T> from{x.data + first * x.pixel, 1, (int)rows, (int)columns, x.pixel, x.channels};
      const Results<T> to{y.data + first * y.pixel, 0, y.pixel * columns, y.pixel};
      convolve_numbers(c, one, from, read, filters, to, bias, relu, threads, true);
    };
    part(0, pixels / row, row);
    part(pixels / row * row, 1, pixels % row);
    return;
  }
  if constexpr (std::is_same_v<T, BFloat16>) {
#if defined(__AVX512BF16__)
    return convolve_group<Pairs>(c, sweep, x, read, filters, y, bias, relu, threads);
#endif
  }
  convolve_group<Plain<Sum>>(
      c, sweep, x, [&](int t, int i, int o) -> Sum { return widen(read(t, i, o)); }, filters, y,
      bias, relu, threads);
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
  auto call = [&](auto m) {
    winograd_op<decltype(m)::value>(c, rows, columns, top, left, x, w, steps, filters, y, bias, relu,
                                    threads);
  };
  switch (tile) {
    case 2: return call(std::integral_constant<int, 2>{});
    case 3: return call(std::integral_constant<int, 3>{});
    case 4: return call(std::integral_constant<int, 4>{});
    default: return call(std::integral_constant<int, 5>{});
  }
}

template <class T>
class Conv2D : public OpKernel {
 public:
  explicit Conv2D(OpKernelConstruction* c) : OpKernel(c), options_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("relu", &relu_));
  }

  void Compute(OpKernelContext* c) override {
    const Tensor &x = c->input(0), &w = c->input(1), &b = c->input(2);
    const int n = x.dim_size(0), height = x.dim_size(1), width = x.dim_size(2);
    const int channels = w.dim_size(2), filters = w.dim_size(3), taps = w.dim_size(1);
    const int groups = channels ? x.dim_size(3) / channels : 1;
    const Axis rows = options_.rows(height, w.dim_size(0));
    const Axis columns = options_.columns(width, taps);
    Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, {n, rows.out, columns.out, filters}, &y));
    if (y->NumElements() == 0) return;
    const Threads threads(c);
    std::vector<SumOf<T>> bias(b.NumElements());
    widen_all(values<T>(b), bias.data(), bias.size());
    const Sweep sweep = forward_sweep(rows, columns);
    const int each = filters / std::max(groups, 1);
    for (int g = 0; g < groups; g++) {
      const Images<T> images{values<T>(x) + g * channels, n, height, width, x.dim_size(3), channels};
      const Results<T> results{values<T>(y) + g * each, (long)rows.out * columns.out * filters,
                               (long)columns.out * filters, filters};
      const T* from = values<T>(w) + g * each;
      auto read = [=](int t, int i, int o) { return from[((long)t * channels + i) * filters + o]; };
      const SumOf<T>* offset = bias.empty() ? nullptr : bias.data() + g * each;
      if constexpr (WINOGRAD<T>)
        if (options_.tile && x.NumElements()) {
          winograd_op(c, options_.tile, rows, columns, rows.before, columns.before, images, from,
                      {(long)channels * filters, filters, 1}, each, results, offset, relu_, threads);
          continue;
        }
      convolve_numbers(c, sweep, images, read, each, results, offset, relu_, threads);
    }
  }

 private:
  Options options_;
  bool relu_;
};

template <class T>
class Conv2DGradInput : public OpKernel {
 public:
  explicit Conv2DGradInput(OpKernelConstruction* c) : OpKernel(c), options_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("groups", &groups_));
  }

  void Compute(OpKernelContext* c) override {
    const Tensor &w = c->input(0), &dy = c->input(1), &size = c->input(2);
    const int n = dy.dim_size(0), height = size.flat<int32_t>()(0), width = size.flat<int32_t>()(1);
    const int channels = w.dim_size(2), filters = w.dim_size(3);
    const Axis rows = options_.rows(height, w.dim_size(0));
    const Axis columns = options_.columns(width, w.dim_size(1));
    OP_REQUIRES(c, dy.dim_size(1) == rows.out && dy.dim_size(2) == columns.out,
                absl::InvalidArgumentError("dy must have the size of the convolution's result"));
    Tensor* dx;
    OP_REQUIRES_OK(c, c->allocate_output(0, {n, height, width, groups_ * channels}, &dx));
    if (dx->NumElements() == 0) return;
    if (dy.NumElements() == 0 || w.NumElements() == 0) {
      std::memset(values<T>(dx), 0, dx->TotalBytes());
      return;
    }
    const Threads threads(c);
    const int each = filters / groups_;
    const long pixel = groups_ * channels;
    for (int g = 0; g < groups_; g++) {
      const Images<T> images{values<T>(dy) + g * each, n, rows.out, columns.out, filters, each};
      const T* from = values<T>(w) + g * each;
      // The roles of channels and filters change.
      auto read = [=](int t, int i, int o) { return from[((long)t * channels + o) * filters + i]; };
      T* to = values<T>(dx) + g * channels;
      if constexpr (WINOGRAD<T>)
        if (options_.tile) {
          Axis back_rows = rows, back_columns = columns;
          back_rows.out = height, back_columns.out = width;
          const long tap = (long)channels * filters;
          winograd_op(c, options_.tile, back_rows, back_columns, TAPS - 1 - rows.before,
                      TAPS - 1 - columns.before, images, from + (TAPS * TAPS - 1) * tap,
                      {-tap, 1, filters}, channels,
                      Results<T>{to, height * width * pixel, width * pixel, pixel}, nullptr,
                      false, threads);
          continue;
        }
      for (int a = 0; a < rows.stride; a++)
        for (int b = 0; b < columns.stride; b++) {
          const Results<T> results{to + (a * width + b) * pixel, height * width * pixel,
                                   rows.stride * width * pixel, columns.stride * pixel};
          convolve_numbers<T>(c, gradient_sweep(rows, columns, a, b), images, read, channels,
                              results, nullptr, false, threads);
        }
    }
  }

 private:
  Options options_;
  int groups_;
};

template <class T>
class Conv2DGradFilter : public OpKernel {
 public:
  explicit Conv2DGradFilter(OpKernelConstruction* c) : OpKernel(c), options_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("groups", &groups_));
    OP_REQUIRES_OK(c, c->GetAttr("kernel", &kernel_));
  }

  void Compute(OpKernelContext* c) override {
    using Sum = SumOf<T>;
    const Tensor &x = c->input(0), &dy = c->input(1);
    const int n = x.dim_size(0), height = x.dim_size(1), width = x.dim_size(2);
    const int channels = x.dim_size(3) / groups_, filters = dy.dim_size(3);
    const Axis rows = options_.rows(height, kernel_[0]);
    const Axis columns = options_.columns(width, kernel_[1]);
    OP_REQUIRES(c, dy.dim_size(1) == rows.out && dy.dim_size(2) == columns.out,
                absl::InvalidArgumentError("dy must have the size of the convolution's result"));
    Tensor* dw;
    OP_REQUIRES_OK(
        c, c->allocate_output(0, {kernel_[0], kernel_[1], channels, filters}, &dw));
    if (dw->NumElements() == 0) return;
    if (dy.NumElements() == 0 || x.NumElements() == 0) {
      std::memset(values<T>(dw), 0, dw->TotalBytes());
      return;
    }
    const Threads threads(c);
    const int each = filters / groups_;
    for (int g = 0; g < groups_; g++) {
      const Images<T> images{values<T>(x) + g * channels, n, height, width, x.dim_size(3), channels};
      const T* errors = values<T>(dy) + g * each;
      T* to = values<T>(dw) + g * each;
      if constexpr (WINOGRAD<T>)
        if (options_.tile) {
          const Images<T> errors_of{errors, n, rows.out, columns.out, filters, each};
          winograd_gradient(c, rows, columns, images, errors_of, to, threads);
          continue;
        }
      filter_gradient_numbers(c, forward_sweep(rows, columns), images, errors, filters, each, to,
                              threads);
    }
  }

 private:
  void filter_gradient_numbers(OpKernelContext* c, Sweep sweep, Images<T> x, const T* dy,
                               long dy_pixel, int filters, T* dw, const Threads& threads) {
#if defined(__AVX512BF16__)
    using Kind = std::conditional_t<std::is_same_v<T, BFloat16>, Pairs, Plain<SumOf<T>>>;
#else
    using Kind = Plain<SumOf<T>>;
#endif
    const long pixels = (long)x.count * x.height * x.width;
    const long row = divisor_near(pixels, SLICE_PIXELS);
    if (single(sweep, x) && pixels % row == 0) {  // 1x1: pixels are pixels, cut where it suits
      x.count = 1, x.height = pixels / row, x.width = row;
      sweep.rows = x.height, sweep.columns = row;
    }
    const FilterGradientPlan plan = filter_gradient_plan(sweep, x.count, x.channels * sizeof(typename Kind::Factor));
    const Slices slices = Slices::of((long)sweep.taps.size() * x.channels, filters,
                                     (long)x.count * plan.bands, SumOf<T>{});
    Tensor holder;
    auto* parts = memory<SumOf<T>>(c, &holder, slices.values());
    if (parts)
      filter_gradient<Kind>(plan, x, dy, dy_pixel, filters, slices, parts, dw, dy_pixel,
                            threads.each);
  }

  void winograd_gradient(OpKernelContext* c, const Axis& rows, const Axis& columns,
                         const Images<T>& x, const Images<T>& dy, T* dw,
                         const Threads& threads) {
    auto call = [&](auto m) {
      constexpr int M = decltype(m)::value, POINTS = (M + 2) * (M + 2);
      const Tiles tiles(rows, columns, x.count, M);
      const long a = whole(x.channels), b = whole(dy.channels);
      const long block = std::min(tiles.count, std::max(SUMMED_TILES, GRADIENT_BYTES / (4 * POINTS * (a + b))));
      Tensor holders[3];
      float* v = memory<float>(c, holders, POINTS * (block * a + 16) + 16);
      float* d = memory<float>(c, holders + 1, POINTS * (block * b + 16) + 16);
      float* sums = memory<float>(c, holders + 2, POINTS * x.channels * b);
      if (v && d && sums)
        winograd_filter_gradient<M>(x, dy, tiles, block, v, d, sums, dw, threads.each);
    };
    switch (options_.tile) {
      case 2: return call(std::integral_constant<int, 2>{});
      case 3: return call(std::integral_constant<int, 3>{});
      case 4: return call(std::integral_constant<int, 4>{});
      default: return call(std::integral_constant<int, 5>{});
    }
  }

  Options options_;
  int groups_;
  std::vector<int> kernel_;
};

absl::Status conv_shape(InferenceContext* c) {
  ShapeHandle x, w;
  Options options;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &w));
  TF_RETURN_IF_ERROR(options.read(c));
  c->set_output(0, c->MakeShape({c->Dim(x, 0), options.positions(c, 0, c->Dim(x, 1), c->Dim(w, 0)),
                                 options.positions(c, 1, c->Dim(x, 2), c->Dim(w, 1)),
                                 c->Dim(w, 3)}));
  return absl::OkStatus();
}

absl::Status grad_input_shape(InferenceContext* c) {
  ShapeHandle w, dy, size;
  int groups;
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &w));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(2, &size));
  TF_RETURN_IF_ERROR(c->WithRank(size, 2, &size));
  TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
  TF_RETURN_IF_ERROR(c->Multiply(c->Dim(w, 2), groups, &channels));
  c->set_output(0, c->MakeShape({c->Dim(dy, 0), c->Dim(size, 0), c->Dim(size, 1), channels}));
  return absl::OkStatus();
}

absl::Status grad_filter_shape(InferenceContext* c) {
  ShapeHandle x, dy;
  std::vector<int> kernel;
  int groups;
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
  TF_RETURN_IF_ERROR(c->GetAttr("kernel", &kernel));
  TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
  if (kernel.size() != 2) return absl::InvalidArgumentError("kernel must be a pair");
  TF_RETURN_IF_ERROR(c->Divide(c->Dim(x, 3), groups, true, &channels));
  c->set_output(0, c->MakeShape({c->MakeDim(kernel[0]), c->MakeDim(kernel[1]), channels,
                                 c->Dim(dy, 3)}));
  return absl::OkStatus();
}

#define OPTIONS                                       \
  Attr("T: {bfloat16, half, float, double}")          \
      .Attr("strides: list(int)")                     \
      .Attr("dilations: list(int)")                   \
      .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}") \
      .Attr("pads: list(int)")                        \
      .Attr("tile: int = 0")

REGISTER_OP("Hw2Conv2D")
    .Input("x: T")
    .Input("w: T")
    .Input("bias: T")
    .Output("y: T")
    .OPTIONS.Attr("relu: bool = false")
    .SetShapeFn(conv_shape);
REGISTER_OP("Hw2Conv2DGradInput")
    .Input("w: T")
    .Input("dy: T")
    .Input("image_size: int32")
    .Output("dx: T")
    .OPTIONS.Attr("groups: int = 1")
    .SetShapeFn(grad_input_shape);
REGISTER_OP("Hw2Conv2DGradFilter")
    .Input("x: T")
    .Input("dy: T")
    .Output("dw: T")
    .OPTIONS.Attr("groups: int = 1")
    .Attr("kernel: list(int)")
    .SetShapeFn(grad_filter_shape);

#define KERNELS(T)                                                                       \
  REGISTER_KERNEL_BUILDER(                                                               \
      Name("Hw2Conv2D").Device(tensorflow::DEVICE_CPU).TypeConstraint<Named<T>::Type>("T"), \
      Conv2D<T>);                                                                        \
  REGISTER_KERNEL_BUILDER(Name("Hw2Conv2DGradInput")                                     \
                              .Device(tensorflow::DEVICE_CPU)                            \
                              .HostMemory("image_size")                                  \
                              .TypeConstraint<Named<T>::Type>("T"),                      \
                          Conv2DGradInput<T>);                                           \
  REGISTER_KERNEL_BUILDER(Name("Hw2Conv2DGradFilter")                                    \
                              .Device(tensorflow::DEVICE_CPU)                            \
                              .TypeConstraint<Named<T>::Type>("T"),                      \
                          Conv2DGradFilter<T>)
KERNELS(float);
KERNELS(double);
KERNELS(BFloat16);
KERNELS(Float16);

}  // namespace
}  // namespace hw2

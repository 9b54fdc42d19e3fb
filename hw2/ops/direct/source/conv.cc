// The convolution and its two gradients, as TensorFlow ops. Each is linear in each of two tensors,
// so that the gradients of the three are the three again.
#include "conv.h"

namespace hw2 {
namespace {

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
    // A register of zeros follows, since the last values are loaded as a whole register.
    std::vector<SumOf<T>> bias(b.NumElements() ? b.NumElements() + LANES<SumOf<T>> : 0);
    widen_all(values_of<T>(b), bias.data(), b.NumElements());
    const Sweep sweep = forward_sweep(rows, columns);
    const int each = filters / std::max(groups, 1);
    for (int g = 0; g < groups; g++) {
      const Images<T> images{values_of<T>(x) + g * channels, n, height, width, x.dim_size(3), channels};
      const Results<T> results{values_of<T>(y) + g * each, (long)rows.out * columns.out * filters,
                               (long)columns.out * filters, filters};
      const T* from = values_of<T>(w) + g * each;
      const FilterSteps steps{(long)channels * filters, filters, 1};
      const SumOf<T>* offset = bias.empty() ? nullptr : bias.data() + g * each;
      if constexpr (TRAINED<T>)
        if (options_.tile && x.NumElements()) {
          winograd_op(c, options_.tile, rows, columns, rows.before, columns.before, images, from,
                      steps, each, results, offset, relu_, threads);
          continue;
        }
      convolve_numbers<T>(c, {sweep}, images, from, steps, each, {results}, offset, relu_, threads);
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
      std::memset(values_of<T>(dx), 0, dx->TotalBytes());
      return;
    }
    const Threads threads(c);
    const int each = filters / groups_;
    const long pixel = groups_ * channels;
    for (int g = 0; g < groups_; g++) {
      const Images<T> images{values_of<T>(dy) + g * each, n, rows.out, columns.out, filters, each};
      const T* from = values_of<T>(w) + g * each;
      const long tap = (long)channels * filters;
      const FilterSteps steps{tap, 1, filters};  // the roles of channels and filters change
      T* to = values_of<T>(dx) + g * channels;
      if constexpr (TRAINED<T>)
        if (options_.tile) {
          Axis back_rows = rows, back_columns = columns;
          back_rows.out = height, back_columns.out = width;
          winograd_op(c, options_.tile, back_rows, back_columns, TAPS - 1 - rows.before,
                      TAPS - 1 - columns.before, images, from + (TAPS * TAPS - 1) * tap,
                      {-tap, 1, filters}, channels,
                      Results<T>{to, height * width * pixel, width * pixel, pixel}, nullptr,
                      false, threads);
          continue;
        }
      std::vector<Results<T>> results;  // of each phase
      for (int a = 0; a < rows.stride; a++)
        for (int b = 0; b < columns.stride; b++)
          results.push_back({to + (a * width + b) * pixel, height * width * pixel,
                             rows.stride * width * pixel, columns.stride * pixel});
      convolve_numbers<T>(c, gradient_sweeps(rows, columns), images, from, steps, channels,
                          results, nullptr, false, threads);
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
      std::memset(values_of<T>(dw), 0, dw->TotalBytes());
      return;
    }
    const Threads threads(c);
    const int each = filters / groups_;
    for (int g = 0; g < groups_; g++) {
      const Images<T> images{values_of<T>(x) + g * channels, n, height, width, x.dim_size(3), channels};
      const T* errors = values_of<T>(dy) + g * each;
      T* to = values_of<T>(dw) + g * each;
      if constexpr (TRAINED<T>)
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
    using Kind = KindOf<T>;
    if (sweep.taps.size() == 1 && inside(sweep, x)) {
      const PointwisePlan plan = pointwise_plan<SumOf<T>>(
          x.channels, filters, (long)x.count * sweep.rows * sweep.columns);
      Tensor holder;
      auto* parts = memory<SumOf<T>>(c, &holder, plan.values<SumOf<T>>());
      if (parts)
        pointwise_gradient<Kind>(plan, sweep, x, dy, dy_pixel, parts, dw, dy_pixel, threads.each);
      return;
    }
    const auto plan = filter_gradient_plan<Kind>(sweep, x.count, x.channels, filters);
    Tensor holder;
    auto* parts = memory<SumOf<T>>(c, &holder, plan.values());
    if (parts) filter_gradient<Kind>(plan, x, dy, dy_pixel, parts, dw, dy_pixel, threads.each);
  }

  void winograd_gradient(OpKernelContext* c, const Axis& rows, const Axis& columns,
                         const Images<T>& x, const Images<T>& dy, T* dw,
                         const Threads& threads) {
    for_tile(options_.tile, [&](auto m) {
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
    });
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
  // Positions of the window along an axis whose sizes may be unknown.
  auto positions = [&](int axis) {
    const DimensionHandle size = c->Dim(x, 1 + axis), taps = c->Dim(w, axis);
    if (!c->ValueKnown(size) || !c->ValueKnown(taps)) return c->UnknownDim();
    const int pixels = c->Value(size), values = c->Value(taps);
    return c->MakeDim((axis ? options.columns(pixels, values) : options.rows(pixels, values)).out);
  };
  c->set_output(0, c->MakeShape({c->Dim(x, 0), positions(0), positions(1), c->Dim(w, 3)}));
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

#define OPTIONS HW2_NUMBERS.HW2_SLIDING.Attr("tile: int = 0")

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
      Name("Hw2Conv2D").Device(tensorflow::DEVICE_CPU).TypeConstraint<NameOf<T>::Type>("T"), \
      Conv2D<T>);                                                                        \
  REGISTER_KERNEL_BUILDER(Name("Hw2Conv2DGradInput")                                     \
                              .Device(tensorflow::DEVICE_CPU)                            \
                              .HostMemory("image_size")                                  \
                              .TypeConstraint<NameOf<T>::Type>("T"),                      \
                          Conv2DGradInput<T>);                                           \
  REGISTER_KERNEL_BUILDER(Name("Hw2Conv2DGradFilter")                                    \
                              .Device(tensorflow::DEVICE_CPU)                            \
                              .TypeConstraint<NameOf<T>::Type>("T"),                      \
                          Conv2DGradFilter<T>)
KERNELS(float);
KERNELS(double);
KERNELS(BFloat16);
KERNELS(Float16);

}  // namespace
}  // namespace hw2

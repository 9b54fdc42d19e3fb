// The convolution and its two gradients in plain loops: right in every option, and slow.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/threadpool.h"

namespace hw2 {
namespace {

using namespace tensorflow;
using shape_inference::DimensionHandle;
using shape_inference::InferenceContext;
using shape_inference::ShapeHandle;

// float16 and bfloat16 are summed in float32, and rounded once.
template <class T>
struct Sum {
  typedef float type;
};
template <>
struct Sum<double> {
  typedef double type;
};

// A window sliding along one axis of an image, as in hw2/ops/geometry.py.
struct Axis {
  int64_t size, taps, stride, dilation, out, before;

  // The pixel under a tap, for one position of the window; outside of the image as well.
  int64_t pixel(int64_t position, int64_t tap) const {
    return position * stride + tap * dilation - before;
  }
  // The position whose tap lies on a pixel, or -1.
  int64_t position(int64_t pixel, int64_t tap) const {
    int64_t place = pixel + before - tap * dilation;
    return place < 0 || place % stride || place / stride >= out ? -1 : place / stride;
  }
};

// The options of the three ops.
struct Window {
  std::vector<int32> strides, dilations, pads;
  std::string padding;

  template <class Source>
  Status read(Source* source) {
    TF_RETURN_IF_ERROR(source->GetAttr("strides", &strides));
    TF_RETURN_IF_ERROR(source->GetAttr("dilations", &dilations));
    TF_RETURN_IF_ERROR(source->GetAttr("pads", &pads));
    TF_RETURN_IF_ERROR(source->GetAttr("padding", &padding));
    if (strides.size() != 2 || dilations.size() != 2 || pads.size() != 4)
      return errors::InvalidArgument("strides and dilations must be 2 numbers, and pads 4");
    for (int k = 0; k < 2; k++)
      if (strides[k] < 1 || dilations[k] < 1)
        return errors::InvalidArgument("strides and dilations must be at least 1");
    return OkStatus();
  }

  Axis axis(int k, int64_t size, int64_t taps) const {
    Axis axis{size, taps, strides[k], dilations[k], 0, 0};
    int64_t span = (taps - 1) * axis.dilation + 1;
    if (padding == "SAME") {
      axis.out = (size + axis.stride - 1) / axis.stride;
      // the odd zero goes behind
      axis.before = std::max<int64_t>((axis.out - 1) * axis.stride + span - size, 0) / 2;
    } else {
      axis.before = padding == "VALID" ? 0 : pads[2 * k];
      int64_t padded = size + axis.before + (padding == "VALID" ? 0 : pads[2 * k + 1]);
      axis.out = padded < span ? 0 : (padded - span) / axis.stride + 1;
    }
    return axis;
  }
};

// One convolution: images [N, H, W, groups*C], filters [kH, kW, C, O], results [N, H', W', O].
struct Sizes {
  Axis rows, columns;
  int64_t n, c, o, groups;
  int64_t filters() const { return o / groups; }  // of one group
};

template <class Function>
void parallel(OpKernelContext* context, int64_t count, int64_t cost, Function function) {
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
      count, std::max<int64_t>(cost, 1), [&](int64_t from, int64_t to) {
        for (int64_t k = from; k < to; k++) function(k);
      });
}

template <class T>
class Conv2D : public OpKernel {
 public:
  explicit Conv2D(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, window.read(context));
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &w = context->input(1), &bias = context->input(2);
    OP_REQUIRES(context, x.dims() == 4 && w.dims() == 4 && bias.dims() == 1,
                errors::InvalidArgument("x and w must have 4 axes, and bias one"));
    Sizes s;
    s.n = x.dim_size(0), s.c = w.dim_size(2), s.o = w.dim_size(3);
    s.rows = window.axis(0, x.dim_size(1), w.dim_size(0));
    s.columns = window.axis(1, x.dim_size(2), w.dim_size(1));
    s.groups = s.c ? x.dim_size(3) / s.c : 1;
    OP_REQUIRES(context,
                s.groups * s.c == x.dim_size(3) && s.groups && s.o % s.groups == 0 &&
                    (bias.dim_size(0) == 0 || bias.dim_size(0) == s.o),
                errors::InvalidArgument("x, w and bias must have channels that fit together"));
    Tensor* y;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, {s.n, s.rows.out, s.columns.out, s.o}, &y));
    const T *from = x.flat<T>().data(), *weights = w.flat<T>().data();
    const T* b = bias.dim_size(0) ? bias.flat<T>().data() : nullptr;
    T* to = y->flat<T>().data();
    parallel(context, s.n * s.rows.out, s.columns.out * s.rows.taps * s.columns.taps * s.c * s.o,
             [&](int64_t k) {
               row(s, from + k / s.rows.out * s.rows.size * s.columns.size * s.groups * s.c,
                   weights, b, k % s.rows.out, to + k * s.columns.out * s.o);
             });
  }

 private:
  void row(const Sizes& s, const T* x, const T* w, const T* bias, int64_t i, T* y) {
    typedef typename Sum<T>::type S;
    std::vector<S> sums(s.o);
    for (int64_t j = 0; j < s.columns.out; j++, y += s.o) {
      std::fill(sums.begin(), sums.end(), S(0));
      for (int64_t a = 0; a < s.rows.taps; a++) {
        int64_t r = s.rows.pixel(i, a);
        if (r < 0 || r >= s.rows.size) continue;
        for (int64_t b = 0; b < s.columns.taps; b++) {
          int64_t q = s.columns.pixel(j, b);
          if (q < 0 || q >= s.columns.size) continue;
          const T* pixel = x + (r * s.columns.size + q) * s.groups * s.c;
          const T* tap = w + (a * s.columns.taps + b) * s.c * s.o;
          for (int64_t g = 0; g < s.groups; g++)
            for (int64_t c = 0; c < s.c; c++) {
              S value = S(pixel[g * s.c + c]);
              const T* of_channel = tap + c * s.o + g * s.filters();
              S* sum = sums.data() + g * s.filters();
              for (int64_t o = 0; o < s.filters(); o++) sum[o] += value * S(of_channel[o]);
            }
        }
      }
      for (int64_t o = 0; o < s.o; o++) {
        S sum = bias ? sums[o] + S(bias[o]) : sums[o];
        y[o] = T(relu && sum < 0 ? S(0) : sum);
      }
    }
  }

  Window window;
  bool relu;
};

template <class T>
class GradInput : public OpKernel {
 public:
  explicit GradInput(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, window.read(context));
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &w = context->input(0), &dy = context->input(1), &size = context->input(2);
    OP_REQUIRES(context, w.dims() == 4 && dy.dims() == 4 && size.NumElements() == 2,
                errors::InvalidArgument("w and dy must have 4 axes, and image_size 2 numbers"));
    Sizes s;
    s.n = dy.dim_size(0), s.c = w.dim_size(2), s.o = w.dim_size(3), s.groups = groups;
    s.rows = window.axis(0, size.flat<int32>()(0), w.dim_size(0));
    s.columns = window.axis(1, size.flat<int32>()(1), w.dim_size(1));
    OP_REQUIRES(context,
                dy.dim_size(1) == s.rows.out && dy.dim_size(2) == s.columns.out &&
                    dy.dim_size(3) == s.o && s.o % s.groups == 0,
                errors::InvalidArgument("dy must have the shape of the result, got ",
                                        dy.shape().DebugString()));
    Tensor* dx;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, {s.n, s.rows.size, s.columns.size, s.groups * s.c}, &dx));
    const T *from = dy.flat<T>().data(), *weights = w.flat<T>().data();
    T* to = dx->flat<T>().data();
    parallel(context, s.n * s.rows.size,
             s.columns.size * s.rows.taps * s.columns.taps * s.c * s.o, [&](int64_t k) {
               row(s, from + k / s.rows.size * s.rows.out * s.columns.out * s.o, weights,
                   k % s.rows.size, to + k * s.columns.size * s.groups * s.c);
             });
  }

 private:
  void row(const Sizes& s, const T* dy, const T* w, int64_t r, T* dx) {
    typedef typename Sum<T>::type S;
    std::vector<S> sums(s.groups * s.c);
    for (int64_t q = 0; q < s.columns.size; q++, dx += sums.size()) {
      std::fill(sums.begin(), sums.end(), S(0));
      for (int64_t a = 0; a < s.rows.taps; a++) {
        int64_t i = s.rows.position(r, a);
        if (i < 0) continue;
        for (int64_t b = 0; b < s.columns.taps; b++) {
          int64_t j = s.columns.position(q, b);
          if (j < 0) continue;
          const T* pixel = dy + (i * s.columns.out + j) * s.o;
          const T* tap = w + (a * s.columns.taps + b) * s.c * s.o;
          for (int64_t g = 0; g < s.groups; g++)
            for (int64_t c = 0; c < s.c; c++) {
              S sum = 0;
              for (int64_t o = g * s.filters(); o < (g + 1) * s.filters(); o++)
                sum += S(pixel[o]) * S(tap[c * s.o + o]);
              sums[g * s.c + c] += sum;
            }
        }
      }
      for (size_t k = 0; k < sums.size(); k++) dx[k] = T(sums[k]);
    }
  }

  Window window;
  int groups;
};

template <class T>
class GradFilter : public OpKernel {
 public:
  explicit GradFilter(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, window.read(context));
    OP_REQUIRES_OK(context, context->GetAttr("kernel", &kernel));
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &dy = context->input(1);
    OP_REQUIRES(context, x.dims() == 4 && dy.dims() == 4 && kernel.size() == 2,
                errors::InvalidArgument("x and dy must have 4 axes, and kernel 2 numbers"));
    Sizes s;
    s.n = x.dim_size(0), s.groups = groups, s.c = x.dim_size(3) / groups, s.o = dy.dim_size(3);
    s.rows = window.axis(0, x.dim_size(1), kernel[0]);
    s.columns = window.axis(1, x.dim_size(2), kernel[1]);
    OP_REQUIRES(context,
                dy.dim_size(0) == s.n && dy.dim_size(1) == s.rows.out &&
                    dy.dim_size(2) == s.columns.out && s.o % s.groups == 0 &&
                    x.dim_size(3) % s.groups == 0,
                errors::InvalidArgument("dy must have the shape of the result, got ",
                                        dy.shape().DebugString()));
    Tensor* dw;
    OP_REQUIRES_OK(context, context->allocate_output(0, {kernel[0], kernel[1], s.c, s.o}, &dw));
    const T *from = x.flat<T>().data(), *gradient = dy.flat<T>().data();
    T* to = dw->flat<T>().data();
    parallel(context, s.rows.taps * s.columns.taps * s.c, s.n * s.rows.out * s.columns.out * s.o,
             [&](int64_t k) { channel(s, from, gradient, k / s.c, k % s.c, to + k * s.o); });
  }

 private:
  // The gradients of one channel of one tap, by all filters. Sums are taken by rows, whose sums
  // are added up: in an order that is fixed by the shapes.
  void channel(const Sizes& s, const T* x, const T* dy, int64_t tap, int64_t c, T* dw) {
    typedef typename Sum<T>::type S;
    std::vector<S> sums(s.o), of_row(s.o);
    for (int64_t k = 0; k < s.n * s.rows.out; k++) {
      int64_t r = s.rows.pixel(k % s.rows.out, tap / s.columns.taps);
      if (r < 0 || r >= s.rows.size) continue;
      const T* row = x + (k / s.rows.out * s.rows.size + r) * s.columns.size * s.groups * s.c;
      std::fill(of_row.begin(), of_row.end(), S(0));
      for (int64_t j = 0; j < s.columns.out; j++) {
        int64_t q = s.columns.pixel(j, tap % s.columns.taps);
        if (q < 0 || q >= s.columns.size) continue;
        const T* from = dy + (k * s.columns.out + j) * s.o;
        for (int64_t g = 0; g < s.groups; g++) {
          S value = S(row[(q * s.groups + g) * s.c + c]);
          for (int64_t o = g * s.filters(); o < (g + 1) * s.filters(); o++)
            of_row[o] += value * S(from[o]);
        }
      }
      for (int64_t o = 0; o < s.o; o++) sums[o] += of_row[o];
    }
    for (int64_t o = 0; o < s.o; o++) dw[o] = T(sums[o]);
  }

  Window window;
  std::vector<int32> kernel;
  int groups;
};

// Positions of the window along one axis, where they are known before running.
DimensionHandle positions(InferenceContext* c, const Window& window, int k, DimensionHandle size,
                          DimensionHandle taps) {
  if (!c->ValueKnown(size) || !c->ValueKnown(taps)) return c->UnknownDim();
  return c->MakeDim(window.axis(k, c->Value(size), c->Value(taps)).out);
}

Status conv_shape(InferenceContext* c) {
  ShapeHandle x, w;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &w));
  Window window;
  TF_RETURN_IF_ERROR(window.read(c));
  c->set_output(0, c->MakeShape({c->Dim(x, 0), positions(c, window, 0, c->Dim(x, 1), c->Dim(w, 0)),
                                 positions(c, window, 1, c->Dim(x, 2), c->Dim(w, 1)),
                                 c->Dim(w, 3)}));
  return OkStatus();
}

Status grad_input_shape(InferenceContext* c) {
  ShapeHandle w, dy, size;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &w));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(2, &size));
  TF_RETURN_IF_ERROR(c->WithRank(size, 2, &size));
  int groups;
  TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(c->Multiply(c->Dim(w, 2), groups, &channels));
  c->set_output(0, c->MakeShape({c->Dim(dy, 0), c->Dim(size, 0), c->Dim(size, 1), channels}));
  return OkStatus();
}

Status grad_filter_shape(InferenceContext* c) {
  ShapeHandle x, dy;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &dy));
  std::vector<int32> kernel;
  int groups;
  TF_RETURN_IF_ERROR(c->GetAttr("kernel", &kernel));
  TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
  if (kernel.size() != 2) return errors::InvalidArgument("kernel must be 2 numbers");
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(c->Divide(c->Dim(x, 3), groups, true, &channels));
  c->set_output(0, c->MakeShape({c->MakeDim(kernel[0]), c->MakeDim(kernel[1]), channels,
                                 c->Dim(dy, 3)}));
  return OkStatus();
}

REGISTER_OP("Hw2Conv2D")
    .Input("x: T")
    .Input("w: T")
    .Input("bias: T")
    .Output("y: T")
    .Attr("T: {bfloat16, half, float, double}")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("pads: list(int)")
    .Attr("relu: bool = false")
    .Attr("tile: int = 0")
    .SetShapeFn(conv_shape);

REGISTER_OP("Hw2Conv2DGradInput")
    .Input("w: T")
    .Input("dy: T")
    .Input("image_size: int32")
    .Output("dx: T")
    .Attr("T: {bfloat16, half, float, double}")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("pads: list(int)")
    .Attr("groups: int = 1")
    .Attr("tile: int = 0")
    .SetShapeFn(grad_input_shape);

REGISTER_OP("Hw2Conv2DGradFilter")
    .Input("x: T")
    .Input("dy: T")
    .Output("dw: T")
    .Attr("T: {bfloat16, half, float, double}")
    .Attr("strides: list(int)")
    .Attr("dilations: list(int)")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("pads: list(int)")
    .Attr("kernel: list(int)")
    .Attr("groups: int = 1")
    .Attr("tile: int = 0")
    .SetShapeFn(grad_filter_shape);

#define KERNELS(T)                                                                          \
  REGISTER_KERNEL_BUILDER(Name("Hw2Conv2D").Device(DEVICE_CPU).TypeConstraint<T>("T"),      \
                          Conv2D<T>);                                                       \
  REGISTER_KERNEL_BUILDER(                                                                  \
      Name("Hw2Conv2DGradInput").Device(DEVICE_CPU).TypeConstraint<T>("T"), GradInput<T>);  \
  REGISTER_KERNEL_BUILDER(                                                                  \
      Name("Hw2Conv2DGradFilter").Device(DEVICE_CPU).TypeConstraint<T>("T"), GradFilter<T>);
KERNELS(bfloat16)
KERNELS(Eigen::half)
KERNELS(float)
KERNELS(double)

}  // namespace
}  // namespace hw2

// Pooling and its gradients, as TensorFlow ops. The mean is linear, and so is what becomes of the
// largest values once they are found, so that each gradient's gradient is an op of these again.
#include "op.h"
#include "pool.h"

namespace hw2 {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

// An op with a window: reads its options, and lays it over images.
class Pool : public OpKernel {
 public:
  explicit Pool(OpKernelConstruction* c) : OpKernel(c), sliding_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("kernel", &kernel_));
    OP_REQUIRES(c, kernel_.size() == 2, absl::InvalidArgumentError("kernel must be a pair"));
  }

 protected:
  Pooling over(const Tensor& x) const {
    return over(x.dim_size(0), x.dim_size(1), x.dim_size(2), x.dim_size(3));
  }

  // The images that `dy` is the gradient of; fails if it has another size than their results.
  Pooling before(OpKernelContext* c, const Tensor& dy, const Tensor& size) const {
    const auto sides = size.flat<int32_t>();
    const Pooling s = over(dy.dim_size(0), sides(0), sides(1), dy.dim_size(3));
    if (dy.dim_size(1) != s.rows.out || dy.dim_size(2) != s.columns.out)
      c->CtxFailure(absl::InvalidArgumentError("dy must have the size of the pool's result"));
    return s;
  }

  Tensor* results(OpKernelContext* c, const Pooling& s, int output = 0) const {
    return made(c, {s.count, s.rows.out, s.columns.out, s.channels}, output);
  }
  Tensor* images(OpKernelContext* c, const Pooling& s) const {
    return made(c, {s.count, s.height, s.width, s.channels}, 0);
  }

 private:
  Pooling over(int64_t n, int64_t height, int64_t width, int64_t channels) const {
    return {(int)n, (int)height, (int)width, (int)channels, sliding_.rows(height, kernel_[0]),
            sliding_.columns(width, kernel_[1])};
  }

  Tensor* made(OpKernelContext* c, const tensorflow::TensorShape& shape, int output) const {
    Tensor* tensor = nullptr;
    const auto status = c->allocate_output(output, shape, &tensor);
    if (!status.ok()) c->CtxFailure(status);
    return tensor;
  }

  Sliding sliding_;
  std::vector<int> kernel_;
};

template <class T, class I>
class MaxPool : public Pool {
 public:
  using Pool::Pool;

  void Compute(OpKernelContext* c) override {
    const Pooling s = over(c->input(0));
    Tensor *y = results(c, s, 0), *where = results(c, s, 1);
    if (!y || !where || !s.results()) return;
    const T* from = values_of<T>(c->input(0));
    over_windows(s, values_of<T>(y), on_threads(c), [&, to = values_of<T>(y), tap = values_of<I>(where)](
                           const View& view, long pixel, long result, int count) {
      by_channels<T>(count, [&](int k, auto registers, int some) {
        largest<T, registers>(view, from + pixel + k, to + result + k, tap + result + k, some);
      });
    });
  }
};

template <class T, class I>
class MaxPoolFind : public Pool {
 public:
  using Pool::Pool;

  void Compute(OpKernelContext* c) override {
    const Pooling s = over(c->input(0));
    const Tensor& where = c->input(1);
    OP_REQUIRES(c, where.NumElements() == s.results(),
                absl::InvalidArgumentError("where must have the size of the pool's result"));
    Tensor* y = results(c, s);
    if (!y || !s.results()) return;
    const T* from = values_of<T>(c->input(0));
    over_windows(s, values_of<T>(y), on_threads(c), [&, to = values_of<T>(y), tap = values_of<I>(where)](
                           const View& view, long pixel, long result, int count) {
      by_channels<T>(count, [&](int k, auto registers, int some) {
        found<T, registers>(view, from + pixel + k, to + result + k, tap + result + k, some);
      });
    });
  }
};

template <class T, class I>
class MaxPoolGrad : public Pool {
 public:
  using Pool::Pool;

  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &where = c->input(1);
    const Pooling s = before(c, dy, c->input(2));
    if (!c->status().ok()) return;
    OP_REQUIRES(c, where.NumElements() == s.results(),
                absl::InvalidArgumentError("where must have the size of the pool's result"));
    Tensor* dx = images(c, s);
    if (!dx || !s.pixels()) return;
    over_pixels(s, values_of<T>(dx), on_threads(c), [&, from = values_of<T>(dy), tap = values_of<I>(where),
                       to = values_of<T>(dx)](const Held& held, long result, long pixel,
                                              int values) {
      by_channels<T>(values, [&](int k, auto registers, int some) {
        routed<T, registers>(held, from + result + k, tap + result + k,
                                    to + pixel + k, some);
      });
    });
  }
};

template <class T>
class AvgPool : public Pool {
 public:
  using Pool::Pool;

  void Compute(OpKernelContext* c) override {
    const Pooling s = over(c->input(0));
    Tensor* y = results(c, s);
    if (!y || !s.results()) return;
    const T* from = values_of<T>(c->input(0));
    over_windows(s, values_of<T>(y), on_threads(c), [&, to = values_of<T>(y)](const View& view, long pixel, long result, int count) {
      by_channels<T>(count, [&](int k, auto registers, int some) {
        mean<T, registers>(view, from + pixel + k, to + result + k, some);
      });
    });
  }
};

template <class T>
class AvgPoolGrad : public Pool {
 public:
  using Pool::Pool;

  void Compute(OpKernelContext* c) override {
    const Tensor& dy = c->input(0);
    const Pooling s = before(c, dy, c->input(1));
    if (!c->status().ok()) return;
    Tensor* dx = images(c, s);
    if (!dx || !s.pixels()) return;
    over_pixels(s, values_of<T>(dx), on_threads(c), [&, from = values_of<T>(dy), to = values_of<T>(dx)](
                          const Held& held, long result, long pixel, int values) {
      by_channels<T>(values, [&](int k, auto registers, int some) {
        shared<T, registers>(held, from + result + k, to + pixel + k, some);
      });
    });
  }
};

#define WINDOW HW2_NUMBERS.HW2_SLIDING.Attr("kernel: list(int)").SetShapeFn(four_axes)
#define TAPS Attr("I: {uint8, int32} = DT_UINT8")

REGISTER_OP("Hw2MaxPool").Input("x: T").Output("y: T").Output("where: I").TAPS.WINDOW;
REGISTER_OP("Hw2MaxPoolFind").Input("x: T").Input("where: I").Output("y: T").TAPS.WINDOW;
REGISTER_OP("Hw2MaxPoolGrad")
    .Input("dy: T")
    .Input("where: I")
    .Input("image_size: int32")
    .Output("dx: T")
    .TAPS.WINDOW;
REGISTER_OP("Hw2AvgPool").Input("x: T").Output("y: T").WINDOW;
REGISTER_OP("Hw2AvgPoolGrad").Input("dy: T").Input("image_size: int32").Output("dx: T").WINDOW;

#define KERNEL(NAME, T) \
  Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<NameOf<T>::Type>("T")
#define OF_TAPS(T, I)                                                                        \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2MaxPool", T).TypeConstraint<I>("I"), MaxPool<T, I>);    \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2MaxPoolFind", T).TypeConstraint<I>("I"),                \
                          MaxPoolFind<T, I>);                                                \
  REGISTER_KERNEL_BUILDER(                                                                   \
      KERNEL("Hw2MaxPoolGrad", T).TypeConstraint<I>("I").HostMemory("image_size"),           \
      MaxPoolGrad<T, I>)
#define OF_NUMBERS(T)                                                                        \
  OF_TAPS(T, uint8_t);                                                                       \
  OF_TAPS(T, int32_t);                                                                       \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2AvgPool", T), AvgPool<T>);                              \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2AvgPoolGrad", T).HostMemory("image_size"), AvgPoolGrad<T>)
OF_NUMBERS(float);
OF_NUMBERS(double);
OF_NUMBERS(BFloat16);
OF_NUMBERS(Float16);

}  // namespace
}  // namespace hw2

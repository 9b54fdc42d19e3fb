// Batch normalization and its gradient, as TensorFlow ops.
#include "norm.h"

#include "op.h"

namespace hw2 {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;

class Norm : public OpKernel {
 public:
  explicit Norm(OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(c, c->GetAttr("relu", &relu_));
  }

 protected:
  static float* channels_of(OpKernelContext* c, int output, int channels) {
    Tensor* tensor = nullptr;
    const auto status = c->allocate_output(output, {channels}, &tensor);
    if (!status.ok()) c->CtxFailure(status);
    return tensor ? values_of<float>(tensor) : nullptr;
  }

  float epsilon_;
  bool relu_;
};

template <class T>
class BatchNorm : public Norm {
 public:
  using Norm::Norm;

  void Compute(OpKernelContext* c) override {
    const Tensor& x = c->input(0);
    const int channels = x.dim_size(3);
    OP_REQUIRES(c, c->input(1).NumElements() == channels && c->input(2).NumElements() == channels,
                absl::InvalidArgumentError("scale and offset must have a value for each channel"));
    Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &y));
    float *mean = channels_of(c, 1, channels), *variance = channels_of(c, 2, channels);
    if (!mean || !variance) return;
    if (!x.NumElements()) {  // nothing has no mean
      std::fill_n(mean, channels, std::numeric_limits<float>::quiet_NaN());
      std::fill_n(variance, channels, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    const PixelBlocks cut(x.NumElements() / channels, channels, sizeof(T));
    const Each each = on_threads(c);
    statistics(values_of<T>(x), cut, mean, variance, each);
    const Affine affine(channels, mean, variance, values_of<float>(c->input(1)),
                        values_of<float>(c->input(2)), epsilon_);
    normalize(values_of<T>(x), cut, affine, relu_, values_of<T>(y), each);
  }
};

template <class T>
class BatchNormGrad : public Norm {
 public:
  using Norm::Norm;

  void Compute(OpKernelContext* c) override {
    const Tensor &dy = c->input(0), &x = c->input(1);
    const int channels = x.dim_size(3);
    OP_REQUIRES(c, dy.shape() == x.shape(),
                absl::InvalidArgumentError("dy must have the size of the images"));
    for (int i = 2; i < 6; i++)
      OP_REQUIRES(c, c->input(i).NumElements() == channels,
                  absl::InvalidArgumentError("there must be a value for each channel"));
    Tensor* dx;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &dx));
    float *of_scale = channels_of(c, 1, channels), *of_offset = channels_of(c, 2, channels);
    if (!of_scale || !of_offset) return;
    std::fill_n(of_scale, channels, 0.f), std::fill_n(of_offset, channels, 0.f);
    if (!x.NumElements()) return;
    const PixelBlocks cut(x.NumElements() / channels, channels, sizeof(T));
    const Each each = on_threads(c);
    const float* variance = values_of<float>(c->input(5));
    const Affine affine(channels, values_of<float>(c->input(4)), variance,
                        values_of<float>(c->input(2)), values_of<float>(c->input(3)), epsilon_);
    std::vector<double> sums(channels), products(channels);
    error_sums(values_of<T>(dy), values_of<T>(x), cut, affine, relu_, sums.data(),
               products.data(), each);
    std::vector<float> mean_error(Affine::padded(channels)), share(Affine::padded(channels));
    for (int k = 0; k < channels; k++) {
      const double wide = (double)variance[k] + epsilon_;
      of_offset[k] = sums[k];
      of_scale[k] = products[k] / std::sqrt(wide);
      mean_error[k] = sums[k] / cut.pixels;
      share[k] = products[k] / wide / cut.pixels;
    }
    normalize_back(values_of<T>(dy), values_of<T>(x), cut, affine, relu_, mean_error.data(),
                   share.data(), values_of<T>(dx), each);
  }
};

absl::Status norm_shape(InferenceContext* c) {
  const int x = c->num_inputs() == 3 ? 0 : 1;  // backward, dy comes first
  tensorflow::shape_inference::ShapeHandle images;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(x), 4, &images));
  c->set_output(0, images);
  for (int i = 1; i < 3; i++) c->set_output(i, c->Vector(c->Dim(images, 3)));
  return absl::OkStatus();
}

#define OPTIONS \
  Attr("T: {bfloat16, float}").Attr("epsilon: float").Attr("relu: bool").SetShapeFn(norm_shape)

REGISTER_OP("Hw2BatchNorm")
    .Input("x: T")
    .Input("scale: float")
    .Input("offset: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("variance: float")
    .OPTIONS;
REGISTER_OP("Hw2BatchNormGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("scale: float")
    .Input("offset: float")
    .Input("mean: float")
    .Input("variance: float")
    .Output("dx: T")
    .Output("by_scale: float")
    .Output("by_offset: float")
    .OPTIONS;

#define KERNELS(T)                                                                            \
  REGISTER_KERNEL_BUILDER(Name("Hw2BatchNorm")                                                \
                              .Device(tensorflow::DEVICE_CPU)                                 \
                              .TypeConstraint<NameOf<T>::Type>("T"),                          \
                          BatchNorm<T>);                                                      \
  REGISTER_KERNEL_BUILDER(Name("Hw2BatchNormGrad")                                            \
                              .Device(tensorflow::DEVICE_CPU)                                 \
                              .TypeConstraint<NameOf<T>::Type>("T"),                          \
                          BatchNormGrad<T>)
KERNELS(float);
KERNELS(BFloat16);

}  // namespace
}  // namespace hw2

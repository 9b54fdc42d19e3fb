// What the ops of TensorFlow have in common: their numbers, options, memory and threads.
#pragma once

#include <string>

#include "sweep.h"

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace hw2 {

// TensorFlow's names of the types of numbers.
template <class T>
struct NameOf;
template <>
struct NameOf<float> { using Type = float; };
template <>
struct NameOf<double> { using Type = double; };
template <>
struct NameOf<BFloat16> { using Type = tensorflow::bfloat16; };
template <>
struct NameOf<Float16> { using Type = Eigen::half; };

template <class T>
const T* values_of(const tensorflow::Tensor& tensor) {
  return reinterpret_cast<const T*>(tensor.tensor_data().data());
}
template <class T>
T* values_of(tensorflow::Tensor* tensor) {
  return const_cast<T*>(values_of<T>(*tensor));
}

// How a window slides: the attributes of every op that has one.
class Sliding {
 public:
  Sliding() = default;
  explicit Sliding(tensorflow::OpKernelConstruction* c) { OP_REQUIRES_OK(c, read(c)); }

  // Reads the attributes, before running or while shapes are inferred.
  template <class Context>
  absl::Status read(Context* c) {
    std::string padding;
    TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides_));
    TF_RETURN_IF_ERROR(c->GetAttr("dilations", &dilations_));
    TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
    TF_RETURN_IF_ERROR(c->GetAttr("pads", &pads_));
    if (strides_.size() != 2 || dilations_.size() != 2 || pads_.size() != 4)
      return absl::InvalidArgumentError("strides and dilations must be pairs, pads four numbers");
    padding_ = padding == "SAME"    ? Padding::SAME
               : padding == "VALID" ? Padding::VALID
                                    : Padding::EXPLICIT;
    return absl::OkStatus();
  }

  Axis rows(int size, int taps) const { return axis(0, size, taps); }
  Axis columns(int size, int taps) const { return axis(1, size, taps); }

 private:
  Axis axis(int i, int size, int taps) const {
    return lay(size, taps, strides_[i], dilations_[i], padding_, pads_[2 * i], pads_[2 * i + 1]);
  }

  std::vector<int> strides_, dilations_, pads_;
  Padding padding_ = Padding::VALID;
};

// Runs work(i) for every i below `count` on TensorFlow's threads. A thread that is free takes the
// next i, so which thread has which i differs from run to run, and no result may depend on it.
inline Each on_threads(tensorflow::OpKernelContext* c) {
  const auto* threads = c->device()->tensorflow_cpu_worker_threads();
  return [threads](long count, long values, const std::function<void(long)>& work) {
    const long shares = std::min<long>(count, threads->num_threads);
    if (shares <= 1 || values < WORTH_WAKING) {
      for (long i = 0; i < count; i++) work(i);
      return;
    }
    using Scheduling = tsl::thread::ThreadPool::SchedulingParams;
    const Scheduling one_each(tsl::thread::ThreadPool::SchedulingStrategy::kFixedBlockSize, {}, 1);
    std::atomic<long> next{0};
    threads->workers->ParallelFor(shares, one_each, [&](int64_t, int64_t) {
      for (long i; (i = next++) < count;) work(i);
    });
  };
}

// Shapes are told by hw2/ops/direct/*.py, which have known ones from the images.
inline absl::Status four_axes(tensorflow::shape_inference::InferenceContext* c) {
  for (int i = 0; i < c->num_outputs(); i++) c->set_output(i, c->UnknownShapeOfRank(4));
  return absl::OkStatus();
}

#define HW2_SLIDING                                   \
  Attr("strides: list(int)")                          \
      .Attr("dilations: list(int)")                   \
      .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}") \
      .Attr("pads: list(int)")
#define HW2_NUMBERS Attr("T: {bfloat16, half, float, double}")

}  // namespace hw2

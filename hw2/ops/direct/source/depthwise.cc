// Convolution of each channel by itself, as TensorFlow ops. It is linear in each of two tensors, so
// that the gradients of the three are the three again.
#include "depthwise_bands.h"

namespace hw2 {
namespace {

template <class T>
class DepthwiseConv2D : public OpKernel {
 public:
  explicit DepthwiseConv2D(OpKernelConstruction* c) : OpKernel(c), sliding_(c) {}

  void Compute(OpKernelContext* c) override {
    using Sum = SumOf<T>;
    constexpr int L = LANES<Sum>;
    const Tensor &x = c->input(0), &w = c->input(1);
    OP_REQUIRES(c, x.dim_size(3) == w.dim_size(2),
                absl::InvalidArgumentError("x and w must have the same number of channels"));
    const Sizes s = sizes(sliding_, x.dim_size(0), x.dim_size(1), x.dim_size(2), x.dim_size(3),
                          w.dim_size(0), w.dim_size(1), w.dim_size(3));
    Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, {s.count, s.rows.out, s.columns.out, s.filters()}, &y));
    if (!y->NumElements()) return;
    const Images<T> images{values_of<T>(x), s.count, s.height, s.width, s.channels, s.channels};
    T* results = values_of<T>(y);
    if constexpr (std::is_same_v<T, Sum>)
      if (in_place<Sum>(s)) {
        const long row = (long)s.columns.out * s.channels;
        return by_bands(c, s, s.rows.out, {forward_sweep(s.rows, s.columns)}, images,
                        values_of<T>(w), {results}, {results, s.rows.out * row, row, s.channels});
      }
    const int reach = (s.columns.span() - 1) / s.columns.stride;
    const Bands<Sum> bands(s.filters(), std::lcm(L, s.multiplier), s.rows.out,
                           (s.columns.out + reach) * s.columns.stride, s.rows.span(),
                           s.rows.stride);
    const Blocks& blocks = bands.blocks;
    std::vector<int> filters(s.rows.taps * s.columns.taps);
    std::iota(filters.begin(), filters.end(), 0);
    std::vector<std::vector<Sum>> laid(blocks.count);
    for (int b = 0; b < blocks.count; b++) {
      laid[b].resize(filters.size() * blocks.period(b, L));
      lay_out(blocks, b, filters, values_of<T>(w), laid[b].data());
    }
    on_threads(c)((long)s.count * bands.count * blocks.count, s.values(), [&](long unit) {
      const int block = unit % blocks.count, band = unit / blocks.count % bands.count;
      const long image = unit / blocks.count / bands.count;
      const int begin = band * bands.rows, end = std::min(begin + bands.rows, s.rows.out);
      const int groups = (s.columns.out + blocks.together - 1) / blocks.together;
      const int pitch = blocks.pitch(block, L), first = blocks.first(block);
      Frame<Sum> frame{nullptr, (end - begin - 1) * s.rows.stride + s.rows.span(),
                       s.columns.stride, groups * blocks.together + reach, pitch};
      frame.data = scratch<Sum>(frame.rows * frame.row(), 0);
      fill(frame, images, image, begin * s.rows.stride - s.rows.before, s.columns.before, first,
           blocks.of(block), s.multiplier);
      const long period = blocks.period(block, L);
      std::vector<Weight> taps;
      for (int a = 0; a < s.rows.taps; a++)
        for (int b = 0; b < s.columns.taps; b++)
          taps.push_back({frame.place(a * s.rows.dilation, b * s.columns.dilation),
                          (long)taps.size() * period});
      const bool flat = blocks.together > 1;
      for (int i = begin; i < end; i++) {
        T* to = results + (image * s.rows.out + i) * s.columns.out * s.filters() + first;
        weigh_row(frame.data + (i - begin) * s.rows.stride * frame.row(), groups, period, taps,
                  laid[block].data(), to, {period, flat ? period : (long)s.filters()},
                  flat ? (long)s.columns.out * s.filters() : (long)blocks.of(block),
                  flat ? period : 0L);
      }
    });
  }

 private:
  Sliding sliding_;
};

// The gradient by images: at each phase of the strides it is such a convolution of dy too, by the
// taps that meet these pixels.
template <class T>
class DepthwiseConv2DGradInput : public OpKernel {
 public:
  explicit DepthwiseConv2DGradInput(OpKernelConstruction* c) : OpKernel(c), sliding_(c) {}

  void Compute(OpKernelContext* c) override {
    using Sum = SumOf<T>;
    constexpr int L = LANES<Sum>;
    const Tensor &w = c->input(0), &dy = c->input(1);
    const auto size = c->input(2).flat<int32_t>();
    const Sizes s = sizes(sliding_, dy.dim_size(0), size(0), size(1), w.dim_size(2), w.dim_size(0),
                          w.dim_size(1), w.dim_size(3));
    OP_REQUIRES(c,
                dy.dim_size(1) == s.rows.out && dy.dim_size(2) == s.columns.out &&
                    dy.dim_size(3) == s.filters(),
                absl::InvalidArgumentError("dy must have the size of the convolution's result"));
    Tensor* dx;
    OP_REQUIRES_OK(c, c->allocate_output(0, {s.count, s.height, s.width, s.channels}, &dx));
    if (!dx->NumElements()) return;
    if (!dy.NumElements()) {
      std::memset(values_of<T>(dx), 0, dx->TotalBytes());
      return;
    }
    const int sh = s.rows.stride, sw = s.columns.stride;
    std::vector<Sweep> sweeps;
    int top = INT_MAX, bottom = INT_MIN, left = INT_MAX, right = INT_MIN;
    for (int a = 0; a < sh; a++)
      for (int b = 0; b < sw; b++) {
        sweeps.push_back(gradient_sweep(s.rows, s.columns, a, b));
        if (sweeps.back().taps.empty()) continue;
        top = std::min(top, sweeps.back().top), bottom = std::max(bottom, sweeps.back().bottom);
        left = std::min(left, sweeps.back().left), right = std::max(right, sweeps.back().right);
      }
    const Images<T> errors{values_of<T>(dy), s.count, s.rows.out, s.columns.out, s.filters(),
                           s.filters()};
    T* results = values_of<T>(dx);
    const int rows = (s.height + sh - 1) / sh;
    if constexpr (std::is_same_v<T, Sum>)
      if (in_place<Sum>(s)) {
        const long row = (long)s.width * s.channels;
        std::vector<T*> firsts;
        for (int a = 0; a < sh; a++)
          for (int b = 0; b < sw; b++) firsts.push_back(results + a * row + b * s.channels);
        return by_bands(c, s, rows, sweeps, errors, values_of<T>(w), firsts,
                        {results, s.height * row, sh * row, (long)sw * s.channels});
      }
    const int columns = (s.width + sw - 1) / sw;
    const Bands<Sum> bands(s.filters(), std::lcm(L, s.multiplier), rows, columns + right - left,
                           bottom - top + 1, 1);
    const Blocks& blocks = bands.blocks;
    std::vector<std::vector<Sum>> laid;  // by block and sweep
    for (int b = 0; b < blocks.count; b++)
      for (const Sweep& sweep : sweeps) {
        std::vector<int> filters;
        for (const Tap& tap : sweep.taps) filters.push_back(tap.filter);
        laid.emplace_back(filters.size() * blocks.period(b, L));
        lay_out(blocks, b, filters, values_of<T>(w), laid.back().data());
      }
    on_threads(c)((long)s.count * bands.count * blocks.count, s.values(), [&](long unit) {
      const int block = unit % blocks.count, band = unit / blocks.count % bands.count;
      const long image = unit / blocks.count / bands.count;
      const int begin = band * bands.rows, end = std::min(begin + bands.rows, rows);
      const int groups = (columns + blocks.together - 1) / blocks.together;
      const int pitch = blocks.pitch(block, L), first = blocks.first(block);
      Frame<Sum> frame{nullptr, end - begin + bottom - top, 1,
                       groups * blocks.together + right - left, pitch};
      frame.data = scratch<Sum>(frame.rows * frame.row(), 0);
      fill(frame, errors, image, begin + top, -left, first, blocks.of(block), 1);
      const long period = blocks.period(block, L);
      const bool flat = blocks.together > 1;
      const bool apart = s.multiplier > 1 || (flat && sw > 1);  // is put together afterwards
      Sum* row = apart ? scratch<Sum>(groups * period, 1) : nullptr;
      for (size_t k = 0; k < sweeps.size(); k++) {
        const Sweep& sweep = sweeps[k];
        if (sweep.columns <= 0) continue;
        std::vector<Weight> taps;
        for (const Tap& tap : sweep.taps)
          taps.push_back(
              {frame.place(tap.row - top, tap.column - left), (long)taps.size() * period});
        const Sum* w = laid[block * sweeps.size() + k].data();
        const int across = (sweep.columns + blocks.together - 1) / blocks.together;
        for (int i = begin; i < std::min(end, sweep.rows); i++) {
          const Sum* from = frame.data + (i - begin) * frame.row();
          T* to = results + first / s.multiplier +
                  ((image * s.height + i * sh + k / sw) * s.width + k % sw) * s.channels;
          if (!apart) {
            weigh_row(from, across, period, taps, w, to,
                      {period, flat ? period : (long)sw * s.channels},
                      flat ? (long)sweep.columns * s.channels : (long)blocks.of(block),
                      flat ? period : 0L);
            continue;
          }
          weigh_row(from, across, period, taps, w, row, {period, period}, across * period,
                    period);
          for (int j = 0; j < sweep.columns; j++, to += sw * s.channels)
            for (int m = 0; m < blocks.of(block); m += s.multiplier) {
              const Sum* of_channel = row + (long)j * pitch + m;
              to[m / s.multiplier] =
                  narrow(std::accumulate(of_channel, of_channel + s.multiplier, Sum{}), T{});
            }
        }
      }
    });
  }

 private:
  Sliding sliding_;
};

// The gradient by filters: sums over all positions. They are taken in slices of the bands that
// depend on shapes alone, and these are added in order, so that threads do not change a bit.
template <class T>
class DepthwiseConv2DGradFilter : public OpKernel {
 public:
  explicit DepthwiseConv2DGradFilter(OpKernelConstruction* c) : OpKernel(c), sliding_(c) {
    OP_REQUIRES_OK(c, c->GetAttr("kernel", &kernel_));
    OP_REQUIRES(c, kernel_.size() == 2, absl::InvalidArgumentError("kernel must be a pair"));
  }

  void Compute(OpKernelContext* c) override {
    using Sum = SumOf<T>;
    constexpr int L = LANES<Sum>;
    const Tensor &x = c->input(0), &dy = c->input(1);
    const int channels = x.dim_size(3), multiplier = channels ? dy.dim_size(3) / channels : 1;
    const Sizes s = sizes(sliding_, x.dim_size(0), x.dim_size(1), x.dim_size(2), channels,
                          kernel_[0], kernel_[1], multiplier);
    OP_REQUIRES(c,
                dy.dim_size(0) == s.count && dy.dim_size(1) == s.rows.out &&
                    dy.dim_size(2) == s.columns.out && dy.dim_size(3) == s.filters(),
                absl::InvalidArgumentError("dy must have the size of the convolution's result"));
    Tensor* dw;
    OP_REQUIRES_OK(c, c->allocate_output(0, {kernel_[0], kernel_[1], channels, multiplier}, &dw));
    if (!dw->NumElements()) return;
    if (!dy.NumElements()) {
      std::memset(values_of<T>(dw), 0, dw->TotalBytes());
      return;
    }
    const Images<T> images{values_of<T>(x), s.count, s.height, s.width, s.channels, s.channels};
    const int kernel = kernel_[0] * kernel_[1];
    if constexpr (std::is_same_v<T, Sum>)
      if (in_place<Sum>(s)) {
        const Sweep sweep = forward_sweep(s.rows, s.columns);
        const long lines = (long)s.count * s.rows.out, slices = std::min<long>(lines, SLICES);
        std::vector<Sum> parts(slices * kernel * channels);
        on_threads(c)(slices, s.values(), [&](long slice) {
          for (long k = lines * slice / slices; k < lines * (slice + 1) / slices; k++)
            gather_in_place(sweep, images, k / s.rows.out, k % s.rows.out,
                            values_of<T>(dy) + k * s.columns.out * channels,
                            parts.data() + slice * kernel * channels);
        });
        const Blocks whole(channels, L, channels);
        return add(whole, kernel, slices, parts.data(), values_of<T>(dw));
      }
    const int reach = (s.columns.span() - 1) / s.columns.stride;
    const Bands<Sum> bands(s.filters(), std::lcm(L, s.multiplier), s.rows.out,
                           (s.columns.out + reach) * s.columns.stride + s.columns.out,
                           s.rows.span(), s.rows.stride);
    const Blocks& blocks = bands.blocks;
    const long all = (long)s.count * bands.count, slices = std::min<long>(all, SLICES);
    const int padded = blocks.padded(L);
    std::vector<Sum> parts(slices * kernel * padded);
    const Images<T> errors{values_of<T>(dy), s.count, s.rows.out, s.columns.out, s.filters(),
                           s.filters()};
    on_threads(c)(slices * blocks.count, s.values(), [&](long unit) {
      const int block = unit % blocks.count;
      const long slice = unit / blocks.count;
      const int groups = (s.columns.out + blocks.together - 1) / blocks.together;
      const int pitch = blocks.pitch(block, L), first = blocks.first(block);
      const long period = blocks.period(block, L);
      Sum* part = parts.data() + slice * kernel * padded + (long)first * kernel;
      for (long k = all * slice / slices; k < all * (slice + 1) / slices; k++) {
        const int begin = k % bands.count * bands.rows;
        const int lines = std::min(bands.rows, s.rows.out - begin);
        const long image = k / bands.count;
        Frame<Sum> frame{nullptr, (lines - 1) * s.rows.stride + s.rows.span(), s.columns.stride,
                         groups * blocks.together + reach, pitch};
        frame.data = scratch<Sum>(frame.rows * frame.row(), 0);
        fill(frame, images, image, begin * s.rows.stride - s.rows.before, s.columns.before, first,
             blocks.of(block), s.multiplier);
        Frame<Sum> of_errors{nullptr, lines, 1, groups * blocks.together, pitch};
        of_errors.data = scratch<Sum>(lines * of_errors.row(), 1);
        fill(of_errors, errors, image, begin, 0, first, blocks.of(block), 1);
        std::vector<Weight> taps;
        for (int a = 0; a < kernel_[0]; a++)
          for (int b = 0; b < kernel_[1]; b++)
            taps.push_back({frame.place(a * s.rows.dilation, b * s.columns.dilation),
                            (long)taps.size() * period});
        for (int i = 0; i < lines; i++)
          gather_row(frame.data + i * s.rows.stride * frame.row(), period, taps,
                     of_errors.data + i * of_errors.row(), period, groups, period, part);
      }
    });
    add(blocks, kernel, slices, parts.data(), values_of<T>(dw));
  }

 private:
  // Adds the slices to the first one, and then the pixels of a group.
  void add(const Blocks& blocks, int kernel, long slices, SumOf<T>* parts, T* dw) const {
    using Sum = SumOf<T>;
    constexpr int L = LANES<Sum>;
    const long slice = (long)kernel * blocks.padded(L);
    for (long i = 1; i < slices; i++)
      for (long k = 0; k < slice; k++) parts[k] += parts[i * slice + k];
    for (int b = 0; b < blocks.count; b++) {
      const int pitch = blocks.pitch(b, L), first = blocks.first(b);
      const long period = blocks.period(b, L);
      for (int t = 0; t < kernel; t++)
        for (int k = 0; k < blocks.of(b); k++) {
          const Sum* from = parts + (long)first * kernel + t * period + k;
          Sum sum{};
          for (int g = 0; g < blocks.together; g++) sum += from[g * pitch];
          dw[(long)t * blocks.channels + first + k] = narrow(sum, T{});
        }
    }
  }

  Sliding sliding_;
  std::vector<int> kernel_;
};

#define OPTIONS HW2_NUMBERS.HW2_SLIDING.SetShapeFn(four_axes)

REGISTER_OP("Hw2DepthwiseConv2D").Input("x: T").Input("w: T").Output("y: T").OPTIONS;
REGISTER_OP("Hw2DepthwiseConv2DGradInput")
    .Input("w: T")
    .Input("dy: T")
    .Input("image_size: int32")
    .Output("dx: T")
    .OPTIONS;
REGISTER_OP("Hw2DepthwiseConv2DGradFilter")
    .Input("x: T")
    .Input("dy: T")
    .Output("dw: T")
    .OPTIONS.Attr("kernel: list(int)");

#define KERNEL(NAME, T) \
  Name(NAME).Device(tensorflow::DEVICE_CPU).TypeConstraint<NameOf<T>::Type>("T")
#define KERNELS(T)                                                                            \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2DepthwiseConv2D", T), DepthwiseConv2D<T>);               \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2DepthwiseConv2DGradInput", T).HostMemory("image_size"),  \
                          DepthwiseConv2DGradInput<T>);                                       \
  REGISTER_KERNEL_BUILDER(KERNEL("Hw2DepthwiseConv2DGradFilter", T),                          \
                          DepthwiseConv2DGradFilter<T>)
KERNELS(float);
KERNELS(double);
KERNELS(BFloat16);
KERNELS(Float16);

}  // namespace
}  // namespace hw2

// The inner loops in float32, compiled.
#include "product.h"

namespace hw2 {

template Windows<Plain<float>> windows_for<Plain<float>>(int, int);
template Outer<Plain<float>> outer_for<Plain<float>>(int, int);

}  // namespace hw2

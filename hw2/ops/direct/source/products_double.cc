// The inner loops in float64, compiled.
#include "product.h"

namespace hw2 {

template Windows<Plain<double>> windows_for<Plain<double>>(int, int);
template Outer<Plain<double>> outer_for<Plain<double>>(int, int);

}  // namespace hw2

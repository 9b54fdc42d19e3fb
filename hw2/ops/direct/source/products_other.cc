// The inner loops in float64, and in bfloat16 where the CPU has products of it, compiled.
#include "product.h"

namespace hw2 {

template Windows<Plain<double>> windows_for<Plain<double>>(int, int);
template Outer<double> outer_for<double>(int, int);
#if defined(__AVX512BF16__)
template Windows<Pairs> windows_for<Pairs>(int, int);
#endif

}  // namespace hw2

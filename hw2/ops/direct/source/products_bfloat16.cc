// The inner loops in bfloat16, compiled, where the CPU has products of it.
#include "product.h"

namespace hw2 {

#if defined(__AVX512BF16__)
template Windows<Pairs> windows_for<Pairs>(int, int);
template Outer<Pairs> outer_for<Pairs>(int, int);
#endif

}  // namespace hw2

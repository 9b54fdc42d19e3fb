// N values side by side, whatever N is: for channels that fill no register.
#pragma once

#include <type_traits>

#include "numbers.h"

namespace hw2 {

// N values side by side, in the type of their sums; and integers as wide.
template <class Sum, int N>
struct Lanes {
  using Int = std::conditional_t<sizeof(Sum) == 8, int64_t, int32_t>;
  typedef Sum Values __attribute__((vector_size(N * sizeof(Sum))));
  typedef Int Ints __attribute__((vector_size(N * sizeof(Sum))));
};
template <class Sum>
struct Lanes<Sum, 1> {
  using Int = std::conditional_t<sizeof(Sum) == 8, int64_t, int32_t>;
  using Values = Sum;
  using Ints = Int;
};

}  // namespace hw2

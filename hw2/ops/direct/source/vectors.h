// What a register of the CPU holds: the only file that knows how wide it is.
//
// GCC and Clang turn arithmetic on these types into the instructions of whatever set they compile
// for, so one text of a kernel serves AVX-512, AVX2 and plain C++ alike.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace hw2 {

#if defined(__AVX512F__)
constexpr int REGISTER_BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int REGISTER_BYTES = 32, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int REGISTER_BYTES = 16, REGISTERS = 32;
#else
constexpr int REGISTER_BYTES = 16, REGISTERS = 16;
#endif

template <class T>
constexpr int LANES = REGISTER_BYTES / sizeof(T);

// One register of values of type T, loaded from and stored to any address.
template <class T>
struct Register {
  typedef T type __attribute__((vector_size(REGISTER_BYTES), aligned(alignof(T)), may_alias));
};
template <class T>
using Vec = typename Register<T>::type;

template <class T>
inline Vec<T> load(const T* from) {
  return *reinterpret_cast<const Vec<T>*>(from);
}

template <class T>
inline void store(T* to, Vec<T> value) {
  *reinterpret_cast<Vec<T>*>(to) = value;
}

// The first `count` lanes; the rest are zero, and memory behind them is not read.
template <class T>
inline Vec<T> load_part(const T* from, int count) {
  Vec<T> value{};
  std::memcpy(&value, from, count * sizeof(T));
  return value;
}

template <class T>
inline Vec<T> broadcast(T value) {
  return value - Vec<T>{};
}

}  // namespace hw2

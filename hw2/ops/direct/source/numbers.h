// The kinds of numbers: how they are stored, and in what they are summed.
#pragma once

#include <algorithm>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "vectors.h"

namespace hw2 {

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

inline float widen(BFloat16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline BFloat16 narrow(float x, BFloat16) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);  // to nearest, ties to even
  return {uint16_t((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded >> 16)};
}

// float16 by the arithmetic of its definition: slow, and the same everywhere.
inline float widen(Float16 x) {
  const uint32_t sign = uint32_t(x.bits & 0x8000) << 16, rest = x.bits & 0x7fff;
  uint32_t bits = sign | (rest >= 0x7c00 ? 0x7f800000 | (rest & 0x3ff) << 13
                                         : (rest << 13) + (112 << 23));
  float value;
  std::memcpy(&value, &bits, 4);
  if (rest < 0x400) {  // subnormal
    value = rest * 0x1p-24f;
    return sign ? -value : value;
  }
  return value;
}

inline Float16 narrow(float x, Float16) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  const uint16_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return {uint16_t(sign | 0x7e00)};
  if (bits >= 0x477ff000) return {uint16_t(sign | 0x7c00)};  // rounds to infinity
  if (bits < 0x38800000) {                                   // subnormal: its unit is 2**-24
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    const float shifted = magnitude + 0.5f;  // the addition rounds at 2**-24
    uint32_t rounded;
    std::memcpy(&rounded, &shifted, 4);
    return {uint16_t(sign | (rounded - 0x3f000000))};
  }
  return {uint16_t(sign | ((bits + 0xfff + (bits >> 13 & 1) - (112 << 23)) >> 13))};
}

inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline float narrow(float x, float) { return x; }
inline double narrow(double x, double) { return x; }

// Whether a type is for training, and not only for checks: it has more functions to compile.
template <class T>
constexpr bool TRAINED = std::is_same_v<T, float> || std::is_same_v<T, BFloat16>;

// In what numbers of a type are summed.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Products of numbers that are stored as they are summed.
template <class T>
struct Plain {
  using Value = T;
  using Sum = T;
  using Out = T;     // what results are stored as
  using Factor = T;  // what is broadcast: DEPTH values
  using Filters = Vec<T>;
  static constexpr int DEPTH = 1;
  static Filters load(const T* from) { return hw2::load(from); }
  static Filters broadcast(const T* from) { return hw2::broadcast(*from); }
  static Vec<T> add(Vec<T> sum, Filters x, Filters w) { return sum + x * w; }
};

#if defined(__AVX512BF16__)
// Products of bfloat16, two at a time, summed in float32.
struct Pairs {
  using Value = BFloat16;
  using Sum = float;
  using Out = BFloat16;
  using Factor = uint32_t;
  using Filters = __m512bh;
  static constexpr int DEPTH = 2;
  static Filters load(const uint32_t* from) { return (__m512bh)_mm512_loadu_si512(from); }
  static Filters broadcast(const uint32_t* from) { return (__m512bh)_mm512_set1_epi32(*from); }
  static Filters load(const BFloat16* from) { return (__m512bh)_mm512_loadu_si512(from); }
  static Filters broadcast(const BFloat16* from) {
    int pair;
    std::memcpy(&pair, from, 4);
    return (__m512bh)_mm512_set1_epi32(pair);
  }
  static Vec<float> add(Vec<float> sum, Filters x, Filters w) {
    return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, x, w);
  }
};

// The products that suit a type of numbers.
template <class T>
using KindOf = std::conditional_t<std::is_same_v<T, BFloat16>, Pairs, Plain<SumOf<T>>>;
#else
template <class T>
using KindOf = Plain<SumOf<T>>;
#endif

// A register's worth of 16-bit numbers, and of the words that they are the upper halves of.
typedef uint16_t Halves __attribute__((vector_size(REGISTER_BYTES / 2), aligned(2), may_alias));
typedef uint32_t Words __attribute__((vector_size(REGISTER_BYTES)));

// Loads a register of sums' type from numbers as they are stored.
template <class T>
inline Vec<SumOf<T>> load_wide(const T* from) {
  if constexpr (std::is_same_v<T, SumOf<T>>) {
    return load(from);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return (Vec<float>)(__builtin_convertvector(*reinterpret_cast<const Halves*>(from), Words) << 16);
  } else {
    float values[LANES<float>];
    for (int i = 0; i < LANES<float>; i++) values[i] = widen(from[i]);
    return load(values);
  }
}

// The first `count` lanes; the rest are zero, and memory behind them is not read.
template <class T>
inline Vec<SumOf<T>> load_wide_part(const T* from, int count) {
  constexpr int WIDTH = LANES<SumOf<T>>;
  if (count >= WIDTH) return load_wide(from);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const uint32_t mask = (1u << count) - 1;
  if constexpr (std::is_same_v<T, float>) return (Vec<float>)_mm512_maskz_loadu_ps(mask, from);
  if constexpr (std::is_same_v<T, double>) return (Vec<double>)_mm512_maskz_loadu_pd(mask, from);
  if constexpr (std::is_same_v<T, BFloat16>) {
    const Words wide = (Words)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
    return (Vec<float>)(wide << 16);
  }
#endif
  T values[WIDTH] = {};
  std::memcpy(values, from, count * sizeof(T));
  return load_wide(values);
}

// Stores a register, rounded to the type that is stored.
template <class T>
inline void store_narrow(T* to, Vec<SumOf<T>> value) {
  if constexpr (std::is_same_v<T, SumOf<T>>) {
    store(to, value);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
#if defined(__AVX512BF16__)
    const __m256bh narrowed = _mm512_cvtneps_pbh((__m512)value);
    std::memcpy(to, &narrowed, sizeof narrowed);
    return;
#endif
    const Words bits = (Words)value;
    const Words rounded = bits + 0x7fff + (bits >> 16 & 1);  // to nearest, ties to even
    const Words kept = (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded;
    *reinterpret_cast<Halves*>(to) = __builtin_convertvector(kept >> 16, Halves);
  } else {
    float values[LANES<float>];
    store(values, value);
    for (int i = 0; i < LANES<float>; i++) to[i] = narrow(values[i], T{});
  }
}

// Lays pairs side by side: `to[i]` is first[i] and second[i].
inline void interleave(const BFloat16* first, const BFloat16* second, uint32_t* to, long count) {
  constexpr int WIDTH = LANES<uint32_t>;
  long i = 0;
  for (; i + WIDTH <= count; i += WIDTH) {
    auto words = [&](const BFloat16* from) {
      return __builtin_convertvector(*reinterpret_cast<const Halves*>(from + i), Words);
    };
    store(to + i, (Vec<uint32_t>)(words(first) | words(second) << 16));
  }
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  if (const uint32_t mask = (1u << (count - i)) - 1) {
    auto words = [&](const BFloat16* from) {
      return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + i));
    };
    _mm512_mask_storeu_epi32(
        to + i, mask, _mm512_or_si512(words(first), _mm512_slli_epi32(words(second), 16)));
  }
#else
  for (; i < count; i++) to[i] = first[i].bits | uint32_t(second[i].bits) << 16;
#endif
}

// Widens or copies `count` values.
template <class T, class Sum, class Count>
__attribute__((always_inline)) inline void widen_all(const T* from, Sum* to, Count count) {
  if constexpr (std::is_same_v<T, Sum>) {
    std::memcpy(to, from, count * sizeof(T));
  } else {
    long i = 0;
    for (; i + LANES<Sum> <= count; i += LANES<Sum>) store(to + i, load_wide(from + i));
    for (; i < count; i++) to[i] = widen(from[i]);
  }
}

// Writes the first `count` lanes, rounded to the type of `y`.
template <class T>
inline void write(T* y, Vec<SumOf<T>> value, int count) {
  constexpr int WIDTH = LANES<SumOf<T>>;
  if (count >= WIDTH) {
    store_narrow(y, value);
    return;
  }
  if (count <= 0) return;
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const uint32_t mask = (1u << count) - 1;
  if constexpr (std::is_same_v<T, float>) return _mm512_mask_storeu_ps(y, mask, (__m512)value);
  if constexpr (std::is_same_v<T, double>) return _mm512_mask_storeu_pd(y, mask, (__m512d)value);
#endif
  T values[WIDTH];
  store_narrow(values, value);
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  if constexpr (sizeof(T) == 2)
    return _mm256_mask_storeu_epi16(y, mask, _mm256_loadu_si256((const __m256i*)values));
#endif
  std::memcpy(y, values, count * sizeof(T));
}

// Writes a whole register past the cache, to an address that it divides. The cache would fetch from
// memory first what is overwritten; but what is read soon belongs into it.
template <class T>
inline void write_past(T* y, Vec<SumOf<T>> value) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return _mm512_stream_ps(y, (__m512)value);
  if constexpr (std::is_same_v<T, BFloat16>) {
    alignas(32) BFloat16 narrowed[LANES<float>];
    store_narrow(narrowed, value);
    return _mm256_stream_si256((__m256i*)y, _mm256_load_si256((const __m256i*)narrowed));
  }
#endif
  store_narrow(y, value);
}

// What was written past the cache is seen by other threads.
inline void settle() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// Whether results go past the cache: they fill it, and are whole lines of it.
constexpr long PAST_BYTES = 32 << 20;  // a third-level cache
template <class T>
inline bool past_cache(const T* y, long pixel, long values) {
  return values * (long)sizeof(T) > PAST_BYTES && pixel % LANES<SumOf<T>> == 0 &&
         reinterpret_cast<uintptr_t>(y) % REGISTER_BYTES == 0;
}

}  // namespace hw2

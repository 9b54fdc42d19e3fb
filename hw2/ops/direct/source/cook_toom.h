// The matrices of Winograd's convolution, computed by the compiler.
#pragma once

namespace hw2 {

constexpr int TAPS = 3;

// The finite points where the polynomials are multiplied; infinity is the last. hw2/ops/winograd.py
// tells where they come from.
template <int M>
struct Points;
template <>
struct Points<2> { static constexpr double AT[] = {0, 1, -1}; };
template <>
struct Points<3> { static constexpr double AT[] = {0, -1, 2, 0.5}; };
template <>
struct Points<4> { static constexpr double AT[] = {0, 1, -1, 2, -0.5}; };
template <>
struct Points<5> { static constexpr double AT[] = {0, 1, -1, -2, -0.5, 0.75}; };

template <int ROWS, int COLUMNS>
struct Matrix {
  double at[ROWS][COLUMNS] = {};
};

// The matrices of F(m, 3): outputs are output . ((filter . w) * (input . x)). Source: Blahut, "Fast
// Algorithms for Signal Processing", 2010, chapter 5.
template <int M>
struct CookToom {
  static constexpr int P = M + TAPS - 1;
  Matrix<M, P> output;
  Matrix<P, TAPS> filter;
  Matrix<P, P> input;

  constexpr CookToom() {
    for (int p = 0; p < P - 1; p++) {
      const double x = Points<M>::AT[p];
      double scale = 1, power = 1;
      for (int q = 0; q < P - 1; q++)
        if (q != p) scale *= x - Points<M>::AT[q];
      for (int i = 0; i < M; i++, power *= x) output.at[i][p] = power;
      power = 1;
      for (int i = 0; i < TAPS; i++, power *= x) filter.at[p][i] = power / scale;
    }
    output.at[M - 1][P - 1] = filter.at[P - 1][TAPS - 1] = 1;
    for (int p = 0; p < P; p++) {  // the polynomial whose roots are the other points
      input.at[p][0] = 1;
      for (int q = 0, degree = 0; q < P - 1; q++) {
        if (q == p) continue;
        degree++;
        for (int i = degree; i >= 0; i--)
          input.at[p][i] =
              (i ? input.at[p][i - 1] : 0) - Points<M>::AT[q] * (i < degree ? input.at[p][i] : 0);
      }
    }
  }
};
template <int M>
constexpr CookToom<M> COOK_TOOM{};

}  // namespace hw2

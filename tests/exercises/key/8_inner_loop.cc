constexpr int ROWS = 6, COLUMNS = 16;

extern "C" void inner_loop(const float* patches, long patch_row, const float* filters,
                           float* result, long result_row, long taps) {
  float sums[ROWS][COLUMNS] = {};
  for (long t = 0; t < taps; ++t)
    for (int i = 0; i < ROWS; ++i)
      for (int j = 0; j < COLUMNS; ++j)
        sums[i][j] += patches[i * patch_row + t] * filters[t * COLUMNS + j];
  for (int i = 0; i < ROWS; ++i)
    for (int j = 0; j < COLUMNS; ++j) result[i * result_row + j] += sums[i][j];
}

// Winograd convolution, compiled for each size of tile.
#include "winograd.h"

namespace hw2 {

EACH_NUMBER(, 2)
EACH_NUMBER(, 3)
EACH_NUMBER(, 4)
EACH_NUMBER(, 5)

}  // namespace hw2

// How operands are laid out for the inner loops, which read them straight on.
#pragma once

#include "ahead.h"
#include "geometry.h"
#include "product.h"

namespace hw2 {

// How filters are cut into panels of registers.
struct Panels {
  int filters, columns;  // all of them; registers of a panel
  int registers, count;  // all of them, the last one perhaps not full; panels
  int lanes;

  Panels(int filters, int columns, int lanes)
      : filters(filters), columns(columns), registers((filters + lanes - 1) / lanes),
        count((registers + columns - 1) / columns), lanes(lanes) {}
  int first(int panel) const { return panel * columns * lanes; }
  int width(int panel) const { return std::min(columns, registers - panel * columns); }
};

// Channels of a pixel in a frame. For products of pairs, an odd number of channels is rounded up,
// and the added channel is zero.
template <class Kind>
constexpr int framed(int channels) {
  return (channels + Kind::DEPTH - 1) / Kind::DEPTH * Kind::DEPTH;
}

// How far neighbours are along each axis of the filters, in values; what is filters to the forward
// pass is channels to its gradient.
struct FilterSteps {
  long tap, channel, filter;
};

// Packs filters of a panel for `windows`: [taps, channels / DEPTH, registers, lanes, DEPTH].
template <class Kind, class T>
void pack(const Panels& panels, int panel, const std::vector<Tap>& taps, int channels,
          const T* filters, const FilterSteps& steps, typename Kind::Value* to) {
  using Value = typename Kind::Value;
  constexpr int D = Kind::DEPTH, SOME = LINE / sizeof(T);
  const int width = panels.width(panel) * panels.lanes, first = panels.first(panel);
  const int real = std::min(width, panels.filters - first);
  const size_t step = (size_t)width * D;
  to += (size_t)first * taps.size() * framed<Kind>(channels);
  auto put = [&](const T* from, int c, int o) {
    if constexpr (std::is_same_v<T, Value>)
      to[c / D * step + o * D + c % D] = *from;
    else
      to[c / D * step + o * D + c % D] = widen(*from);
  };
  for (const Tap& tap : taps) {
    std::memset(to, 0, framed<Kind>(channels) / D * step * sizeof(Value));
    const T* from = filters + tap.filter * steps.tap + first * steps.filter;
    if (steps.filter == 1)
      for (int c = 0; c < channels; c++)
        for (int o = 0; o < real; o++) put(from + c * steps.channel + o, c, o);
    else  // the values of a line of the cache are channels
      for (int begin = 0; begin < channels; begin += SOME)
        for (int o = 0; o < real; o++)
          for (int c = begin; c < std::min(begin + SOME, channels); c++)
            put(from + c * steps.channel + o * steps.filter, c, o);
    to += framed<Kind>(channels) / D * step;
  }
}

// Packs `width` values of each of some pixels, from the `first` on, by tiles of so many values:
// [pixels / DEPTH][tile] each, `tile_step` apart, with zeros behind the width up to `padded`. Each
// pixel is read once, straight on. The last pixel of a pair may not be there.
template <class Kind, class T>
void pack_pixels(const T* const* pixels, int count, int first, int width, int padded, int tile,
                 long tile_step, typename Kind::Factor* packed) {
  using Factor = typename Kind::Factor;
  constexpr int W = LANES<Factor>;
  for (int p = 0; p < count; p += Kind::DEPTH)
    for (int k = 0; k < padded; k += tile) {
      const T* from = pixels[p] + first + k;
      const int there = std::min(tile, width - k), all = std::min(tile, padded - k);
      Factor* to = packed + k / tile * tile_step + p / Kind::DEPTH * all;
      if constexpr (Kind::DEPTH == 1) {
        for (int i = 0; i < all; i += W)
          write(to + i, load_wide_part(from + i, std::max(there - i, 0)), all - i);
      } else {
        if (p + 1 < count)
          interleave(from, pixels[p + 1] + first + k, to, there);
        else
          for (int i = 0; i < there; i++) to[i] = from[i].bits;
        if (there < all) std::fill(to + there, to + all, Factor(0));
      }
    }
}

}  // namespace hw2

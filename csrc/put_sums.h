// From finished sums of pixels, one vector of channels each, or some, to the caller's map.
#pragma once

#include "store.h"
#include "sum_blocks.h"

namespace roipool::ROIPOOL_ISA {

// One by one, where neither channels nor pixels lie side by side, as in maps of which each bin has
// its own channels and these lie last.
template <class D, int Vectors>
void put_apart(const SumBlock& block, typename D::Bits* first, const Strides& strides) {
  using Key = typename D::Key;
  constexpr int n = kLanes<Key>;
  const auto* from = static_cast<const Key*>(block.pixels);
  for (int64_t y = 0; y < block.box.height(); ++y, from += n * Vectors)
    for (int64_t x = 0; x < block.box.width(); ++x, from += n * Vectors) {
      auto* const to = first + y * strides.row + x * strides.column;
      for (int c = 0; c < block.channels; c += n) {
        const auto rounded = D::round(load(from + c));
        const auto bits = D::decode(__builtin_convertvector(rounded, Vec<typename D::Bits, n>));
        for (int i = 0; i < n && c + i < block.channels; ++i)
          to[(c + i) * strides.channel] = bits[i];
      }
    }
}

template <class D, int Vectors = 1>
void put_sums(const SumBlock& block, void* first, Strides strides, bool around_caches) {
  using Key = typename D::Key;
  constexpr int n = kLanes<Key>, pixel = n * Vectors;
  constexpr int64_t most = kTile / Vectors;
  const ExactFloats exact;
  if (strides.channel != 1 && strides.column != 1)
    return put_apart<D, Vectors>(block, static_cast<typename D::Bits*>(first), strides);
  const Box& box = block.box;
  const int64_t width = box.width();
  Vec<Key> values[Vectors * most];
  Writer<D, Key, Vectors> writer(around_caches);
  // Rows that follow each other in memory are one long row.
  const int64_t row = strides.row == width * strides.column ? box.area() : width;
  for (int64_t at = 0, size; at < box.area(); at += size) {
    const int64_t left = row - at % row, y = at / width;
    size = left < most ? left : most;
    int64_t x = at % width;
    const Key* from = static_cast<const Key*>(block.pixels) + (y * packed_pitch(box) + x) * pixel;
    auto* const to = static_cast<typename D::Bits*>(first) + y * strides.row + x * strides.column;
    for (int64_t i = 0; i < size; ++i, from += pixel) {
      for (int v = 0; v * n < block.channels; ++v)
        values[v * size + i] = D::round(load(from + v * n));
      if (++x == width) x = 0, from += pixel;
    }
    writer.take(values, size, block.channels, {strides.channel, strides.column}, to);
  }
  writer.finish();
  if (around_caches) finish_streaming();
}

// What kernels of any structure have that hold so many vectors a pixel; the rest is theirs to say.
template <class D, int Vectors = 1>
SumKernels packing_kernels() {
  SumKernels kernels{};
  kernels.vector = kLanes<typename D::Sum>;
  kernels.lanes = kernels.vector * Vectors;
  kernels.pixel_bytes = kBlockBytes * Vectors;
  kernels.pack = pack_pixels<D, Vectors>;
  kernels.put = put_sums<D, Vectors>;
  return kernels;
}

}  // namespace roipool::ROIPOOL_ISA

// The transpose of max pooling: each output's gradient added where its maximum stood.
#pragma once

#include <cstddef>

#include "half.h"
#include "kernels.h"

namespace roipool::ROIPOOL_ISA {

// Asks for memory that is needed soon: processors foresee the rest of a long stretch, but not where
// the next one begins.
inline void ask_for(const void* start, int64_t bytes) {
  constexpr int64_t kLine = 64, kFirst = 16 * kLine;
  for (int64_t at = 0; at < bytes && at < kFirst; at += kLine)
    __builtin_prefetch(static_cast<const char*>(start) + at);
}

// Regions run outermost: a region's gradients for these channels lie near each other in memory.
// `Last` tells whether the sums of a pixel's channels lie side by side, or those of a plane's
// pixels.
template <class G, class Position, bool Last>
bool add_at_argmax(const Pooled& pooled, const int64_t* list, int64_t count, int64_t channels,
                   const Pixels& pixels, typename G::Sum* sums) {
  const int64_t pixel = Last ? channels : 1, channel = Last ? 1 : pixels.count;
  const auto* const grad = static_cast<const typename G::Stored*>(pooled.grad);
  const auto* const argmax = static_cast<const Position*>(pooled.argmax);
  const int64_t stretch = channels * pooled.bins;
  bool inside = true;
  for (int64_t i = 0; i < count; ++i) {
    if (i + 1 < count) {
      ask_for(grad + list[i + 1] * pooled.region, stretch * int64_t(sizeof *grad));
      ask_for(argmax + list[i + 1] * pooled.region, stretch * int64_t(sizeof *argmax));
    }
    const auto* g = grad + list[i] * pooled.region;
    const auto* a = argmax + list[i] * pooled.region;
    for (int64_t c = 0; c < channels; ++c, g += pooled.steps.channel, a += pooled.bins)
      for (int64_t b = 0; b < pooled.bins; ++b) {
        const int64_t at = int64_t(a[b]) - pixels.first;
        if (uint64_t(at) < uint64_t(pixels.count))
          sums[c * channel + at * pixel] += G::widen(g[b * pooled.steps.bin]);
        else
          inside &= a[b] == -1 || uint64_t(a[b]) < uint64_t(pixels.plane);
      }
  }
  return inside;
}

template <class G, class Position>
bool scatter_max(const Pooled& pooled, const int64_t* list, int64_t count, int64_t channels,
                 const Pixels& pixels, const GradData& grad_data) {
  using Stored = typename G::Stored;
  using Sum = typename G::Sum;
  const ExactFloats exact;
  Stored* const out = static_cast<Stored*>(grad_data.first);
  void* const memory = grad_data.scratch ? grad_data.scratch : grad_data.first;
  Sum* const sums = static_cast<Sum*>(memory);
  __builtin_memset(sums, 0, std::size_t(channels * pixels.count) * sizeof(Sum));
  if (grad_data.pitch) {
    const bool inside =
        add_at_argmax<G, Position, true>(pooled, list, count, channels, pixels, sums);
    for (int64_t at = 0; at < pixels.count; ++at)
      for (int64_t c = 0; c < channels; ++c)
        out[at * grad_data.pitch + c] = G::round(sums[at * channels + c]);
    return inside;
  }
  const bool inside =
      add_at_argmax<G, Position, false>(pooled, list, count, channels, pixels, sums);
  for (int64_t c = 0; grad_data.scratch && c < channels; ++c)
    for (int64_t at = 0; at < pixels.count; ++at)
      out[c * pixels.plane + at] = G::round(sums[c * pixels.count + at]);
  return inside;
}

}  // namespace roipool::ROIPOOL_ISA

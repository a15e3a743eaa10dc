// Reads feature maps at each argmax: the tangent of max pooling, and the transpose of its gradient.
#include <atomic>

#include "call.h"
#include "max_pool.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kChannels = 64;         // of a region, read in one task
constexpr int64_t kReadsPerThread = 1e4;  // fewer are done sooner alone

// One region's reads; positions lie with a channel's bins side by side.
struct Reads {
  Map map;
  const void* argmax;
  void* pooled;
  Steps steps;
  int64_t channels, bins;
};

template <class Bits, class Position>
bool read(const Reads& reads) {
  const Map& map = reads.map;
  const bool one_row = map.strides.row == map.width * map.strides.column;
  bool inside = true;
  for (int64_t c = 0; c < reads.channels; ++c) {
    const Bits* const plane = reinterpret_cast<const Bits*>(map.start) + c * map.strides.channel;
    const Position* const argmax = static_cast<const Position*>(reads.argmax) + c * reads.bins;
    Bits* const pooled = static_cast<Bits*>(reads.pooled) + c * reads.steps.channel;
    for (int64_t b = 0; b < reads.bins; ++b) {
      const int64_t at = argmax[b];
      Bits value{};
      if (uint64_t(at) < uint64_t(map.plane()))
        value =
            plane[one_row ? at * map.strides.column
                          : at / map.width * map.strides.row + at % map.width * map.strides.column];
      else
        inside &= at == -1;
      pooled[b * reads.steps.bin] = value;
    }
  }
  return inside;
}

template <class Bits>
auto reader_of(bool wide) {
  return wide ? read<Bits, int64_t> : read<Bits, int32_t>;
}

auto reader(int64_t itemsize, bool wide) {
  switch (itemsize) {
    case 1: return reader_of<int8_t>(wide);
    case 2: return reader_of<int16_t>(wide);
    case 4: return reader_of<int32_t>(wide);
    default: return reader_of<int64_t>(wide);
  }
}

}  // namespace

bool max_read_call(const Call& call) {
  const Array &image = call.input(1), &argmax = call.input(2), &pooled = *call.result(0);
  const int64_t channels = pooled.shape[1], bins = pooled.shape[2] * pooled.shape[3];
  const Maps maps = maps_of(call.inputs[0], call.dtype);
  const int32_t* const images = whole_numbers(image);
  const char* const positions = static_cast<const char*>(argmax.start);
  const int64_t bytes = size_of(call.dtype);
  const auto read = reader(bytes, argmax.itemsize == 8);
  const Steps steps = steps_of(is_channels_last(pooled), channels, bins);
  const int64_t groups = ceil_div(channels, kChannels), count = pooled.shape[0] * groups;
  const int64_t most = 1 + pooled.shape[0] * channels * bins / kReadsPerThread;
  const int threads = int(std::min<int64_t>(threads_or_default(call.threads), most));
  std::atomic<bool> inside{true};
  parallel_for(threads, count, [&](int64_t task, int) {
    const int64_t k = task / groups, c = task % groups * kChannels;
    Reads reads{
        {},
        positions + (k * channels + c) * bins * argmax.itemsize,
        static_cast<char*>(pooled.start) + (k * channels * bins + c * steps.channel) * bytes,
        steps,
        std::min(kChannels, channels - c),
        bins};
    if (images[k] >= 0) {
      reads.map = maps.at(images[k]);
      reads.map.start += c * reads.map.strides.channel * bytes;
    }
    if (!read(reads) && images[k] >= 0) inside = false;
  });
  return inside;
}

}  // namespace roipool

// Calls of the kernels of points: unpacked, and divided among threads.
#include "points.h"

#include <cstring>
#include <stdexcept>
#include <string>

#include "call.h"
#include "isa.h"
#include "max_pool.h"
#include "memory.h"
#include "regions.h"

namespace roipool {
namespace {

constexpr int64_t kChannels = 16;        // of a region, read in one task
constexpr int64_t kPlanes = 2;           // of an image, summed in one task
constexpr double kReadsPerThread = 3e4;  // fewer are done sooner alone

class PointCall {
 public:
  // The weights are left out where they are the result.
  PointCall(const Call& call, const Operand& maps, const Array& pooled, const Array* weight)
      : dtype_(call.dtype),
        regions_(call.input(2).shape[0]),
        channels_(pooled.shape[1]),
        maps_(maps_of(maps, channels_, dtype_)),
        image_(whole_numbers(call.input(2))),
        pooled_(static_cast<char*>(pooled.start)),
        kernels_(chosen_isa().points(dtype_)) {
    const Array &bins = call.input(3), &y = call.input(4), &x = call.input(5);
    const Array& weighed = weight ? *weight : *call.result(0);
    if (pooled.axes != 4 || pooled.shape[0] != regions_ || pooled.itemsize != size_of(dtype_) ||
        bins.axes != 4 || bins.shape[0] != regions_ || bins.shape[1] != pooled.shape[2] ||
        bins.shape[2] != pooled.shape[3] || bins.shape[3] != 2)
      throw std::invalid_argument("expected points of each region's bins, (K, h, w, 2)");
    for (const Array* list : {&y, &x, &weighed})
      if (list->axes != 1 || list->shape[0] != y.shape[0])
        throw std::invalid_argument("expected pixels and weights of as many points");
    if (weighed.itemsize != (dtype_ == DType::float64 ? 8 : 4))
      throw std::invalid_argument("expected weights of the type of sums");
    points_ = {whole_numbers(bins), pooled.shape[2] * pooled.shape[3], whole_numbers(y),
               whole_numbers(x), contiguous(weighed)};
    steps_ = steps_of(channels_last(pooled), channels_, points_.count);
    refuse_outside(y.shape[0]);
    const double work = double(y.shape[0]) * double(channels_);
    threads_ = int(std::min(double(threads_or_default(call.threads)), 1 + work / kReadsPerThread));
  }

  void read() const {
    each_region([&](int64_t k, const PointOperands& some) { kernels_.read(points_, k, some); },
                [&](const PointOperands& some) {
                  for (int64_t c = 0; c < some.channels; ++c)
                    for (int64_t b = 0; b < points_.count; ++b)
                      std::memset(static_cast<char*>(some.pooled) +
                                      (c * steps_.channel + b * steps_.bin) * size_of(dtype_),
                                  0, std::size_t(size_of(dtype_)));
                });
  }

  void add() const {
    const RegionsByImage by_image(image_, regions_, maps_.images());
    const int64_t groups = ceil_div(channels_, kPlanes);
    int64_t most = 0;
    for (const MapArray& array : maps_.arrays()) most = std::max(most, array.plane());
    const int64_t bytes = bytes_of(most * kPlanes, dtype_ == DType::float64 ? 8 : 4);
    const Workspace memory(bytes_of(bytes, threads_));
    parallel_for(threads_, maps_.images() * groups, [&](int64_t task, int worker) {
      const int64_t image = task / groups, channel = task % groups * kPlanes;
      void* const sums = memory.at(worker * bytes);
      std::memset(sums, 0, std::size_t(bytes));
      PointOperands some = operands(image, 0, channel);
      some.channels = std::min(kPlanes, channels_ - channel);
      for (int64_t i = 0; i < by_image.count(image); ++i) {
        const int64_t k = by_image.list(image)[i];
        some.pooled = operands(image, k, channel).pooled;
        kernels_.add(points_, k, some, sums);
      }
      kernels_.put(some, sums);
    });
  }

  void weigh(const Array& weights) const {
    std::memset(weights.start, 0, std::size_t(weights.shape[0] * weights.itemsize));
    parallel_for(threads_, regions_, [&](int64_t k, int) {
      if (image_[k] < 0) return;
      PointOperands all = operands(image_[k], k, 0);
      all.channels = channels_;
      kernels_.weigh(points_, k, all, weights.start);
    });
  }

 private:
  void refuse_outside(int64_t entries) const {
    for (int64_t i = 0; i < 2 * regions_ * points_.count; ++i)
      if (points_.bins[i] < 0 || points_.bins[i] > entries)
        throw std::invalid_argument("a bin has points from " + std::to_string(points_.bins[i]) +
                                    " of " + std::to_string(entries));
    for (int64_t k = 0; k < regions_; ++k)
      if (image_[k] >= maps_.images())
        throw std::invalid_argument("a region is on image " + std::to_string(image_[k]) + " of " +
                                    std::to_string(maps_.images()));
  }

  PointOperands operands(int64_t image, int64_t region, int64_t channel) const {
    const int64_t bytes = size_of(dtype_);
    const Map map = maps_.at(image);
    const int64_t at = region * channels_ * points_.count + channel * steps_.channel;
    return {map.start + channel * map.strides.channel * bytes,
            map.height,
            map.width,
            map.strides,
            pooled_ + at * bytes,
            steps_,
            std::min(kChannels, channels_ - channel)};
  }

  template <class Region, class None>
  void each_region(const Region& of_region, const None& of_none) const {
    const int64_t groups = ceil_div(channels_, kChannels);
    parallel_for(threads_, regions_ * groups, [&](int64_t task, int) {
      const int64_t k = task / groups, channel = task % groups * kChannels;
      if (image_[k] >= 0) return of_region(k, operands(image_[k], k, channel));
      const int64_t at = k * channels_ * points_.count + channel * steps_.channel;
      of_none({nullptr,
               0,
               0,
               {},
               pooled_ + at * size_of(dtype_),
               steps_,
               std::min(kChannels, channels_ - channel)});
    });
  }

  const DType dtype_;
  const int64_t regions_, channels_;
  const Maps maps_;
  const int32_t* const image_;
  char* const pooled_;
  const PointKernels kernels_;
  Points points_{};
  Steps steps_{};
  int threads_ = 1;
};

}  // namespace

bool points_read_call(const Call& call) {
  PointCall(call, call.inputs[0], *call.result(0), &call.input(1)).read();
  return true;
}

bool points_add_call(const Call& call) {
  PointCall(call, call.results[0], call.input(0), &call.input(1)).add();
  return true;
}

bool points_weigh_call(const Call& call) {
  PointCall(call, call.inputs[1], call.input(0), nullptr).weigh(*call.result(0));
  return true;
}

}  // namespace roipool

// The loops of points, compiled once per instruction set: a channel at a time.
#include <stdexcept>

#include "half.h"
#include "points.h"

namespace roipool::ROIPOOL_ISA {
namespace {

// Calls body(point, bin, pixel's place in the map) for each of a region's points on the map.
template <class Body>
ROIPOOL_INLINE void each_point(const Points& points, int64_t region, const PointOperands& map,
                               int64_t row, int64_t column, const Body& body) {
  const int32_t* const bins = points.bins + region * points.count * 2;
  for (int64_t b = 0; b < points.count; ++b)
    for (int64_t s = bins[2 * b]; s < bins[2 * b + 1]; ++s) {
      const int64_t y = points.y[s], x = points.x[s];
      if (uint64_t(y) < uint64_t(map.height) && uint64_t(x) < uint64_t(map.width))
        body(s, b, y * row + x * column);
    }
}

template <class D>
struct PointLoops {
  using Stored = typename D::Stored;
  using Sum = typename D::Sum;

  static void read(const Points& points, int64_t region, const PointOperands& call) {
    const auto* const weight = static_cast<const Sum*>(points.weight);
    for (int64_t c = 0; c < call.channels; ++c) {
      const Stored* const plane = static_cast<const Stored*>(call.first) + c * call.strides.channel;
      Stored* const pooled = static_cast<Stored*>(call.pooled) + c * call.steps.channel;
      int64_t bin = 0;
      Sum sum = 0;
      const auto put_up_to = [&](int64_t b) {
        for (; bin < b; ++bin, sum = 0) pooled[bin * call.steps.bin] = D::round(sum);
      };
      each_point(points, region, call, call.strides.row, call.strides.column,
                 [&](int64_t s, int64_t b, int64_t at) {
                   put_up_to(b);
                   if (weight[s] != 0) sum += weight[s] * Sum(D::widen(plane[at]));
                 });
      put_up_to(points.count);
    }
  }

  static void add(const Points& points, int64_t region, const PointOperands& call, void* sums) {
    const auto* const weight = static_cast<const Sum*>(points.weight);
    for (int64_t c = 0; c < call.channels; ++c) {
      Sum* const plane = static_cast<Sum*>(sums) + c * call.height * call.width;
      const Stored* const pooled = static_cast<const Stored*>(call.pooled) + c * call.steps.channel;
      each_point(points, region, call, call.width, 1, [&](int64_t s, int64_t b, int64_t at) {
        if (weight[s] != 0) plane[at] += weight[s] * Sum(D::widen(pooled[b * call.steps.bin]));
      });
    }
  }

  static void put(const PointOperands& call, const void* sums) {
    for (int64_t c = 0; c < call.channels; ++c) {
      const Sum* from = static_cast<const Sum*>(sums) + c * call.height * call.width;
      Stored* const plane = static_cast<Stored*>(call.first) + c * call.strides.channel;
      for (int64_t y = 0; y < call.height; ++y)
        for (int64_t x = 0; x < call.width; ++x)
          plane[y * call.strides.row + x * call.strides.column] = D::round(*from++);
    }
  }

  static void weigh(const Points& points, int64_t region, const PointOperands& call,
                    void* weights) {
    each_point(points, region, call, call.strides.row, call.strides.column,
               [&](int64_t s, int64_t b, int64_t at) {
                 const Stored* plane = static_cast<const Stored*>(call.first) + at;
                 const Stored* pooled =
                     static_cast<const Stored*>(call.pooled) + b * call.steps.bin;
                 Sum sum = 0;
                 for (int64_t c = 0; c < call.channels; ++c)
                   sum += Sum(D::widen(pooled[c * call.steps.channel])) *
                          Sum(D::widen(plane[c * call.strides.channel]));
                 static_cast<Sum*>(weights)[s] = sum;
               });
  }

  static constexpr PointKernels kernels{read, add, put, weigh};
};

}  // namespace

PointKernels point_kernels(DType dtype) {
  switch (dtype) {
    case DType::float16: return PointLoops<Half>::kernels;
    case DType::bfloat16: return PointLoops<Brain>::kernels;
    case DType::float32: return PointLoops<Plain<float>>::kernels;
    case DType::float64: return PointLoops<Plain<double>>::kernels;
    default: throw std::invalid_argument("points take floating features");
  }
}

}  // namespace roipool::ROIPOOL_ISA

// The taps of geometry/areas.py: whole pixels, each of the same weight in its bin.
#include "find_taps.h"
#include "inclusive_bins.h"

namespace roipool {
namespace {

struct Even : TapConvention {
  static constexpr bool kMoves = false;
  template <class F>
  using Term = double;  // which holds what either type of sums rounds to
  bool in_double;
  explicit Even(const Listing& call) : in_double(call.sums_in_double) {}
};

// Edges says where bins begin and end.
template <class Edges>
class EvenBins {
 public:
  template <class F>
  EvenBins(const Even& options, const Side<F>& side)
      : edges_(side.begin, side.end, side.length, side.bins), in_double_(options.in_double) {}

  void add(int64_t bin, Taps<double, 1>& taps) const {
    const int32_t begin = edges_.begin(bin), end = edges_.end(bin);
    const double weight = in_double_ ? 1 / double(end - begin) : 1 / float(end - begin);
    for (int32_t pixel = begin; pixel < end; ++pixel) taps.add({pixel, {weight}});
  }

 private:
  const Edges edges_;
  const bool in_double_;
};

struct Average : Even {
  using Even::Even;
  template <class F>
  using Scale = float;
  template <class F, int>
  using Bins = EvenBins<InclusiveBins<F>>;
};

template <class F>
class RfcnEdges {
 public:
  RfcnEdges(F begin, F end, int64_t length, int64_t count)
      : begin_(begin), step_(std::max(end - begin, F(0.1)) / F(count)), length_(length) {}

  int32_t begin(int64_t p) const { return from_pixel(F(0), std::floor(edge(p)), length_); }
  int32_t end(int64_t p) const { return from_pixel(F(0), std::ceil(edge(p + 1)), length_); }

 private:
  F edge(int64_t p) const { return F(p) * step_ + begin_; }
  const F begin_, step_;
  const int64_t length_;
};

// Corners in whole pixels of the image, both inclusive.
struct WholeCorners : Corners {
  template <class F>
  static F first(F corner) {
    return std::round(corner);
  }
  template <class F>
  static F last(F corner) {
    return std::round(corner) + 1;
  }
};

struct Rfcn : Even {
  using Even::Even;
  using Corners = WholeCorners;
  template <class F, int>
  using Bins = EvenBins<RfcnEdges<F>>;
};

template <class F>
class TorchvisionEdges {
 public:
  TorchvisionEdges(F begin, F end, int64_t length, int64_t count)
      : begin_(std::round(begin)),
        step_(std::max(std::round(end) - begin_, F(1)) / F(count)),
        last_(std::max<int64_t>(length - 1, 0)) {}

  int32_t begin(int64_t p) const { return from_pixel(begin_, std::floor(F(p) * step_), last_); }
  int32_t end(int64_t p) const { return from_pixel(begin_, std::ceil(F(p + 1) * step_), last_); }

 private:
  const F begin_, step_;
  const int64_t last_;
};

struct Torchvision : Even {
  using Even::Even;
  template <class F, int>
  using Bins = EvenBins<TorchvisionEdges<F>>;
};

}  // namespace

bool average_taps(const Listing& call) { return find_taps<Average>(call); }

bool position_sensitive_taps(const Listing& call) {
  return call.options[0] ? find_taps<Rfcn>(call) : find_taps<Torchvision>(call);
}

}  // namespace roipool

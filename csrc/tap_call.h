// A call of a kernel that goes by taps, unpacked.
#pragma once

#include "sum_plan.h"
#include "taps.h"

namespace roipool {

// Which pixels are held: those of taps with a weight, or, as where weights are the result, of all.
enum class Cover { weighty, all };

class TapCall : public SumCall {
 public:
  // The inputs are those of kernels.py: the image, and from where on the taps are. A weight that is
  // the result is left out.
  TapCall(const Call&, const Operand& maps, const Array& pooled, const Array* y_weight,
          const Array* x_weight, int image, int taps, Cover = Cover::weighty);

  const Taps& structure() const override { return taps_; }
  SumKernels kernels(const Isa& isa) const override { return isa.taps(dtype); }
  int64_t entries() const override { return entries_; }
  Need need(int64_t region, const Map&) const override;

 private:
  const Cover cover_;
  const int64_t entries_;
  const Taps taps_;
};

}  // namespace roipool

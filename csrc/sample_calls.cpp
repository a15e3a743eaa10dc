// Calls of the kernels of samples, unpacked.
#include <algorithm>
#include <stdexcept>

#include "samples.h"
#include "tap_call.h"
#include "threads.h"

namespace roipool {
namespace {

constexpr int64_t kReadsPerThread = 1e4;  // fewer are done sooner alone

class SampleCall : public TapCall {
 public:
  // Of winners, which are int32 in the shape of pooled values, there may be none.
  SampleCall(const TapCall& taps, const Array* winners, SumKernels SampleKernels::* sums)
      : TapCall(taps), sums_(sums), samples_{TapCall::structure(), nullptr, &unknown_} {
    if (winners) samples_.winners = static_cast<int32_t*>(winners->start);
  }
  SampleCall(const SampleCall&) = delete;

  const Samples& structure() const override { return samples_; }
  SumKernels kernels(const Isa& isa) const override { return isa.samples(dtype).*sums_; }

  Need need(int64_t k, const Map& map) const override {
    const Need need = TapCall::need(k, map);
    if (double(need.lists.most_y / 2) * double(need.lists.most_x / 2) > INT32_MAX)
      throw std::invalid_argument("a bin has more samples than int32 can count");
    return need;
  }

  bool known() const { return !unknown_; }

 private:
  SumKernels SampleKernels::* const sums_;
  bool unknown_ = false;
  Samples samples_;
};

void* zeros_of(const Array* weights) {
  if (!weights) return nullptr;
  std::fill_n(static_cast<char*>(weights->start), weights->shape[0] * weights->itemsize, 0);
  return weights->start;
}

// A task sums those of a region, whose taps are its own.
bool weigh(const SampleCall& call, const Array* y, const Array* x) {
  const Weighed sums{{zeros_of(y), zeros_of(x)}, 0};
  if (call.regions * call.channels * call.bins() == 0) return true;
  const SumPlan plan = plan_sums(call);
  const SampleKernels kernels = chosen_isa().samples(call.dtype);
  const int64_t most = 1 + call.regions * call.channels * call.bins() / kReadsPerThread;
  const int threads = int(std::min({int64_t(call.threads), most, call.regions}));
  const int64_t bytes = kernels.lists_bytes(plan.most);
  const Workspace memory(bytes_of(bytes, threads));
  parallel_for(threads, call.regions, [&](int64_t k, int worker) {
    if (call.image[k] < 0) return;
    const Map map = call.maps.at(call.image[k]);
    kernels.weigh({map.start, map.height, map.width, map.strides}, int(call.channels),
                  {&call.structure(), &k, 1, plan.reach.data()}, call.pooled, sums,
                  memory.at(worker * bytes));
  });
  return call.known();
}

}  // namespace

bool samples_max_call(const Call& call) {
  const Array& pooled = *call.result(0);
  const SampleCall samples(
      TapCall(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3, 4), call.result(1),
      &SampleKernels::max);
  if (int32_t* const winners = samples.structure().winners)
    for (const int64_t k : samples.by_image.none())
      std::fill_n(winners + k * samples.pooled.region, samples.pooled.region, -1);
  return read_sums(samples);
}

bool samples_read_call(const Call& call) {
  const Array& pooled = *call.result(0);
  const SampleCall samples(
      TapCall(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3, 5), &call.input(4),
      &SampleKernels::read);
  read_sums(samples);
  return samples.known();
}

bool samples_add_call(const Call& call) {
  const Array& pooled = call.input(0);
  const SampleCall samples(
      TapCall(call, call.results[0], pooled, &call.input(1), &call.input(2), 3, 5), &call.input(4),
      &SampleKernels::add);
  add_sums(samples);
  return samples.known();
}

bool samples_weigh_y_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps(call, call.inputs[1], pooled, nullptr, &call.input(2), 3, 5);
  return weigh({taps, &call.input(4), &SampleKernels::add}, call.result(0), nullptr);
}

bool samples_weigh_x_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps(call, call.inputs[1], pooled, &call.input(2), nullptr, 3, 5);
  return weigh({taps, &call.input(4), &SampleKernels::add}, nullptr, call.result(0));
}

bool samples_weigh_call(const Call& call) {
  const Array& pooled = call.input(0);
  const TapCall taps(call, call.inputs[1], pooled, &call.input(2), &call.input(3), 4, 6,
                     Cover::all);
  return weigh({taps, &call.input(5), &SampleKernels::add}, call.result(0), call.result(1));
}

}  // namespace roipool

// Reads feature maps at taps: each thread packs blocks of channels of its own and reduces regions
// from them; where there is no room for that, it reads the caller's map.
#include <algorithm>
#include <cstring>

#include "tap_plan.h"
#include "threads.h"

namespace roipool {

bool taps_read_call(const Call& call) {
  const Array& pooled = *call.result(0);
  const TapCall taps = tap_call(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3);
  if (taps.regions * taps.channels * taps.bins() == 0) return true;
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  const TapKernels kernels = tap_kernels_for(taps);
  const int64_t blocks = ceil_div(taps.channels, kernels.lanes);
  TapPlan plan = plan_taps(taps, by_image, {});
  int threads = threads_for(taps, plan.work * double(blocks));
  split_pieces(plan.pieces, blocks, threads);

  const int64_t row = taps.pooled.region * size_of(taps.dtype);
  for (const int64_t k : by_image.none())
    std::memset(static_cast<char*>(taps.pooled.first) + k * row, 0, std::size_t(row));

  const int64_t room = taps.room();
  const auto bytes = [&](const Box& box) { return bytes_of(tap_pixels(box), kernels.pixel_bytes); };
  int64_t most = 0;
  for (const TapPiece& piece : plan.pieces)
    if (bytes(piece.box) <= room) most = std::max(most, bytes(piece.box));
  const int64_t tasks = int64_t(plan.pieces.size()) * blocks;
  threads = int(std::min<int64_t>({threads, std::max<int64_t>(1, room / std::max<int64_t>(1, most)),
                                   std::max<int64_t>(1, tasks)}));
  const int64_t scratch = kernels.scratch_bytes(plan.most_taps, taps.bins());
  const Workspace memory(bytes_of(most + scratch, threads));
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const TapPiece& piece = plan.pieces[task / blocks];
    const int64_t channel = task % blocks * kernels.lanes;
    const int channels = int(std::min<int64_t>(kernels.lanes, taps.channels - channel));
    void* const packed = memory.at(worker * (most + scratch));
    void* const lists = memory.at(worker * (most + scratch) + most);
    const TapRegions regions = taps.some(plan, piece);
    if (bytes(piece.box) <= room) {
      pack_taps(taps, kernels, piece.image, piece.box, channel, packed);
      kernels.read({packed, piece.box, channels}, regions, taps.pooled_from(channel), lists);
      return;
    }
    const Map map = taps.maps.at(piece.image);
    const char* const first = map.start + channel * map.strides.channel * size_of(taps.dtype);
    kernels.read_map({first, map.height, map.width, map.strides}, channels, regions,
                     taps.pooled_from(channel), lists);
  });
  return true;
}

}  // namespace roipool

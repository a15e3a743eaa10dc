// Reads feature maps at taps.
#include <algorithm>
#include <cstring>

#include "tap_walks.h"
#include "threads.h"

namespace roipool {

void read_pieces(const TapCall& taps, const TapKernels& kernels, TapPlan plan, int64_t scratch,
                 const PieceReader& reader) {
  const int64_t blocks = ceil_div(taps.channels, kernels.lanes);
  int threads = threads_for(taps, plan.work * double(blocks));
  const int64_t room = taps.room();
  const auto bytes = [&](const Box& box) { return bytes_of(tap_pixels(box), kernels.pixel_bytes); };
  int64_t most = 0;
  for (const TapPiece& piece : plan.pieces)
    if (bytes(piece.box) <= room) most = std::max(most, bytes(piece.box));
  const int64_t together = blocks_together(blocks, std::max<int64_t>(1, most), room, threads);
  const int64_t groups = ceil_div(blocks, together);
  split_pieces(plan.pieces, groups, threads);

  most *= together;
  const int64_t tasks = int64_t(plan.pieces.size()) * groups;
  threads = int(std::min<int64_t>({threads, std::max<int64_t>(1, room / std::max<int64_t>(1, most)),
                                   std::max<int64_t>(1, tasks)}));
  const Workspace memory(bytes_of(most + scratch, threads));
  parallel_for(threads, tasks, [&](int64_t task, int worker) {
    const TapPiece& piece = plan.pieces[task / groups];
    const int64_t first = task % groups * together;
    void* const packed = memory.at(worker * (most + scratch));
    void* const lists = memory.at(worker * (most + scratch) + most);
    const TapRegions regions = taps.some(plan, piece);
    const int64_t last = std::min(first + together, blocks);
    const auto channels = [&](int64_t from, int64_t to) {
      return int(std::min(to * kernels.lanes, taps.channels) - from * kernels.lanes);
    };
    if (bytes(piece.box) <= room) {
      for (int64_t block = first; block < last; ++block)
        pack_taps(taps, kernels, piece.image, piece.box, block * kernels.lanes,
                  static_cast<char*>(packed) + (block - first) * bytes(piece.box));
      reader.packed({packed, piece.box, channels(first, last)}, regions, first * kernels.lanes,
                    lists);
      return;
    }
    const Map map = taps.maps.at(piece.image);
    for (int64_t block = first; block < last; ++block) {
      const int64_t channel = block * kernels.lanes;
      const char* const start = map.start + channel * map.strides.channel * size_of(taps.dtype);
      reader.map({start, map.height, map.width, map.strides}, channels(block, block + 1), regions,
                 channel, lists);
    }
  });
}

bool taps_read_call(const Call& call) {
  const Array& pooled = *call.result(0);
  const TapCall taps = tap_call(call, call.inputs[0], pooled, &call.input(1), &call.input(2), 3);
  if (taps.regions * taps.channels * taps.bins() == 0) return true;
  const RegionsByImage by_image(taps.image, taps.regions, taps.maps.images());
  taps.set_none(by_image);
  const TapKernels kernels = isa_for(taps).taps(taps.dtype);
  const TapPlan plan = plan_taps(taps, by_image, {});
  read_pieces(
      taps, kernels, plan, kernels.scratch_bytes(plan.most_taps, taps.bins()),
      {[&](const TapBlock& block, const TapRegions& regions, int64_t channel, void* scratch) {
         kernels.read(block, regions, taps.pooled_from(channel), scratch);
       },
       [&](const TapMap& map, int channels, const TapRegions& regions, int64_t channel,
           void* scratch) {
         kernels.read_map(map, channels, regions, taps.pooled_from(channel), scratch);
       }});
  return true;
}

}  // namespace roipool
